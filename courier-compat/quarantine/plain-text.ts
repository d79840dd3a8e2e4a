/**
 * What a stranger wrote into a header field, as one line of text for a person to read.
 *
 * Pure: no clock, socket, file or logger. Time grows with the length of what is looked at, which is cut beforehand.
 */
import { decodeWords } from '../message/encoded-words.ts'

/** Beyond this nothing is looked at. Octets of a field, characters of a text. */
const maxRead = 4000
/** Beyond this nothing is shown. Characters. */
const maxShown = 200

/** The value of a header field, encoded words decoded, on one line. What cannot be decoded stands as it is. */
export function decodedLine(valueBytes: Uint8Array): string {
  return oneLine(decodeWords(valueBytes.subarray(0, maxRead)).text)
}

/** Without control characters and marks that turn a line around, blanks joined, cut. */
export function oneLine(text: string, maxCharacters = maxShown): string {
  const plain = text
    .slice(0, maxRead)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  const characters = Array.from(plain)
  return characters.length <= maxCharacters ? plain : `${characters.slice(0, maxCharacters).join('')}...`
}
