/**
 * Writes content in a transfer encoding, piece by piece.
 *
 * Pure; time by the octets, memory by the piece.
 * Source: RFC 2045 2.7, 2.8 (what 7bit and 8bit allow), 6.7, 6.8; RFC 5322 2.1.1.
 */
import { isAscii } from 'node:buffer'
import type { ContentEncoding } from './transfer-decode.ts'

/** How lines of a message end. */
export type LineEnd = '\n' | '\r\n'

/** How content is written. */
export interface EncodingOptions {
  readonly lineEnd: LineEnd
  /** Line ends of the content are line ends of a text, and go out as lines; otherwise each octet is kept. */
  readonly isText: boolean
  /** What no line may begin with: the boundaries around the part. */
  readonly forbidden: readonly string[]
}

const lf = 0x0a
const cr = 0x0d

/** A line without its line end: RFC 5322 2.1.1. */
export const maxLineOctets = 998

/** Octets of content that make a line of base64 with 76 octets. */
const groupOctets = 57

/**
 * The octets of a body with this content.
 *
 * Shape:  base64 ends without a line end; the others end as the content does.
 * Errors: RangeError from `identity` for NUL, for lines that are too long or begin with what is forbidden.
 */
export function encodeTransfer(
  encoding: ContentEncoding,
  content: AsyncIterable<Uint8Array>,
  options: EncodingOptions,
): AsyncIterable<Uint8Array> {
  if (encoding === 'base64') return encodeBase64(content, options.lineEnd)
  return encoding === 'quoted-printable' ? encodeQuotedPrintable(content, options) : plainLines(content, options)
}

async function* encodeBase64(content: AsyncIterable<Uint8Array>, lineEnd: LineEnd): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  let isFirst = true
  const lines = (octets: Buffer): Buffer => {
    const text = octets.toString('base64')
    let out = ''
    for (let at = 0; at < text.length; at += 76) {
      out += (isFirst ? '' : lineEnd) + text.slice(at, at + 76)
      isFirst = false
    }
    return Buffer.from(out, 'latin1')
  }
  for await (const piece of content) {
    const octets = Buffer.concat([rest, piece])
    const whole = octets.length - (octets.length % groupOctets)
    if (whole > 0) yield lines(octets.subarray(0, whole))
    rest = Buffer.from(octets.subarray(whole))
  }
  if (rest.length > 0) yield lines(rest)
}

async function* encodeQuotedPrintable(
  content: AsyncIterable<Uint8Array>,
  options: EncodingOptions,
): AsyncGenerator<Buffer> {
  const lines = new QuotedPrintableLines(options)
  for await (const piece of content) yield lines.push(piece)
  yield lines.end()
}

/** Quoted-printable of some octets. */
export function quotedPrintable(content: Uint8Array, options: EncodingOptions): Buffer {
  const lines = new QuotedPrintableLines(options)
  return Buffer.concat([lines.push(content), lines.end()])
}

const hex = '0123456789ABCDEF'

class QuotedPrintableLines {
  readonly #lineEnd: LineEnd
  readonly #isText: boolean
  readonly #guardsDashes: boolean
  #column = 0
  /** A blank or a CR that may stand before a line end. */
  #held: number | null = null
  #out = ''

  constructor({ lineEnd, isText, forbidden }: EncodingOptions) {
    this.#lineEnd = lineEnd
    this.#isText = isText
    this.#guardsDashes = forbidden.length > 0
  }

  push(content: Uint8Array): Buffer {
    for (const octet of content) this.#step(octet)
    return this.#take()
  }

  end(): Buffer {
    if (this.#held !== null) this.#escaped(this.#held)
    this.#held = null
    return this.#take()
  }

  #take(): Buffer {
    const out = Buffer.from(this.#out, 'latin1')
    this.#out = ''
    return out
  }

  #step(octet: number): void {
    const held = this.#held
    this.#held = null
    const isLineEnd = this.#isText && octet === lf
    if (held !== null) {
      if (held === cr && !isLineEnd) this.#escaped(cr)
      else if (held !== cr) this.#blank(held, isLineEnd || octet === cr)
    }
    if (isLineEnd) {
      this.#out += this.#lineEnd
      this.#column = 0
    } else if (octet === 0x20 || octet === 0x09 || (octet === cr && this.#isText)) this.#held = octet
    else if (octet < 0x20 || octet > 0x7e || octet === 0x3d) this.#escaped(octet)
    else if (octet === 0x2d && this.#guardsDashes && this.#column === 0) this.#escaped(octet)
    else this.#put(String.fromCharCode(octet))
  }

  #blank(octet: number, isAtEnd: boolean): void {
    if (isAtEnd) this.#escaped(octet)
    else this.#put(String.fromCharCode(octet))
  }

  #escaped(octet: number): void {
    this.#put(`=${hex[octet >> 4] ?? ''}${hex[octet & 15] ?? ''}`)
  }

  #put(token: string): void {
    if (this.#column + token.length > 75) {
      this.#out += `=${this.#lineEnd}`
      this.#column = 0
      // At the beginning of a line a dash is another matter.
      if (token === '-' && this.#guardsDashes) return this.#escaped(0x2d)
    }
    this.#out += token
    this.#column += token.length
  }
}

async function* plainLines(
  content: AsyncIterable<Uint8Array>,
  { lineEnd, isText, forbidden }: EncodingOptions,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  const check = (line: Buffer): void => {
    const problem = lineProblem(line, forbidden)
    if (problem !== null) throw new RangeError(problem)
  }
  for await (const piece of content) {
    const octets = Buffer.concat([rest, piece])
    const lines: Buffer[] = []
    let at = 0
    for (let found = octets.indexOf(lf); found !== -1; found = octets.indexOf(lf, at)) {
      const end = isText && found > at && octets[found - 1] === cr ? found - 1 : found
      const line = octets.subarray(at, end)
      check(line)
      lines.push(line, isText ? Buffer.from(lineEnd) : octets.subarray(end, found + 1))
      at = found + 1
    }
    rest = Buffer.from(octets.subarray(at))
    if (rest.length > maxLineOctets + 1) check(rest)
    if (lines.length > 0) yield Buffer.concat(lines)
  }
  check(rest)
  if (rest.length > 0) yield rest
}

function lineProblem(line: Buffer, forbidden: readonly string[]): string | null {
  if (line.length > maxLineOctets) return `a line of more than ${maxLineOctets} octets needs a transfer encoding`
  if (line.includes(0)) return 'an octet 0 needs a transfer encoding'
  if (forbidden.some((start) => line.toString('latin1', 0, start.length) === start)) {
    return 'a line that begins as a boundary around it needs a transfer encoding'
  }
  return null
}

/** What octets ask of a transfer encoding. */
export interface Needs {
  readonly isAscii: boolean
  /** They can stand in a message as they are, 8-bit octets aside. */
  readonly isPlain: boolean
}

/** Looks at octets that are in memory, in one pass. `octets` are lines, LF or CRLF. */
export function needsOf(octets: Uint8Array, forbidden: readonly string[]): Needs {
  const content = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
  let isPlain = !content.includes(0) && !hasBareCr(content)
  for (let at = 0; isPlain && at < content.length;) {
    const found = content.indexOf(lf, at)
    const end = found === -1 ? content.length : found
    isPlain = lineProblem(content.subarray(at, end), forbidden) === null
    at = end + 1
  }
  return { isAscii: isAscii(content), isPlain }
}

function hasBareCr(content: Buffer): boolean {
  for (let at = content.indexOf(cr); at !== -1; at = content.indexOf(cr, at + 1)) {
    if (content[at + 1] !== lf) return true
  }
  return false
}
