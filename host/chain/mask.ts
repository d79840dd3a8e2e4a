/**
 * Keeps the secrets among a filter's settings out of the errors that it throws, in which they turn up by accident: an
 * address with a password in it, say, that could not be read.
 *
 * Pure. It is no wall: a filter that means to tell its secrets can.
 */
import type { DoFilter } from '../../courier-compat/filter.ts'
import { isSecret } from '../../courier-compat/setting/text.ts'
import type { SettingSchemas, SettingValue } from '../../courier-compat/setting.ts'

/** Puts `(secret)` in the place of every secret in a text. */
export type Mask = (text: string) => string

/** A shorter one stands in half of all texts by chance. */
const minChars = 4

/** The mask for a filter's settings; `null` where there is nothing to hide. */
export function maskOf(schemas: SettingSchemas | null, values: Readonly<Record<string, SettingValue>>): Mask | null {
  const secrets = Object.entries(schemas ?? {}).flatMap(([name, schema]) => {
    const value = isSecret(schema) ? values[name] : null
    return typeof value === 'string' && value.length >= minChars ? [value] : []
  })
  if (secrets.length === 0) return null
  const forms = secrets.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
  // The longest first: one may be a part of another.
  const sorted = [...new Set(forms)].sort((a, b) => b.length - a.length)
  return (text) => sorted.reduce((masked, form) => masked.replaceAll(form, '(secret)'), text)
}

/** The same error, or one that says the same without the secrets. What is thrown and is no error becomes a masked text. */
export function maskThrown(thrown: unknown, mask: Mask): unknown {
  try {
    if (!(thrown instanceof Error)) return typeof thrown === 'string' ? mask(thrown) : thrown
    const { name, message, stack = '' } = thrown
    if (mask(`${message}\n${stack}`) === `${message}\n${stack}`) return thrown
    const told = new Error(mask(message))
    told.name = name
    told.stack = mask(stack)
    return told
  } catch {
    // An error whose own properties throw.
    return thrown
  }
}

/** A `doFilter` whose errors are masked. */
export function maskErrors(doFilter: DoFilter, mask: Mask): DoFilter {
  return (...message) => {
    try {
      const said = doFilter(...message)
      if (!(said instanceof Promise)) return said
      return said.catch((thrown: unknown) => {
        throw maskThrown(thrown, mask)
      })
    } catch (thrown) {
      throw maskThrown(thrown, mask)
    }
  }
}
