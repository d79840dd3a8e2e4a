/**
 * What stands between `(` and the content of a group, in a regular expression of Python 2.7.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 18.
 */
import { backReferenceFault } from './python-escape.ts'
import type { ExpressionRemark } from './python-escape.ts'

/** The beginning of a group, or what stands in parentheses and is none. `end` is behind what was read. */
export type GroupStart =
  | { readonly kind: 'comment'; readonly end: number }
  | {
      readonly kind: 'group'
      readonly end: number
      readonly name: string | null
      /** Flags that are set, and that are unset, within it. */
      readonly on: string
      readonly off: string
      readonly warning: ExpressionRemark | null
    }
  | { readonly kind: 'flags'; readonly end: number; readonly on: string; readonly warning: ExpressionRemark | null }

/** Longer names of groups are not read. */
const maxHeadChars = 200

const noFlags = { name: null, on: '', off: '', warning: null } as const

/** Reads what begins with the `(` at `at`. Errors: a remark, for what is not possible or nothing. */
export function readGroupStart(source: string, at: number): GroupStart | ExpressionRemark {
  const rest = source.slice(at, at + maxHeadChars)
  if (!rest.startsWith('(?')) return { kind: 'group', end: at + 1, ...noFlags }
  if (rest.startsWith('(?#')) {
    const end = source.indexOf(')', at)
    if (end >= 0) return { kind: 'comment', end: end + 1 }
    return { at, text: 'the comment (?# is not closed', cure: 'write ) behind it' }
  }
  const [named, name = ''] = /^\(\?P<([^>)]*)>/.exec(rest) ?? []
  if (named !== undefined) {
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
      ? { kind: 'group', end: at + named.length, ...noFlags, name }
      : { at, text: `"${name}" is no name of a group`, cure: 'use letters, digits and _' }
  }
  return readFlags(rest, at) ?? { at, ...refusal(rest) }
}

/** `(?i)`, `(?i:`, `(?-i:` and the like; `null` for anything else. */
function readFlags(rest: string, at: number): GroupStart | ExpressionRemark | null {
  const [head, on = '', minus, off = '', last] = /^\(\?([a-zA-Z]*)(-([a-zA-Z]*))?([:)])/.exec(rest) ?? []
  if (head === undefined) return null
  const strange = Array.from(on).find((flag) => !'imsxu'.includes(flag)) ?? /[^imsx]/.exec(off)?.[0]
  if (strange === 'L') {
    const cure = 'take it out: what a letter is does not depend on the language of the system here'
    return { at, text: 'the flag L is not possible', cure }
  }
  if (strange !== undefined) return { at, text: `${strange} is no flag`, cure: 'the flags are i, m, s, x and u' }
  if (last === ')' && (minus !== undefined || on === '')) {
    const cure = minus === undefined ? 'write (?:...) for a group' : 'write (?-i:...) around what it is for'
    return { at, text: `${head} is no group and no flag`, cure }
  }
  const ascii = { at, text: 'the flag u is left out: \\w, \\d, \\s and \\b go by ASCII', cure: 'take it out' }
  const warning = on.includes('u') ? ascii : null
  const end = at + head.length
  return last === ')' ? { kind: 'flags', end, on, warning } : { kind: 'group', end, name: null, on, off, warning }
}

/** Why something that begins with `(?` is refused. */
function refusal(rest: string): Omit<ExpressionRemark, 'at'> {
  const linear = 'is not possible in linear time'
  if (/^\(\?[=!]/.test(rest)) {
    return { text: `look-ahead ${rest.slice(0, 3)} ${linear}`, cure: 'split it into several filters or lines' }
  }
  if (/^\(\?<[=!]/.test(rest)) {
    return { text: `look-behind ${rest.slice(0, 4)} ${linear}`, cure: 'match what stands before instead' }
  }
  if (rest.startsWith('(?P=')) return backReferenceFault
  if (rest.startsWith('(?(')) return { text: `a condition (?(...) ${linear}`, cure: 'write both cases with |' }
  if (rest.startsWith('(?>'))
    return { text: `an atomic group (?> ${linear}`, cure: 'write (?:, no guard is needed here' }
  if (rest.startsWith('(?<')) return { text: '(?< begins no group', cure: 'a group with a name is (?P<name>...)' }
  const cure = 'write (?:...) for a group, \\(\\? for the marks themselves'
  return { text: `${rest.slice(0, 3)} begins no group`, cure }
}
