/** Errors as a quarantine keeps them: as data, since what was thrown cannot be stored. Pure. */
import type { Json } from '../depot-types.ts'

/** An error as data. */
export interface StructuredError {
  readonly name: string
  readonly message: string
  /** Such as `ENOENT`; `null` without one. */
  readonly code: string | null
  /** Where it was thrown; `null` where that is not known. */
  readonly stack: string | null
}

const maxCharacters = { name: 100, message: 1000, code: 100, stack: 4000 } as const

/** What was thrown, as the text of a reason. */
export function reasonOf(error: unknown): string {
  return JSON.stringify(structured(error))
}

/** What was thrown, as data. */
export function structured(error: unknown): StructuredError {
  if (!(error instanceof Error)) return cut({ name: 'Error', message: String(error), code: null, stack: null })
  const { code } = error as { readonly code?: unknown }
  const isCode = typeof code === 'string' || typeof code === 'number'
  return cut({
    name: error.name,
    message: error.message,
    code: isCode ? String(code) : null,
    stack: error.stack ?? null,
  })
}

/** The error of a reason, whoever wrote it: one that was buried by other means has a sentence there. */
export function errorOf(reason: string | null): StructuredError {
  const plain = { name: 'Error', message: reason ?? '', code: null, stack: null }
  if (reason?.startsWith('{') !== true) return plain
  try {
    const read = JSON.parse(reason) as Readonly<Record<string, Json>>
    const { name, message, code = null, stack = null } = read
    const isText = (value: Json): value is string | null => value === null || typeof value === 'string'
    if (typeof name !== 'string' || typeof message !== 'string' || !isText(code) || !isText(stack)) return plain
    return { name, message, code, stack }
  } catch {
    return plain
  }
}

function cut({ name, message, code, stack }: StructuredError): StructuredError {
  return {
    name: name.slice(0, maxCharacters.name),
    message: message.slice(0, maxCharacters.message),
    code: code?.slice(0, maxCharacters.code) ?? null,
    stack: stack?.slice(0, maxCharacters.stack) ?? null,
  }
}
