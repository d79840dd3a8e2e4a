/**
 * Looks at every octet of a message for what readers of mail disagree about: CR without LF, NUL, mixed line ends, lines
 * beyond the limit, octets in base64 that are none.
 *
 * Counts nothing, so that octets of no interest go by four at a time; `octetFacts` counts.
 * Pure: no clock, socket, file or logger.
 */

const lf = 0x0a
const cr = 0x0d
const blank = 0x20
const tab = 0x09
const equals = 0x3d

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

interface Tables {
  /** 1 for an octet that is a digit of base64. */
  readonly digit: Uint8Array
  /** How many of a pair of octets are. */
  readonly pair: Uint8Array
}

function makeTables(): Tables {
  const digit = new Uint8Array(256)
  for (let index = 0; index < base64Digits.length; index++) digit[base64Digits.charCodeAt(index)] = 1
  const pair = new Uint8Array(65_536)
  for (let index = 0; index < pair.length; index++) pair[index] = (digit[index & 0xff] ?? 0) + (digit[index >> 8] ?? 0)
  return { digit, pair }
}

let tables: Tables | null = null

/** How much base64 is looked at in one go, where its lines are equally long. */
const blockOctets = 32 * 1024

/** The memory that the bytes are in, four octets at a time. */
function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2)
}

/** The octets must be given in order, each once; offsets are those of the message. */
export class OctetChecks {
  bareCrAt: number | null = null
  nulAt: number | null = null
  longLineAt: number | null = null
  hasCrlf = false
  hasBareLf = false
  readonly #lineOctets: number
  #last = 0
  #lineStart = 0
  #position = 0
  #base64: 'none' | 'digits' | 'padded' | 'bad' = 'none'

  constructor(lineOctets: number) {
    this.#lineOctets = lineOctets
  }

  /** How far the octets were looked at. */
  get position(): number {
    return this.#position
  }

  /** The next octets are base64, or no longer. */
  setBase64(isBase64: boolean): void {
    this.#base64 = isBase64 ? 'digits' : 'none'
  }

  /**
   * Looks at `bytes[from..to)`.
   * Returns where octets stand among the base64 that are none, or that stand behind its end; once for each content.
   */
  look(bytes: Buffer, from: number, to: number): number | null {
    if (from >= to) return null
    const base = this.#position - from
    // A CR that was the last octet of the piece before: only now is it known to be none of a line end.
    const isAfterCr = this.#last === cr && bytes[from] !== lf
    const at = this.skipBase64(bytes, from, to)
    if (at === to) return null
    if (this.longLineAt === null) this.#lookForLongLine(bytes, at, to, base)
    this.#plain(bytes, at, to, base)
    this.#position = base + to
    if (this.#base64 === 'none' || this.#base64 === 'bad') return null
    this.#base64 = 'bad'
    return base + (isAfterCr ? from - 1 : at)
  }

  /** Looks at them as long as they are base64, with its line ends, and has to be. Returns where to go on. */
  skipBase64(bytes: Buffer, from: number, to: number): number {
    if (from >= to || this.#base64 === 'none' || this.#base64 === 'bad') return from
    const base = this.#position - from
    const at = this.#digits(bytes, from, to, base)
    if (this.longLineAt === null) this.#lookForLongLine(bytes, from, at, base)
    this.#position = base + at
    return at
  }

  /** The message is over. */
  end(): void {
    if (this.#last === cr) this.bareCrAt ??= this.#position - 1
    if (this.#position - this.#lineStart > this.#lineOctets) this.longLineAt ??= this.#lineStart
  }

  #octet(octet: number, offset: number): void {
    const last = this.#last
    if (octet === lf) {
      if (last === cr) this.hasCrlf = true
      else this.hasBareLf = true
    } else if (last === cr) this.bareCrAt ??= offset - 1
    if (octet === 0) this.nulAt ??= offset
    this.#last = octet
  }

  #plain(bytes: Buffer, from: number, to: number, base: number): void {
    const shift = bytes.byteOffset
    const words = wordsOf(bytes)
    const firstWord = (shift + from + 3) >> 2
    const endWord = (shift + to) >> 2
    let at = from
    for (const end = Math.min(to, (firstWord << 2) - shift); at < end; at++) this.#octet(bytes[at] ?? 0, base + at)
    // Line ends are frequent enough that `#octet` would cost more than all the rest: they are seen to here.
    let last = this.#last
    for (let index = firstWord; index < endWord; index++) {
      const word = words[index] ?? 0
      // The known test for octets below a bound, of a word at once: NUL, LF, CR and a few of no interest.
      if (((word - 0x0e0e0e0e) & ~word & 0x80808080) === 0 && last !== cr) {
        last = 0
        continue
      }
      const first = (index << 2) - shift
      for (let each = first; each < first + 4; each++) {
        const octet = bytes[each] ?? 0
        if (octet === lf) {
          if (last === cr) this.hasCrlf = true
          else this.hasBareLf = true
        } else if (last === cr) this.bareCrAt ??= base + each - 1
        if (octet === 0) this.nulAt ??= base + each
        last = octet
      }
    }
    this.#last = last
    at = Math.max(at, (endWord << 2) - shift)
    for (; at < to; at++) this.#octet(bytes[at] ?? 0, base + at)
  }

  /** Returns the index of the first octet that is out of place; the octets before it were looked at. */
  #digits(bytes: Buffer, from: number, to: number, base: number): number {
    tables ??= makeTables()
    const { digit } = tables
    const words = wordsOf(bytes)
    let isPadded = this.#base64 === 'padded'
    let at = from
    let tryBlockAt = from
    if (this.#last === cr) {
      if (bytes[at] !== lf) return from
      this.#octet(lf, base + at++)
    }
    while (at < to) {
      if (!isPadded && at >= tryBlockAt && (at > from ? bytes[at - 1] : this.#last) === lf) {
        const after = this.#equalLines(bytes, words, at, to, tables)
        // Lines that are not alike are not tried again at once, or each would cost a block.
        if (after === at) tryBlockAt = at + blockOctets
        at = after
        if (at === to) break
      }
      const octet = bytes[at] ?? 0
      if (digit[octet] === 1) {
        if (isPadded) break
      } else if (octet === cr && at + 1 < to && bytes[at + 1] === lf) {
        this.hasCrlf = true
        at++
      } else if (octet === lf) this.hasBareLf = true
      else if (octet === equals) isPadded = true
      // What is wrong with it, a CR for one, is seen by whoever looks at the rest.
      else if (octet !== blank && octet !== tab && !(octet === cr && at + 1 === to)) break
      at++
    }
    this.#base64 = isPadded ? 'padded' : 'digits'
    if (at > from) this.#last = bytes[at - 1] ?? 0
    return at
  }

  /**
   * A block of lines that are as long as the one at `start` and hold digits alone: the line ends are looked for where they
   * must be, and the digits counted without a look at each, which takes a third of the time.
   * Returns where the next line begins after them; `start` where they are not like that.
   */
  #equalLines(bytes: Buffer, words: Int32Array, start: number, to: number, { digit, pair }: Tables): number {
    const found = bytes.indexOf(lf, start)
    const length = found + 1 - start
    if (found === -1 || length > blockOctets / 16) return start
    const isCrlf = found > start && bytes[found - 1] === cr
    const end = Math.min(to, start + blockOctets)
    let lines = 0
    let at = start
    for (; at + length <= end && bytes[at + length - 1] === lf; at += length) {
      if (isCrlf && bytes[at + length - 2] !== cr) break
      lines++
    }
    const shift = bytes.byteOffset
    const firstWord = (start + shift + 3) >> 2
    const endWord = (at + shift) >> 2
    let digits = 0
    for (let each = start, stop = (firstWord << 2) - shift; each < stop; each++) digits += digit[bytes[each] ?? 0] ?? 0
    for (let index = firstWord; index < endWord; index++) {
      const word = words[index] ?? 0
      digits += (pair[word & 0xffff] ?? 0) + (pair[word >>> 16] ?? 0)
    }
    for (let each = (endWord << 2) - shift; each < at; each++) digits += digit[bytes[each] ?? 0] ?? 0
    if (digits !== at - start - lines * (isCrlf ? 2 : 1)) return start
    if (isCrlf) this.hasCrlf = true
    else this.hasBareLf = true
    return at
  }

  /** Leaps from the last line end that is near enough to the next: costs nothing where lines are short. */
  #lookForLongLine(bytes: Buffer, from: number, to: number, base: number): void {
    for (;;) {
      // A line of just the limit may have CR and LF after it; one with LF alone has an octet more, which nobody counts.
      const farthest = this.#lineStart + this.#lineOctets + 1 - base
      // A negative index would count from the end.
      const found = farthest < from ? -1 : bytes.lastIndexOf(lf, Math.min(farthest, to - 1))
      if (found >= from && base + found >= this.#lineStart) {
        this.#lineStart = base + found + 1
        if (farthest >= to - 1) return
      } else {
        if (farthest < to - 1) this.longLineAt = this.#lineStart
        return
      }
    }
  }
}
