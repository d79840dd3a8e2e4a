/**
 * The text form of a control record's value: bytes that may be anything, as a string that can be logged, compared and
 * turned back into the same bytes.
 *
 * Pure: no clock, socket, file or logger.
 * Source: seed README.developers "A note on control files"; spec courier 4.3 (addresses that are not valid UTF-8).
 */
import { isUtf8 } from 'node:buffer'
import { quoted } from '../quoted.ts'

/** What the text of bytes that are not valid UTF-8 begins with. */
export const malformedPrefix = '(malformed utf8):'

/**
 * Writes bytes as text. No two values have the same text, so comparing texts is comparing bytes.
 *
 * Shape: valid UTF-8 is itself. Anything else is `(malformed utf8):` and the bytes percent-encoded: letters, digits and
 *        `_ . - ~ @` stand for themselves, a blank is `+`, the rest is `%` and two upper-case hex digits. Valid UTF-8
 *        that begins with the prefix is encoded too, or it could be taken for the encoding of something else.
 */
export function textOf(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isUtf8(buffer)) {
    const text = buffer.toString('utf8')
    if (!text.startsWith(malformedPrefix)) return text
  }
  return malformedPrefix + percentEncoded(buffer)
}

/**
 * Gives back the bytes that `textOf` made a text of.
 *
 * Errors: RangeError for a text that `textOf` cannot have made: a lone surrogate, or a prefix with a broken or needless
 *         encoding after it. Guessing here would deliver to an address that nobody wrote.
 */
export function bytesOf(text: string): Buffer {
  if (!text.isWellFormed()) throw new RangeError('text with half of a surrogate pair stands for no bytes')
  if (!text.startsWith(malformedPrefix)) return Buffer.from(text, 'utf8')
  const bytes = percentDecoded(text.slice(malformedPrefix.length))
  if (textOf(bytes) !== text) throw new RangeError(`${quoted(text)} is not the encoded form of any bytes`)
  return bytes
}

function percentEncoded(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^A-Za-z0-9_.\-~@]/g, (char) => {
    if (char === ' ') return '+'
    return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
}

function percentDecoded(text: string): Buffer {
  const chars = text.replaceAll('+', ' ').replace(/%([0-9A-F]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
  return Buffer.from(chars, 'latin1')
}
