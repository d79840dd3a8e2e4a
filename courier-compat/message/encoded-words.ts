/**
 * Encoded words in header fields, and raw 8-bit letters beside them.
 *
 * What cannot be decoded stays as it stands: a value is text for people, and a wrong letter is worse than a code. Decoded
 * text holds no CR, LF or NUL, so that no word can end a line where it is written.
 * Pure: no clock, socket, file or logger. Time grows with the length of the value, nothing else.
 * Source: RFC 2047, RFC 2231 5 (a language after `*`), RFC 6532 (raw UTF-8).
 */
import { isUtf8 } from 'node:buffer'
import type { HeaderField } from '../header/section.ts'
import { charsetNamed, decodeAll } from './charset.ts'
import type { DecodedText, FieldLimits } from './content-types.ts'
import { unescapeHex } from './escapes.ts'
import type { FindingKind } from './findings.ts'
import { readingLimits } from './limits.ts'

const question = 0x3f

/** One word, or what looks like the beginning of one. Offsets are of the value. */
interface Opener {
  readonly start: number
  readonly charset: string
  readonly isBase64: boolean
  /** Where the encoded text begins. */
  readonly textStart: number
}

/** Words that follow each other in one character set: their octets are decoded together. */
interface Run {
  readonly charset: string
  /** Where the words stand, should they have to stay. */
  readonly start: number
  end: number
  /** One character an octet. */
  readonly octets: string[]
  /** Base64 whose quantum goes on in the next word, as some programs cut it. */
  base64: string
}

/**
 * Decodes a value.
 *
 * Shape:  words that stand beside each other, blanks between them aside, are joined, so that a character may begin in one
 *         and end in the next. Octets outside of words are UTF-8; where they are not, U+FFFD stands for each that is wrong.
 *         A word that does not end, that is not base64, or whose character set nobody knows stays as it is.
 * Errors: none; `problems` has `bad-encoded-word`, `unknown-charset`, `dangerous-charset`, `hidden-line-end`,
 *         `limit-encoded-words`, and the notices `bad-text`, `eight-bit-header`.
 */
export function decodeWords(bytes: Uint8Array, limits: Pick<FieldLimits, 'encodedWords'> = readingLimits): DecodedText {
  const problems = new Set<FindingKind>()
  const { text, words } = decodeWordsAsSent(bytes, limits, problems)
  return { text: withoutLineEnds(text, problems), words, problems: [...problems] }
}

/** As `decodeWords`, but line ends and NUL stay, for whoever has to see what they hide. Adds to `problems`. */
export function decodeWordsAsSent(
  bytes: Uint8Array,
  limits: Pick<FieldLimits, 'encodedWords'>,
  problems: Set<FindingKind>,
): Pick<DecodedText, 'text' | 'words'> {
  const octets = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = octets.toString('latin1')
  const pieces: string[] = []
  let words = 0
  let run: Run | null = null
  let plainStart = 0

  const endRun = (): void => {
    if (run === null) return
    pieces.push(decodeRun(run, octets, problems))
    run = null
  }
  for (let opener = nextOpener(value, 0); opener !== null;) {
    if (words === limits.encodedWords) {
      problems.add('limit-encoded-words')
      break
    }
    const next = nextOpener(value, opener.textStart)
    const textEnd = endOfText(value, opener.textStart, next?.start ?? value.length)
    const text = textEnd === null ? null : wordText(value, opener, textEnd)
    if (textEnd === null || text === null) {
      problems.add('bad-encoded-word')
      opener = next
      continue
    }
    const isBeside: boolean = run !== null && isBlank(value, plainStart, opener.start)
    if (!isBeside) {
      endRun()
      pieces.push(plainText(octets.subarray(plainStart, opener.start)))
    }
    if (run !== null && run.charset !== opener.charset) endRun()
    run ??= { charset: opener.charset, start: opener.start, end: 0, octets: [], base64: '' }
    addWord(run, text, opener.isBase64, problems)
    words++
    run.end = textEnd + 2
    plainStart = run.end
    // The `=` that ends a word may look like the one that begins the next.
    opener = next === null || next.start >= run.end ? next : nextOpener(value, run.end)
  }
  endRun()
  pieces.push(plainText(octets.subarray(plainStart)))
  if (!isUtf8(octets)) problems.add('eight-bit-header')
  return { text: pieces.join(''), words }
}

/** The value of a field for people to read; see `decodeWords`. Names of addresses are decoded where addresses are read. */
export function decodedValue(
  field: Pick<HeaderField, 'valueBytes'>,
  limits: Pick<FieldLimits, 'encodedWords'> = readingLimits,
): DecodedText {
  return decodeWords(field.valueBytes, limits)
}

/** How many encoded words begin in these octets, of a header section for instance; whether they end is not asked. */
export function countEncodedWords(octets: Buffer): number {
  const value = octets.toString('latin1')
  let count = 0
  for (let opener = nextOpener(value, 0); opener !== null; opener = nextOpener(value, opener.textStart)) count++
  return count
}

/** Text without CR, LF and NUL: a blank stands for each line end. Tells `hidden-line-end`. */
export function withoutLineEnds(text: string, problems: Set<FindingKind>): string {
  if (!/[\r\n\0]/.test(text)) return text
  problems.add('hidden-line-end')
  return text.replaceAll(/\r\n|[\r\n\0]/g, ' ')
}

/** `=?charset?B?`: the next at `from` or after it, in octets as latin1 text. */
function nextOpener(value: string, from: number): Opener | null {
  for (let at = from; ;) {
    const start = value.indexOf('=?', at)
    if (start === -1) return null
    let end = start + 2
    while (isCharsetLetter(value.charCodeAt(end))) end++
    const letter = value.charCodeAt(end + 1) | 0x20
    if (end > start + 2 && value[end] === '?' && value[end + 2] === '?' && (letter === 0x62 || letter === 0x71)) {
      const charset = value
        .slice(start + 2, end)
        .toLowerCase()
        .replace(/\*.*$/s, '')
      return { start, charset, isBase64: letter === 0x62, textStart: end + 3 }
    }
    // All that was passed over holds no `=?`, but its last octet may be the `=` of one.
    at = Math.max(end - 1, start + 1)
  }
}

/** Neither a question mark, nor a blank of any kind, nor the end (NaN). */
function isCharsetLetter(code: number): boolean {
  return code !== question && code !== 0x20 && (code > 0x0d || code < 0x09)
}

/** Where the `?=` of a word stands; `null`: another word begins before it, or there is none. */
function endOfText(value: string, from: number, nextStart: number): number | null {
  for (let at = from; at < nextStart; at++) {
    if (value.charCodeAt(at) === question && value[at + 1] === '=') return at
  }
  return null
}

/** The encoded text; `null` for base64 that is none. Blanks are none of it, but folding may have left some. */
function wordText(value: string, { isBase64, textStart }: Opener, textEnd: number): string | null {
  const text = value.slice(textStart, textEnd)
  if (!isBase64) return text
  const letters = text.replaceAll(/[ \t\r\n]/g, '')
  return /^[A-Za-z0-9+/]*=*$/.test(letters) ? letters : null
}

function isBlank(value: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const code = value.charCodeAt(at)
    if (code !== 0x20 && code !== 0x09 && code !== 0x0d && code !== 0x0a) return false
  }
  return true
}

function addWord(run: Run, text: string, isBase64: boolean, problems: Set<FindingKind>): void {
  if (isBase64) {
    run.base64 += text.replaceAll('=', '')
    if (run.base64.length % 4 === 0 || text.endsWith('=')) endBase64(run, problems)
  } else {
    endBase64(run, problems)
    run.octets.push(unquote(text, problems))
  }
}

function endBase64(run: Run, problems: Set<FindingKind>): void {
  if (run.base64 === '') return
  if (run.base64.length % 4 === 1) problems.add('bad-encoded-word')
  run.octets.push(Buffer.from(run.base64, 'base64').toString('latin1'))
  run.base64 = ''
}

/** The `Q` encoding (RFC 2047 4.2). What is no sequence stands as it is. */
function unquote(text: string, problems: Set<FindingKind>): string {
  const spaced = text.includes('_') ? text.replaceAll('_', ' ') : text
  return unescapeHex(spaced, '=', () => problems.add('bad-encoded-word'))
}

function decodeRun(run: Run, octets: Buffer, problems: Set<FindingKind>): string {
  endBase64(run, problems)
  const charset = charsetNamed(run.charset)
  if (charset === null) {
    problems.add('unknown-charset')
    return plainText(octets.subarray(run.start, run.end))
  }
  if (charset.isDangerous) problems.add('dangerous-charset')
  const text = wholeTexts(charset.name, run.octets)
    .map((each) => decodeAll(charset.decoder(), Buffer.from(each, 'latin1')))
    .join('')
  if (text.includes('\ufffd')) problems.add('bad-text')
  return text
}

/** A word of ISO-2022 that begins with an escape sequence is a text by itself, and only then. */
function wholeTexts(charset: string, pieces: readonly string[]): string[] {
  if (!charset.startsWith('iso-2022')) return [pieces.join('')]
  const texts: string[][] = []
  for (const piece of pieces) {
    const last = texts.at(-1)
    if (last === undefined || piece.startsWith('\x1b')) texts.push([piece])
    else last.push(piece)
  }
  return texts.map((each) => each.join(''))
}

function plainText(octets: Buffer): string {
  return octets.toString('utf8')
}
