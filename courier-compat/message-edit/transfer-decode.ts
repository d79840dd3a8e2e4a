/**
 * Undoes a transfer encoding, so that content can be written again: strict, since what two readers read differently must
 * not be made into one reading here.
 *
 * Pure; time by the octets, memory by the piece.
 * Source: RFC 2045 6.7 (quoted-printable), 6.8 (base64).
 */
import { hexDigit } from '../message/escapes.ts'
import type { Range } from '../message/reading.ts'
import { transferDecoder } from '../message/transfer-decoder.ts'
import { MalformedContent } from './refusal.ts'

const lf = 0x0a
const cr = 0x0d
const blank = 0x20
const tab = 0x09
const equals = 0x3d

/** The encodings that text can be written into; `identity` is 7bit, 8bit, binary or none. */
export type ContentEncoding = 'identity' | 'quoted-printable' | 'base64'

/** The content behind the octets of a body. Errors: MalformedContent. */
export function decodeTransfer(encoding: ContentEncoding, octets: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  if (encoding === 'base64') return decodeBase64(octets)
  return encoding === 'quoted-printable' ? decodeQuotedPrintable(octets) : octets
}

async function* decodeBase64(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isMalformed = false
  const decoder = transferDecoder('base64', () => (isMalformed = true))
  const checked = (octets: Buffer): Buffer => {
    if (isMalformed) throw new MalformedContent('base64 that readers decode differently')
    return octets
  }
  for await (const piece of pieces) yield checked(decoder.write(piece))
  yield checked(decoder.end())
}

async function* decodeQuotedPrintable(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // What is no sequence nearly every reader has as it stands.
  const decoder = transferDecoder('quoted-printable', () => undefined)
  for await (const piece of pieces) yield decoder.write(piece)
  const rest = decoder.end()
  if (rest.length > 0) yield rest
}

/** More blanks than this in a row are taken for content, as the reader takes them: they are held until it is known. */
const maxBlanks = 4096

/**
 * Quoted-printable, octet by octet, as the reader's decoder reads it, but knowing where each octet is written. Blanks at the
 * end of a line are none; an `=` that begins nothing is one; both as nearly every reader has it.
 */
export class QuotedPrintableScan {
  /** Octets of content so far. */
  count = 0
  /** Where in the message the octet of content with number `wanted` is written; `null` until it was seen. */
  place: number | null = null
  readonly #wanted: number
  #raw: number
  #state: 'text' | 'equals' | 'hex' | 'soft' | 'soft-cr' = 'text'
  /** What is not decided yet: blanks, or an `=` and what follows it. */
  #held: number[] = []
  #heldAt = 0
  #out: Uint8Array = new Uint8Array(0)
  #length = 0

  /** `start` is where the body begins. */
  constructor(start: number, wanted = -1) {
    this.#raw = start
    this.#wanted = wanted
  }

  /** The content of the next octets; valid until the next call. */
  push(piece: Uint8Array): Uint8Array {
    const room = piece.length + this.#held.length
    if (this.#out.length < room) this.#out = new Uint8Array(room)
    this.#length = 0
    for (const octet of piece) {
      this.#step(octet)
      this.#raw++
    }
    return this.#out.subarray(0, this.#length)
  }

  /** What was held at the end. */
  end(): Uint8Array {
    this.#out = new Uint8Array(this.#held.length)
    this.#length = 0
    // Blanks at the end go, as at the end of a line; so does an = alone.
    if (this.#state === 'hex') this.#release()
    else if (this.#state === 'text') this.#dropBlanks()
    this.#held = []
    return this.#out.subarray(0, this.#length)
  }

  #step(octet: number): void {
    const isBlank = octet === blank || octet === tab
    switch (this.#state) {
      case 'text':
        if (isBlank || octet === cr) {
          if (this.#held.at(-1) === cr || this.#held.length === maxBlanks) this.#release()
          return this.#hold(octet)
        }
        if (octet === lf) this.#dropBlanks()
        else this.#release()
        if (octet !== equals) return this.#emit(octet, this.#raw)
        this.#hold(octet)
        this.#state = 'equals'
        return
      case 'equals':
        if (hexDigit(octet) !== -1) {
          this.#hold(octet)
          this.#state = 'hex'
          return
        }
        this.#state = 'soft'
        return this.#step(octet)
      case 'hex': {
        const high = hexDigit(this.#held[1])
        const low = hexDigit(octet)
        this.#state = 'text'
        if (high === -1 || low === -1) {
          this.#release()
          return this.#step(octet)
        }
        this.#held = []
        return this.#emit(high * 16 + low, this.#heldAt)
      }
      case 'soft':
      case 'soft-cr':
        if (octet === lf) {
          this.#held = []
          this.#state = 'text'
          return
        }
        if (this.#state === 'soft' && (isBlank || octet === cr) && this.#held.length <= maxBlanks) {
          this.#hold(octet)
          if (octet === cr) this.#state = 'soft-cr'
          return
        }
        this.#state = 'text'
        this.#release()
        return this.#step(octet)
    }
  }

  #hold(octet: number): void {
    if (this.#held.length === 0) this.#heldAt = this.#raw
    this.#held.push(octet)
  }

  /** Of what is held at the end of a line only a CR stays. */
  #dropBlanks(): void {
    if (this.#held.at(-1) === cr) this.#emit(cr, this.#heldAt + this.#held.length - 1)
    this.#held = []
  }

  #release(): void {
    for (const [index, octet] of this.#held.entries()) this.#emit(octet, this.#heldAt + index)
    this.#held = []
  }

  #emit(octet: number, raw: number): void {
    if (this.count === this.#wanted) this.place = raw
    this.count++
    this.#out[this.#length++] = octet
  }
}

/** Where to begin to write anew so that something can be put before the octet of content with number `wanted`. */
export interface Place {
  /** The offset in the message, and how many octets of content stand before it. */
  readonly raw: number
  readonly octets: number
}

/**
 * Finds the place for an insertion before an octet of content.
 *
 * Shape:  identity and quoted-printable: the place itself. base64: the last line before it that begins a group of its own;
 *         from there on the content has to be encoded anew.
 */
export async function locate(
  encoding: ContentEncoding,
  pieces: AsyncIterable<Buffer>,
  range: Range,
  wanted: number,
): Promise<Place> {
  if (wanted === 0) return { raw: range.start, octets: 0 }
  if (encoding === 'identity') return { raw: range.start + wanted, octets: wanted }
  if (encoding === 'quoted-printable') {
    const scan = new QuotedPrintableScan(range.start, wanted)
    for await (const piece of pieces) {
      scan.push(piece)
      if (scan.place !== null) break
    }
    scan.end()
    return { raw: scan.place ?? range.end, octets: wanted }
  }
  let place: Place = { raw: range.start, octets: 0 }
  /** A line that begins here counts once something stands in it: so the last line is filled up. */
  let next: Place = place
  let count = 0
  let raw = range.start
  for await (const piece of pieces) {
    for (const octet of piece) {
      raw++
      // It was decoded before, so whatever is none of these is a symbol.
      if (octet !== lf && octet !== cr && octet !== blank && octet !== tab && octet !== equals) {
        count++
        place = next
      } else if (octet === lf && count % 4 === 0 && (count / 4) * 3 <= wanted) {
        next = { raw, octets: (count / 4) * 3 }
      }
    }
  }
  return place
}
