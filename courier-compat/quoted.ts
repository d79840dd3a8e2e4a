/**
 * Text of an administrator or author, made fit to stand in a message.
 *
 * Pure: no clock, socket, file or logger.
 */

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0\u2000-\u200a\u202f\u205f\u3000]/gu

/**
 * Puts text in double quotes.
 *
 * Shape: one line; quotes and backslashes are escaped; what cannot be seen (control characters, no-break and other odd
 *        blanks) is written as an escape; text over `maxChars` characters is cut and ends in `...`.
 */
export function quoted(text: string, maxChars = 60): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}...` : text
  return JSON.stringify(cut).replace(unseen, (char) => `\\u${char.codePointAt(0)?.toString(16).padStart(4, '0') ?? ''}`)
}
