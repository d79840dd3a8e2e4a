/**
 * `%(name)s` in values of a post office's ini file.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 2.1.
 */
import { quoted } from '../../courier-compat/quoted.ts'
import type { IniPiece } from './ini.ts'

/** The values that may be named, as written, by name in lower case. */
export type Variables = ReadonlyMap<string, string>

/** How deep values may name one another, and how long what comes of it may be. */
const limits = { depth: 10, chars: 65_536 } as const

/** What came of a value; `fault` where it names itself, or grows beyond all measure. */
export interface Interpolated {
  readonly pieces: readonly IniPiece[]
  readonly fault: string | null
  /** Names in `%(...)s` that nothing has; they stay as they are. */
  readonly unknown: readonly { readonly name: string; readonly piece: IniPiece }[]
}

/**
 * Replaces each `%(name)s` whose name is known, in the value of one option.
 *
 * Shape: `%%` is one `%` if anything is replaced in the value, otherwise all of `%` stays as it is: an expression needs no
 *        care for its percent signs. What is put in for a variable of several lines becomes several pieces.
 */
export function interpolate(pieces: readonly IniPiece[], variables: Variables): Interpolated {
  const unknown: { name: string; piece: IniPiece }[] = []
  const names = pieces.flatMap((piece) => namesIn(piece.text).map((name) => ({ name, piece })))
  const isReplaced = names.some(({ name }) => variables.has(name))
  for (const found of names) if (!variables.has(found.name)) unknown.push(found)
  if (!isReplaced) return { pieces, fault: null, unknown }
  const out: IniPiece[] = []
  for (const piece of pieces) {
    const expanded = expand(piece.text, variables)
    if ('fault' in expanded) return { pieces, fault: expanded.fault, unknown }
    for (const text of expanded.text.split('\n')) out.push({ ...piece, text: text.trim() })
  }
  return { pieces: out, fault: null, unknown }
}

/** The length of a name is bounded: what never closes is then not searched to its end again and again. */
const token = /%%|%\(([^()]{1,100})\)s/g

function namesIn(text: string): string[] {
  return [...text.matchAll(token)].flatMap(([, name]) => (name === undefined ? [] : [name.toLowerCase()]))
}

/** Round by round, so that a value that names itself ends at the depth, whatever its length. */
function expand(text: string, variables: Variables): { readonly text: string } | { readonly fault: string } {
  let now = text
  for (let depth = 0; depth < limits.depth; depth++) {
    const known = namesIn(now).filter((name) => variables.has(name))
    if (known.length === 0) return { text: depth === 0 ? now.replaceAll('%%', '%') : now }
    const length = known.reduce((sum, name) => sum + (variables.get(name)?.length ?? 0), now.length)
    if (length > limits.chars) return { fault: `becomes longer than ${limits.chars} characters` }
    now = now.replace(token, (whole, name: string | undefined) =>
      name === undefined ? '%' : (variables.get(name.toLowerCase()) ?? whole),
    )
  }
  return { fault: `${quoted(text)} names values that name one another, more than ${limits.depth} deep` }
}
