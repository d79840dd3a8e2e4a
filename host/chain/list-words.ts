/**
 * The words of the filter list's grammar, and what is said of words out of place.
 *
 * Pure: no clock, socket, file or logger.
 */

/** What is wrong, and what to do about it. */
export interface Remark {
  readonly text: string
  readonly cure: string | null
}

export function remark(text: string, cure: string | null = null): Remark {
  return { text, cure }
}

/** None of them can name a filter in our own files. */
export const keywords: readonly string[] = ['as', 'for', 'with']

/** Cures that several mistakes share. */
export const order = 'write NAME as ALIAS for OTHER ... with key=value ...'
export const ownLine = 'put a comment on a line of its own'
export const withBlanks = 'separate the names with blanks'

/** What was meant by a word that is out of place, where that is plain: a comment, or a keyword in capitals. */
export function cureOf(word: string): string | null {
  if (word.startsWith('#')) return ownLine
  const small = word.toLowerCase()
  return keywords.includes(small) && small !== word ? `write "${small}" in small letters` : null
}
