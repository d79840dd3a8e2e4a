/**
 * The boundaries that are open at a place of a message, found by what a line says and not one by one: ten thousand nested
 * multiparts cost a line what one costs.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 2046 5.1.1: a delimiter is two hyphens, the boundary, two more hyphens in the last one, then blanks.
 */

const hyphen = 0x2d
const blank = 0x20
const tab = 0x09
const cr = 0x0d

/** A longer boundary is none that we, or anybody, looks for: RFC 2046 allows 70 octets. */
export const maxBoundaryOctets = 512

/** The longest line that can be a delimiter, with generous room for blanks at its end. */
export const maxDelimiterOctets = maxBoundaryOctets + 512

/** A line that is a delimiter. */
export interface Delimiter {
  /** Of the multipart, as it was given to `open`. */
  readonly depth: number
  /** It is the last one of its boundary. */
  readonly isLast: boolean
  /** The boundary was closed before, and should not stand here. */
  readonly isLate: boolean
  readonly boundary: string
}

/** Work that one message may cause by lines which only look like delimiters. */
const maxPrefixTests = 100_000

export class Boundaries {
  /** Boundary (latin1) -> depths of the open multiparts that have it, the innermost last. */
  readonly #open = new Map<string, number[]>()
  /** The same for multiparts which are closed, as long as their text after the end lasts. */
  readonly #closed = new Map<string, number>()
  readonly #lengths = new Map<number, number>()
  /** How many boundaries begin with each octet. */
  readonly #firsts = new Uint32Array(256)
  #size = 0
  #prefixTests = 0

  /** No line can be a delimiter. */
  get isEmpty(): boolean {
    return this.#size === 0
  }

  /**
   * A multipart begins. Each boundary is taken without the blanks at its end.
   * Returns how it stands to those around it, for readers that compare beginnings: `shorter` than one that begins with it,
   * or equal; `longer` than one that it begins with.
   */
  open(boundary: string, depth: number): 'shorter' | 'longer' | null {
    const clashes = this.#clashes(boundary)
    const depths = this.#open.get(boundary)
    if (depths === undefined) this.#open.set(boundary, [depth])
    else depths.push(depth)
    this.#count(boundary, 1)
    return clashes
  }

  /** Its last delimiter was found. */
  close(boundary: string, depth: number): void {
    this.#removeOpen(boundary)
    this.#closed.set(boundary, depth)
  }

  /** The multipart is over, and what stood after its end as well. */
  forget(boundary: string, depth: number): void {
    if (this.#closed.get(boundary) === depth) this.#closed.delete(boundary)
    else this.#removeOpen(boundary)
    this.#count(boundary, -1)
  }

  /** What the line `bytes[start..end)` is, which begins with two hyphens and has no LF. */
  match(bytes: Buffer, start: number, end: number): Delimiter | null {
    const from = start + 2
    let to = end
    while (to > from && isPadding(bytes[to - 1])) to--
    if (to === from || to - from > maxBoundaryOctets + 2 || !this.canBegin(bytes[from])) return null
    const next = this.#lengths.has(to - from) ? this.#find(bytes.toString('latin1', from, to), false) : null
    if (next !== null && !next.isLate) return next
    const isLast = to - from > 2 && bytes[to - 1] === hyphen && bytes[to - 2] === hyphen
    if (!isLast || !this.#lengths.has(to - from - 2)) return next
    const last = this.#find(bytes.toString('latin1', from, to - 2), true)
    return last !== null && !last.isLate ? last : (next ?? last)
  }

  /** Whether some boundary begins with this octet: most lines that begin with hyphens are told apart by it. */
  canBegin(octet: number | undefined): boolean {
    return octet !== undefined && this.#firsts[octet] !== 0
  }

  /** Whether a line that is no delimiter begins as one does: readers that compare beginnings see a delimiter there. */
  resembles(bytes: Buffer, start: number, end: number): boolean {
    const from = start + 2
    if (!this.canBegin(bytes[from]) || this.#prefixTests > maxPrefixTests) return false
    for (const length of this.#lengths.keys()) {
      if (length >= end - from) continue
      this.#prefixTests++
      if (this.#open.has(bytes.toString('latin1', from, from + length))) return true
    }
    return false
  }

  #find(boundary: string, isLast: boolean): Delimiter | null {
    const depth = this.#open.get(boundary)?.at(-1)
    if (depth !== undefined) return { depth, isLast, isLate: false, boundary }
    const closed = this.#closed.get(boundary)
    return closed === undefined ? null : { depth: closed, isLast, isLate: true, boundary }
  }

  #removeOpen(boundary: string): void {
    const depths = this.#open.get(boundary)
    depths?.pop()
    if (depths?.length === 0) this.#open.delete(boundary)
  }

  #clashes(boundary: string): 'shorter' | 'longer' | null {
    let isLonger = false
    for (const other of this.#open.keys()) {
      if (other.startsWith(boundary)) return 'shorter'
      isLonger ||= boundary.startsWith(other)
    }
    return isLonger ? 'longer' : null
  }

  #count(boundary: string, change: 1 | -1): void {
    this.#size += change
    const first = boundary.charCodeAt(0) & 0xff
    this.#firsts[first] = (this.#firsts[first] ?? 0) + change
    const count = (this.#lengths.get(boundary.length) ?? 0) + change
    if (count === 0) this.#lengths.delete(boundary.length)
    else this.#lengths.set(boundary.length, count)
  }
}

function isPadding(octet: number | undefined): boolean {
  return octet === blank || octet === tab || octet === cr
}
