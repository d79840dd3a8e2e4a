/**
 * Counts over all octets of a message.
 *
 * Pure: no clock, socket, file or logger; memory is one piece.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import type { OctetFacts } from './reading.ts'

const lf = 0x0a
const cr = 0x0d

/**
 * The facts of the octets in `pieces`, of which the first `headerOctets` are the header section.
 * Shape: a line ends with LF; the CRs right before it belong to its line end.
 */
export async function octetFacts(pieces: AsyncIterable<Buffer>, headerOctets: number): Promise<OctetFacts> {
  const counter = new OctetCounter()
  const utf8 = new Utf8Check()
  const emptyLine = new EmptyLineSearch()
  let octets = 0
  let hasEightBit = false
  let hasEightBitHeader = false
  for await (const piece of pieces) {
    counter.count(piece)
    utf8.check(piece)
    emptyLine.look(piece)
    hasEightBit ||= !isAscii(piece)
    if (octets < headerOctets) hasEightBitHeader ||= !isAscii(piece.subarray(0, headerOctets - octets))
    octets += piece.length
  }
  const { firstEmptyLine } = emptyLine
  return { octets, ...counter.end(), hasEightBit, hasEightBitHeader, isUtf8: utf8.end(), firstEmptyLine }
}

class OctetCounter {
  #crlf = 0
  #lf = 0
  #cr = 0
  #nul = 0
  #longest = 0
  /** Of the current line, without the CRs at its end so far. */
  #line = 0
  #crs = 0

  count(piece: Buffer): void {
    let [crlf, lfs, allCr, nul, line, crs] = [0, 0, 0, 0, this.#line, this.#crs]
    let longest = this.#longest
    for (let at = 0; at < piece.length; at++) {
      const octet = piece[at]
      if (octet === lf) {
        lfs++
        if (crs > 0) crlf++
        if (line > longest) longest = line
        line = 0
        crs = 0
      } else if (octet === cr) {
        allCr++
        crs++
      } else {
        line += crs + 1
        crs = 0
        if (octet === 0) nul++
      }
    }
    this.#crlf += crlf
    this.#lf += lfs
    this.#cr += allCr
    this.#nul += nul
    this.#line = line
    this.#crs = crs
    this.#longest = longest
  }

  end(): Pick<OctetFacts, 'crlf' | 'bareLf' | 'bareCr' | 'nul' | 'longestLine'> {
    return {
      crlf: this.#crlf,
      bareLf: this.#lf - this.#crlf,
      bareCr: this.#cr - this.#crlf,
      nul: this.#nul,
      longestLine: Math.max(this.#longest, this.#line),
    }
  }
}

/** Two line ends of one kind in a row, also where pieces are cut between them. */
class EmptyLineSearch {
  firstEmptyLine: number | null = null
  #before = 0
  #tail: Buffer = Buffer.alloc(0)

  look(piece: Buffer): void {
    if (this.firstEmptyLine !== null) return
    const bytes = Buffer.concat([this.#tail, piece])
    const found = ['\r\n\r\n', '\n\n', '\r\r'].map((ends) => bytes.indexOf(ends)).filter((at) => at !== -1)
    if (found.length > 0) this.firstEmptyLine = this.#before + Math.min(...found)
    this.#tail = Buffer.from(bytes.subarray(-3))
    this.#before += bytes.length - this.#tail.length
  }
}

/** UTF-8 in pieces: a character that a piece breaks off is looked at with the next one. */
class Utf8Check {
  #isUtf8 = true
  #begun: Buffer = Buffer.alloc(0)

  check(piece: Buffer): void {
    if (!this.#isUtf8) return
    const bytes = this.#begun.length === 0 ? piece : Buffer.concat([this.#begun, piece])
    const whole = wholeCharacters(bytes)
    this.#isUtf8 = isUtf8(bytes.subarray(0, whole))
    this.#begun = Buffer.from(bytes.subarray(whole))
  }

  end(): boolean {
    return this.#isUtf8 && this.#begun.length === 0
  }
}

/** The octets up to a character at the end that has begun, and is not complete. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const octet = bytes[bytes.length - back] ?? 0
    if (octet < 0x80) break
    if (octet < 0xc0) continue
    const length = octet < 0xe0 ? 2 : octet < 0xf0 ? 3 : 4
    return length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}
