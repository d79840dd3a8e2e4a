/**
 * Makes a header field of a name and a value: checked, encoded where it must be, folded.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 2.1.1 (78 and 998), 2.2.3 (folding), 3.6.8 (names); RFC 2047 2, 5 and 6.2; RFC 6532 (UTF-8).
 */

/**
 * What a new value is given as: text, or octets that go out as they are.
 *
 * Shape: neither holds CR, LF or NUL; blanks at both ends are left out. Octets beyond ASCII in a `Uint8Array` stay octets.
 */
export type NewValue = string | Uint8Array

/** How text beyond ASCII goes out. */
export interface ValueOptions {
  /**
   * `words` (the default): as encoded words (RFC 2047), which every server takes. `utf8`: raw, as RFC 6532 has it; Courier is
   * told (`m` record), and then needs SMTPUTF8 of the servers that it relays to.
   */
  readonly encoding?: 'words' | 'utf8'
}

/** A line's length without its line end: RFC 5322 wants 78, and allows 998. */
const wantedOctets = 78
const maxOctets = 998

/** No name of a real field comes near; what is longer is most likely a value in the wrong place. */
const maxNameOctets = 255

/**
 * The octets of one field with its line ends.
 *
 * Shape:  `Name: value`, folded before blanks so that lines have at most 78 octets where blanks allow it, and never more
 *         than 998. Unfolded again it is the value. In text, words with characters that are not printable ASCII become
 *         encoded words in UTF-8, with the blanks between them; so does a word too long for a line. Words in ASCII stand as
 *         they are, so encoded words that the caller made stay what they are unless the value holds such characters too.
 * Errors: RangeError for a name that is none, for CR, LF, NUL or half of a surrogate pair in the value, and for a word of
 *         more than 997 octets that goes out raw.
 */
export function fieldBytes(name: string, value: NewValue, lineEnd: '\n' | '\r\n', options: ValueOptions = {}): Buffer {
  checkName(name)
  const octets = typeof value === 'string' ? textOctets(value, name.length, options.encoding ?? 'words') : latin1(value)
  if (/[\r\n\0]/.test(octets)) throw new RangeError(`the value of ${name} holds CR, LF or NUL`)
  return Buffer.from(fold(name, octets, lineEnd), 'latin1')
}

/** Errors: RangeError for what is no field name (RFC 5322 3.6.8). */
export function checkName(name: string): void {
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) {
    throw new RangeError(
      `${JSON.stringify(name)} is no name of a header field: printable ASCII without blank and colon`,
    )
  }
  if (name.length > maxNameOctets) throw new RangeError(`a header field's name has ${name.length} octets`)
}

/** Values are worked on as latin1 text, one character an octet. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function textOctets(text: string, nameOctets: number, encoding: 'words' | 'utf8'): string {
  if (!text.isWellFormed()) throw new RangeError('the value holds half of a surrogate pair')
  // Before the encoding, which would hide them.
  if (/[\r\n\0]/.test(text)) throw new RangeError('the value holds CR, LF or NUL')
  return encoding === 'utf8' ? latin1(Buffer.from(text)) : encodeWords(text, nameOctets)
}

/** Each word with the blanks before it; blanks at the end of the value belong to none. */
function wordsOf(value: string): string[] {
  // Cut off beforehand: the pattern would try a run of blanks without a word anew from each of them.
  let end = value.length
  while (value[end - 1] === ' ' || value[end - 1] === '\t') end--
  return value.slice(0, end).match(/[ \t]*[^ \t]+/g) ?? []
}

function encodeWords(text: string, nameOctets: number): string {
  const words = wordsOf(text.replace(/^[ \t]+/, ''))
  const isOdd = (word: string): boolean => /[^\t -~]/.test(word)
  const isLong = (word: string): boolean => word.length >= maxOctets
  const hasOdd = words.some(isOdd)
  // Beside an encoded word, what only looks like one would be decoded, and the blank between them lost.
  const isEncoded = (word: string): boolean => isOdd(word) || isLong(word) || (hasOdd && word.includes('=?'))
  let octets = ''
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? ''
    if (!isEncoded(word)) {
      octets += word
      at++
      continue
    }
    let run = ''
    while (at < words.length && isEncoded(words[at] ?? '')) run += words[at++] ?? ''
    const blanks = /^[ \t]*/.exec(run)?.[0] ?? ''
    octets += blanks + encodedRun(run.slice(blanks.length), octets === '' ? nameOctets + 2 : blanks.length)
  }
  return octets
}

/** A line with encoded words has at most 76 octets (RFC 2047 2): a blank and one word of the longest kind. */
const encodedLineOctets = 76
const before = '=?utf-8?B?'
const after = '?='

/** Encoded words with a blank between them, each whole by itself; the first leaves room for `taken` octets before it. */
export function encodedRun(text: string, taken: number): string {
  const room = (octets: number): number => Math.floor((octets - before.length - after.length) / 4) * 3
  const encoded: string[] = []
  let piece = ''
  let left = Math.max(room(encodedLineOctets - taken), 12)
  for (const character of text) {
    const octets = Buffer.byteLength(character)
    if (octets > left) {
      encoded.push(piece)
      piece = ''
      left = room(encodedLineOctets - 1)
    }
    piece += character
    left -= octets
  }
  encoded.push(piece)
  return encoded.map((word) => before + Buffer.from(word).toString('base64') + after).join(' ')
}

function fold(name: string, octets: string, lineEnd: string): string {
  const lines: string[] = []
  let line = `${name}:`
  for (const [index, word] of wordsOf(octets).entries()) {
    const next = index === 0 ? ` ${word.trimStart()}` : word
    // Only where it must be: a first line without a value confuses some programs.
    const limit = index === 0 ? maxOctets : wantedOctets
    if (line.length + next.length > limit) {
      lines.push(line)
      line = next
    } else line += next
    if (line.length > maxOctets) {
      throw new RangeError(`the value of ${name} has ${next.length} octets without a place to fold it, too long a line`)
    }
  }
  return [...lines, line].map((each) => each + lineEnd).join('')
}
