/**
 * Display names and comments, as people are shown them.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 3.2.5 (phrases), RFC 2047 5 (encoded words in them).
 */
import { decodeWords } from '../message/encoded-words.ts'
import type { Token } from './scanner.ts'

/**
 * The name that these words are, `null` for none.
 *
 * Shape: quotes undone, blanks and comments between words as one blank, encoded words decoded: also those in quotes, which
 *        RFC 2047 does not allow and nearly every program shows decoded.
 */
export function nameOf(words: readonly Token[]): string | null {
  const pieces: string[] = []
  for (const [index, { value, start }] of words.entries()) {
    const before = words[index - 1]
    if (before !== undefined && start > before.end) pieces.push(' ')
    pieces.push(value)
  }
  return shown(pieces.join(''))
}

/** The comments, decoded, with a blank between them; `null` for none. */
export function commentOf(comments: readonly string[]): string | null {
  return comments.length === 0 ? null : shown(comments.join(' '))
}

function shown(text: string): string | null {
  const decoded = (text.includes('=?') ? decodeWords(Buffer.from(text)).text : text).trim()
  return decoded === '' ? null : decoded
}
