/**
 * The content of a part as streams: octets with the transfer encoding undone, and text.
 *
 * Memory is bounded by a piece of input; a reader that is slow holds the file back; a stream that is destroyed ends the
 * reading of `pieces`. Problems are told as they are met, each kind once.
 */
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { charsetNamed, type CharsetDecoder } from './charset.ts'
import type { ContentForm, ContentLimits, OnProblem, TextReading } from './content-types.ts'
import type { FindingKind } from './findings.ts'
import { lineEnds } from './line-ends.ts'
import type { TransferEncoding } from './reading.ts'
import { guessingDecoder } from './text-guess.ts'
import { transferDecoder } from './transfer-decoder.ts'

/** Larger pieces are decoded in slices of this size, with a turn of the event loop after some. */
const sliceOctets = 64 * 1024
const slicesPerTurn = 8

/** A text for people to read is seldom a tenth of it. */
export const defaultMaxCharacters = 1_000_000

/**
 * The octets of a content, its transfer encoding undone.
 *
 * Shape:  ends after `limits.decodedOctets` octets; `limit-decoded` is told if there were more.
 * Errors: the stream's: those of `pieces`.
 */
export function contentStream(
  pieces: AsyncIterable<Buffer>,
  encoding: TransferEncoding,
  limits: ContentLimits,
  onProblem: OnProblem,
): Readable {
  const octets = decodedOctets(pieces, encoding, limits, once(onProblem))
  return Readable.from(octets, { objectMode: false, highWaterMark: sliceOctets })
}

/**
 * The text of a content as a stream of strings, line ends as LF.
 *
 * Shape:  strings cut anywhere but inside a character. An unknown character set is told (`unknown-charset`), and read as a
 *         missing one: UTF-8 where it is that, else windows-1252. Ends as `contentStream` does.
 * Errors: the stream's: those of `pieces`.
 */
export function textStream(
  pieces: AsyncIterable<Buffer>,
  form: ContentForm,
  limits: ContentLimits,
  onProblem: OnProblem,
): Readable {
  return Readable.from(decodedText(pieces, form, limits, once(onProblem)), { objectMode: true, highWaterMark: 2 })
}

/** The text of a content, at most `maxCharacters` of it. Reads no further than it must. Errors: those of `pieces`. */
export async function readText(
  pieces: AsyncIterable<Buffer>,
  form: ContentForm,
  limits: ContentLimits,
  maxCharacters: number = defaultMaxCharacters,
): Promise<TextReading> {
  const problems = new Set<FindingKind>()
  const parts: string[] = []
  let length = 0
  let isCut = false
  for await (const text of decodedText(pieces, form, limits, (kind) => problems.add(kind))) {
    const room = maxCharacters - length
    if (text.length > room) {
      parts.push(text.slice(0, isSplit(text, room) ? room - 1 : room))
      isCut = true
      break
    }
    parts.push(text)
    length += text.length
  }
  return { text: parts.join(''), isCut: isCut || problems.has('limit-decoded'), problems: [...problems] }
}

async function* decodedOctets(
  pieces: AsyncIterable<Buffer>,
  encoding: TransferEncoding,
  limits: ContentLimits,
  onProblem: OnProblem,
): AsyncGenerator<Buffer, void, undefined> {
  const decoder = transferDecoder(encoding, onProblem)
  let left = limits.decodedOctets
  for await (const piece of pieces) {
    let slices = 0
    for (let start = 0; start < piece.length; start += sliceOctets) {
      const decoded = decoder.write(piece.subarray(start, start + sliceOctets))
      if (decoded.length > left) {
        onProblem('limit-decoded')
        if (left > 0) yield decoded.subarray(0, left)
        return
      }
      left -= decoded.length
      if (decoded.length > 0) yield decoded
      if (++slices % slicesPerTurn === 0) await turn()
    }
  }
  const last = decoder.end()
  if (last.length > left) onProblem('limit-decoded')
  if (Math.min(last.length, left) > 0) yield last.subarray(0, left)
}

async function* decodedText(
  pieces: AsyncIterable<Buffer>,
  { encoding, charset }: ContentForm,
  limits: ContentLimits,
  onProblem: OnProblem,
): AsyncGenerator<string, void, undefined> {
  const decoder = textDecoder(charset, onProblem)
  const lines = lineEnds()
  let tail = ''
  const wholeCharacters = (text: string): string => {
    const whole = tail + text
    tail = isSplit(whole, whole.length) ? whole.slice(-1) : ''
    return tail === '' ? whole : whole.slice(0, -1)
  }
  const checked = (text: string): string => {
    if (text.includes('\ufffd')) onProblem('bad-text')
    return text
  }
  for await (const octets of decodedOctets(pieces, encoding, limits, onProblem)) {
    const text = checked(wholeCharacters(lines.write(decoder.write(octets))))
    if (text !== '') yield text
  }
  const last = checked(tail + lines.write(decoder.end()) + lines.end())
  if (last !== '') yield last
}

/** US-ASCII with octets beyond it is guessed too: it is what programs write that do not know. */
function textDecoder(label: string | null, onProblem: OnProblem): CharsetDecoder {
  if (label === null) return guessingDecoder()
  if (isAscii(label)) {
    return guessingDecoder((guess) => {
      if (guess !== 'ascii') onProblem('bad-text')
    })
  }
  const charset = charsetNamed(label)
  if (charset === null) {
    onProblem('unknown-charset')
    return guessingDecoder()
  }
  if (charset.isDangerous) onProblem('dangerous-charset')
  return charset.decoder()
}

function isAscii(label: string): boolean {
  return /^(?:us-)?ascii$|^ansi_x3\.4-1968$/i.test(label)
}

/** True if a cut before `at` would part a surrogate pair. */
function isSplit(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1)
  return before >= 0xd800 && before <= 0xdbff
}

function once(onProblem: OnProblem): OnProblem {
  const told = new Set<FindingKind>()
  return (kind) => {
    if (told.has(kind)) return
    told.add(kind)
    onProblem(kind)
  }
}
