/**
 * What a stranger wrote into a header field, as one line of text for a person to read.
 *
 * Pure: no clock, socket, file or logger. Time grows with the length of what is looked at, which is cut beforehand.
 * Source: RFC 2047 2, 6.2 (encoded words and the blanks between them).
 */

/** Beyond this nothing is looked at. Characters. */
const maxRead = 4000
/** Beyond this nothing is shown. Characters. */
const maxShown = 200

/** Decodes encoded words, then makes one line of it. What cannot be decoded stands as it is. */
export function decodedLine(value: string): string {
  const cut = value.slice(0, maxRead)
  const pieces = cut.split(/(=\?[^?\s]{1,60}\?[BbQq]\?[^?\s]{0,1000}\?=)/)
  let text = ''
  for (const [at, piece] of pieces.entries()) {
    const isWord = at % 2 === 1
    // Blanks between two encoded words are not part of the text.
    const isBetween = !isWord && at > 0 && at < pieces.length - 1 && /^[ \t]*$/.test(piece)
    if (!isBetween) text += isWord ? decodedWord(piece) : piece
  }
  return oneLine(text)
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

function decodedWord(word: string): string {
  const [, charset = '', encoding = '', content = ''] = word.split('?')
  try {
    const octets =
      encoding.toUpperCase() === 'B'
        ? Buffer.from(content, 'base64')
        : Buffer.from(
            content
              .replaceAll('_', ' ')
              .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          )
    // RFC 2231 5 allows a language after the character set.
    return new TextDecoder(charset.split('*')[0]).decode(octets)
  } catch {
    return word
  }
}
