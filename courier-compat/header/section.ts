/**
 * The header section of a message as bytes: its fields in order, every octet kept.
 *
 * Pure: no clock, socket, file or logger. Time and memory grow with the length of the section, nothing else.
 * Source: RFC 5322 2.2 and 4.5 (blanks before the colon), RFC 6532 (UTF-8), spec courier 4.2 (what Courier lets stand).
 */
import { isUtf8 } from 'node:buffer'

const lf = 0x0a
const cr = 0x0d
const blank = 0x20
const tab = 0x09
const colon = 0x3a

/** A line of the section with the lines that continue it. Offsets count octets from the beginning of the message. */
export interface HeaderLine {
  /** As written; `null` for what is no field: `From bob Sat`, a line without a colon, a name with octets beyond ASCII. */
  readonly name: string | null
  /** Exactly as it stands, with its folding and its line end; at the end of a file the line end may be missing. */
  readonly raw: Buffer
  readonly start: number
  readonly end: number
}

/** A header field. */
export interface HeaderField extends HeaderLine {
  readonly name: string
  /**
   * The value unfolded (line ends before a blank or tab are gone, the blanks stay), without blanks at both ends. Nothing
   * is decoded: this is the lossless form.
   */
  readonly valueBytes: Buffer
  /**
   * `valueBytes` as text: UTF-8 where it is valid UTF-8, as RFC 6532 wants it, else one character an octet (latin1), which
   * old mail with raw 8-bit letters is most often. Encoded words (RFC 2047) stand as they are.
   */
  readonly value: string
}

/** Limits of one section. What is beyond them is not parsed, and `overLimit` says so. */
export interface HeaderLimits {
  readonly sectionOctets: number
  readonly fieldOctets: number
  /** Fields, and lines that are none. */
  readonly lines: number
}

/** Far beyond real mail: a field with a thousand recipients has some 60 KB, a long way's mail some hundred fields. */
export const headerLimits: HeaderLimits = { sectionOctets: 1024 * 1024, fieldOctets: 256 * 1024, lines: 10_000 }

/** What `parseHeaderSection` finds. */
export interface HeaderSection {
  /** In order and without gaps: their `raw` joined is the section, octet for octet. */
  readonly lines: readonly (HeaderLine | HeaderField)[]
  /** Those of `lines` that are fields. */
  readonly fields: readonly HeaderField[]
  /** The blank line after the section: LF, CRLF, or empty where the message has none and is all header. */
  readonly separator: Buffer
  /** Where the body begins; `null` if the section is over a limit. */
  readonly bodyStart: number | null
  /** How the section's first line ends, and so how a new field should: LF where there is no line. */
  readonly lineEnd: '\n' | '\r\n'
  /** The limit that was passed; `lines` then ends before the line that passed it. `null`: all of it was read. */
  readonly overLimit: keyof HeaderLimits | null
}

/**
 * Parses the header section at the beginning of `bytes`.
 *
 * Shape:  the section ends at the first empty line (LF or CRLF alone), or with the bytes. A line that begins with a blank
 *         or a tab continues the one before it, also where it holds nothing else. Nothing is refused.
 *         `base` is where in the message the bytes begin, for the header section of a part.
 */
export function parseHeaderSection(bytes: Buffer, limits: HeaderLimits = headerLimits, base = 0): HeaderSection {
  const lines: (HeaderLine | HeaderField)[] = []
  const fields: HeaderField[] = []
  const end = findHeaderEnd(bytes) ?? { sectionEnd: sectionEndAtEof(bytes), bodyStart: bytes.length }
  let overLimit: keyof HeaderLimits | null = null
  for (let start = 0; start < end.sectionEnd;) {
    const next = endOfField(bytes, start, end.sectionEnd)
    if (next > limits.sectionOctets) overLimit = 'sectionOctets'
    else if (next - start > limits.fieldOctets) overLimit = 'fieldOctets'
    else if (lines.length === limits.lines) overLimit = 'lines'
    if (overLimit !== null) break
    const line = parseLine(bytes.subarray(start, next), base + start)
    lines.push(line)
    if (isField(line)) fields.push(line)
    start = next
  }
  return {
    ...{ lines, fields, overLimit, lineEnd: lineEndOf(bytes.subarray(0, end.bodyStart)) },
    separator: bytes.subarray(end.sectionEnd, end.bodyStart),
    bodyStart: overLimit === null ? base + end.bodyStart : null,
  }
}

/** True if this line is a field. */
export function isField(line: HeaderLine): line is HeaderField {
  return line.name !== null
}

/** The fields with this name, letter case aside, in order. */
export function fieldsNamed(section: Pick<HeaderSection, 'fields'>, name: string): HeaderField[] {
  const wanted = name.toLowerCase()
  return section.fields.filter((field) => field.name.toLowerCase() === wanted)
}

/**
 * Finds the empty line that ends the section: where it begins, and where the body begins after it.
 * `from` is an offset up to which there is known to be none, for whoever reads in pieces. `null`: there is none.
 */
export function findHeaderEnd(bytes: Buffer, from = 0): { sectionEnd: number; bodyStart: number } | null {
  // Two octets back, since an LF, or an LF and a CR, may have been the last that was seen.
  const before = from < 2 ? -1 : bytes.indexOf(lf, from - 2)
  if (from >= 2 && before === -1) return null
  let start = before + 1
  for (;;) {
    if (bytes[start] === lf) return { sectionEnd: start, bodyStart: start + 1 }
    if (bytes[start] === cr && bytes[start + 1] === lf) return { sectionEnd: start, bodyStart: start + 2 }
    const found = bytes.indexOf(lf, start)
    if (found === -1) return null
    start = found + 1
  }
}

/** A CR alone in the last line is an empty line whose LF is missing: with it, what stands before would be the section. */
function sectionEndAtEof(bytes: Buffer): number {
  const start = bytes.length - 1
  return bytes[start] === cr && (start === 0 || bytes[start - 1] === lf) ? start : bytes.length
}

/** The offset after the line at `start` and all lines that continue it. */
function endOfField(bytes: Buffer, start: number, limit: number): number {
  for (let at = start; ;) {
    const found = bytes.indexOf(lf, at)
    if (found === -1 || found >= limit) return limit
    at = found + 1
    if (at >= limit || !isBlank(bytes[at])) return at
  }
}

function parseLine(raw: Buffer, start: number): HeaderLine | HeaderField {
  const end = start + raw.length
  let length = 0
  while (isNameOctet(raw[length])) length++
  let at = length
  while (isBlank(raw[at])) at++
  if (length === 0 || raw[at] !== colon) return { name: null, raw, start, end }
  return new Field(raw.toString('latin1', 0, length), raw, start, raw.subarray(at + 1))
}

/** Values are unfolded when they are asked for: most filters look at one or two fields of twenty. */
class Field implements HeaderField {
  readonly name: string
  readonly raw: Buffer
  readonly start: number
  readonly end: number
  readonly #folded: Buffer
  #value: string | null = null

  constructor(name: string, raw: Buffer, start: number, folded: Buffer) {
    this.name = name
    this.raw = raw
    this.start = start
    this.end = start + raw.length
    this.#folded = folded
  }

  get valueBytes(): Buffer {
    return unfold(this.#folded)
  }

  get value(): string {
    if (this.#value === null) {
      const bytes = this.valueBytes
      this.#value = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')
    }
    return this.#value
  }
}

function unfold(folded: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let start = 0; start < folded.length;) {
    const found = folded.indexOf(lf, start)
    const next = found === -1 ? folded.length : found + 1
    let end = found === -1 ? next : found
    if (found !== -1 && end > start && folded[end - 1] === cr) end--
    pieces.push(folded.subarray(start, end))
    start = next
  }
  const whole = pieces.length === 1 ? (pieces[0] ?? folded) : Buffer.concat(pieces)
  let from = 0
  let to = whole.length
  while (from < to && isBlank(whole[from])) from++
  while (to > from && isBlank(whole[to - 1])) to--
  return whole.subarray(from, to)
}

function lineEndOf(bytes: Buffer): '\n' | '\r\n' {
  const found = bytes.indexOf(lf)
  return found > 0 && bytes[found - 1] === cr ? '\r\n' : '\n'
}

function isBlank(octet: number | undefined): boolean {
  return octet === blank || octet === tab
}

/** RFC 5322 3.6.8, `ftext`: printable ASCII but the colon. */
function isNameOctet(octet: number | undefined): boolean {
  return octet !== undefined && octet > blank && octet < 0x7f && octet !== colon
}
