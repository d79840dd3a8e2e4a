/**
 * Works out how text is added to a text part: which of its octets stay, and what takes the place of the others.
 *
 * Octets stay wherever that is possible: what is added is written in the part's own character set and transfer encoding.
 * base64 is encoded anew from the last line on that begins a group of its own. Only where the text cannot be written so is
 * the whole part read and written again, as UTF-8, while the message is written: nothing of it is held.
 */
import { charsetDecoder, type CharsetDecoder } from '../message/charset.ts'
import type { RangeReader } from '../message/range.ts'
import type { Part, Range } from '../message/reading.ts'
import { chooseCharset } from './charset-choice.ts'
import { bodyPiece, type Piece, type Splice } from './pieces.ts'
import { EditRefused } from './refusal.ts'
import { textFacts, type TextFacts } from './text-facts.ts'
import { decodeTransfer, locate, type ContentEncoding } from './transfer-decode.ts'
import { encodeTransfer, needsOf, quotedPrintable, type LineEnd } from './transfer-encode.ts'

/** What is added in one place, in order; lines end with LF. */
export interface Additions {
  readonly front: readonly string[]
  readonly back: readonly string[]
}

/** A text part, and what surrounds it. */
export interface TextPart {
  readonly part: Part
  /** Its body. */
  readonly range: Range
  /** Its Content-Transfer-Encoding allows octets beyond ASCII. */
  readonly allowsEightBit: boolean
  readonly lineEnd: LineEnd
  readonly forbidden: readonly string[]
  readonly read: RangeReader
}

/** How it is done. */
export interface TextPlan {
  readonly splices: readonly Splice[]
  /** What the part's fields have to say from now on; `null`: what they say. */
  readonly charset: 'utf-8' | null
  readonly encoding: 'quoted-printable' | null
}

/** Octets of content that are added before the octet with number `at`. */
interface Insertion {
  readonly at: number
  readonly octets: Buffer
}

/** Errors: EditRefused where the part is none that text can be added to; MalformedContent; those of `read`. */
export async function planText(text: TextPart, additions: Additions): Promise<TextPlan> {
  const { part, range, read, lineEnd, forbidden } = text
  const isHtml = part.contentType === 'text/html'
  const encoding = contentEncoding(part)
  const content = (octets: AsyncIterable<Buffer>): AsyncIterable<Buffer> => decodeTransfer(encoding, octets)
  const facts = await textFacts(content(read(range.start, range.end)), isHtml)
  const choice = chooseCharset(part.charset, [...additions.front, ...additions.back], facts)
  if (choice === null) throw new EditRefused('charset', part.path)

  if (choice.convertFrom === null) {
    const inner = encoding === 'base64' ? (facts.lineEnd ?? '\r\n') : lineEnd
    const insertions = insertionsFor(additions, facts, isHtml, inner, choice.write)
    const added = Buffer.concat(insertions.map(({ octets }) => octets))
    const needs = needsOf(added, forbidden)
    const isPlain = needs.isPlain && (needs.isAscii || text.allowsEightBit)
    if (encoding !== 'identity' || isPlain) {
      const splices = await splicesFor(text, encoding, insertions, facts)
      return { splices, charset: choice.label, encoding: null }
    }
  }

  const { convertFrom } = choice
  const decoded = (octets: AsyncIterable<Buffer>): AsyncIterable<Buffer> => {
    const decoder = convertFrom === null ? null : charsetDecoder(convertFrom)
    return decoder === null ? content(octets) : asUtf8(content(octets), decoder, part)
  }
  const known = convertFrom === null ? facts : await textFacts(decoded(read(range.start, range.end)), isHtml)
  const inner = known.lineEnd ?? (encoding === 'base64' ? '\r\n' : lineEnd)
  const insertions = insertionsFor(additions, known, isHtml, inner, choice.write)
  const target = encoding === 'base64' ? 'base64' : 'quoted-printable'
  const make = (octets: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> =>
    encodeTransfer(target, inserted(decoded(octets), insertions, 0), { lineEnd, isText: true, forbidden })
  const splices: Splice[] = [{ ...range, pieces: [{ kind: 'made', range, make }, ...(await endOf(text, encoding))] }]
  return { splices, charset: choice.label, encoding: encoding === 'identity' ? 'quoted-printable' : null }
}

function contentEncoding({ encoding, path }: Part): ContentEncoding {
  if (encoding === 'none') return 'identity'
  if (encoding === 'base64' || encoding === 'quoted-printable') return encoding
  throw new EditRefused('encoding', path)
}

/**
 * What is added where. A text that is added to another begins a line of its own, and the whole ends as it did: with a line
 * end or without.
 */
function insertionsFor(
  { front, back }: Additions,
  facts: TextFacts,
  isHtml: boolean,
  lineEnd: string,
  write: (text: string) => Buffer,
): Insertion[] {
  const lines = (texts: readonly string[]): string => texts.join('\n').replaceAll('\n', lineEnd)
  const insertions: Insertion[] = []
  if (front.length > 0) {
    const before = isHtml && facts.front > 0 ? lineEnd : ''
    insertions.push({ at: facts.front, octets: write(before + lines(front) + lineEnd) })
  }
  if (back.length > 0) {
    const isAtEnd = facts.back === facts.octets
    const before = isAtEnd && facts.endsWithLineEnd ? '' : lineEnd
    const after = isAtEnd && !facts.endsWithLineEnd ? '' : lineEnd
    insertions.push({ at: facts.back, octets: write(before + lines(back) + after) })
  }
  return insertions.sort((a, b) => a.at - b.at)
}

async function splicesFor(
  text: TextPart,
  encoding: ContentEncoding,
  insertions: readonly Insertion[],
  facts: TextFacts,
): Promise<Splice[]> {
  const { range, read, lineEnd, forbidden } = text
  const [first] = insertions
  if (first === undefined) return []
  const find = (at: number): ReturnType<typeof locate> => locate(encoding, read(range.start, range.end), range, at)
  if (encoding === 'base64') {
    const { raw, octets: before } = await find(first.at)
    const rest: Range = { start: raw, end: range.end }
    const make = (octets: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> =>
      encodeTransfer('base64', inserted(decodeTransfer('base64', octets), insertions, before), {
        ...{ lineEnd, isText: false, forbidden },
      })
    return [{ ...rest, pieces: [{ kind: 'made', range: rest, make }, ...(await endOf(text, encoding))] }]
  }
  const splices: Splice[] = []
  for (const { at, octets } of insertions) {
    const isAtEnd = at === facts.octets && at > 0
    const raw = isAtEnd ? range.end : (await find(at)).raw
    splices.push({ start: raw, end: raw, pieces: [bodyPiece(await written(text, encoding, octets, isAtEnd))] })
  }
  return splices
}

async function written(
  { range, read, lineEnd, forbidden }: TextPart,
  encoding: ContentEncoding,
  octets: Buffer,
  isAtEnd: boolean,
): Promise<Buffer> {
  if (encoding === 'identity') return octets
  const plain = quotedPrintable(octets, { lineEnd, isText: true, forbidden: [] })
  const safe = needsOf(plain, forbidden).isPlain ? plain : quotedPrintable(octets, { lineEnd, isText: true, forbidden })
  // An = that ends the content would take the first line end away.
  const isCut = isAtEnd && (await lastOctets(read, range)).at(-1) === 0x3d
  return isCut ? Buffer.concat([Buffer.from(lineEnd), safe]) : safe
}

/** base64 that is written anew up to its end ends with a line end exactly where it did. */
async function endOf({ range, read, lineEnd }: TextPart, encoding: ContentEncoding): Promise<Piece[]> {
  if (encoding !== 'base64') return []
  return (await lastOctets(read, range)).at(-1) === 0x0a ? [bodyPiece(lineEnd)] : []
}

async function lastOctets(read: RangeReader, { start, end }: Range): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of read(Math.max(start, end - 1), end)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** The content with the insertions in their places; its first octet has the number `at`. */
async function* inserted(
  content: AsyncIterable<Buffer>,
  insertions: readonly Insertion[],
  at: number,
): AsyncGenerator<Buffer> {
  const left = [...insertions]
  let position = at
  for await (const piece of content) {
    let start = 0
    for (let next = left[0]; next !== undefined && next.at < position + piece.length; next = left[0]) {
      yield piece.subarray(start, next.at - position)
      yield next.octets
      start = next.at - position
      left.shift()
    }
    yield piece.subarray(start)
    position += piece.length
  }
  for (const { octets } of left) yield octets
}

/** A text in UTF-8. Errors: EditRefused where it holds what its character set has not: it would be lost. */
async function* asUtf8(content: AsyncIterable<Buffer>, decoder: CharsetDecoder, part: Part): AsyncGenerator<Buffer> {
  let held = ''
  const whole = (text: string): Buffer => {
    if (text.includes('\ufffd')) throw new EditRefused('malformed', part.path, 'text that its character set has not')
    const all = held + text
    const last = all.charCodeAt(all.length - 1)
    // Half of a surrogate pair waits for the other.
    held = last >= 0xd800 && last <= 0xdbff ? all.slice(-1) : ''
    return Buffer.from(held === '' ? all : all.slice(0, -1))
  }
  for await (const piece of content) yield whole(decoder.write(piece))
  yield whole(decoder.end())
}

/**
 * A text as it is added to a part of this type: its lines with LF, the last one without; in HTML what it says, not what it
 * would mean there; in a flowing text (RFC 3676) so that nothing of it flows.
 * Errors: RangeError for NUL and half of a surrogate pair.
 */
export function textFor(part: Part, text: string, html: string | null): string {
  const isHtml = part.contentType === 'text/html'
  const given = isHtml && html !== null ? html : text
  if (!given.isWellFormed()) throw new RangeError('the text holds half of a surrogate pair')
  if (given.includes('\0')) throw new RangeError('the text holds NUL')
  const lines = given.replaceAll(/\r\n?/g, '\n').replace(/\n$/, '').split('\n')
  if (isHtml) return html === null ? `<div>${lines.map(escaped).join('<br>\n')}</div>` : lines.join('\n')
  if (part.parameters.get('format')?.toLowerCase() === 'flowed') return lines.map(fixed).join('\n')
  return lines.join('\n')
}

function escaped(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function fixed(line: string): string {
  let end = line.length
  while (line !== '-- ' && end > 0 && line[end - 1] === ' ') end--
  const kept = line.slice(0, end)
  return /^(?: |>|From )/.test(kept) ? ` ${kept}` : kept
}
