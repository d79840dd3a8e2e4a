/**
 * Decodes a content with the old transfer encoding `x-uuencode`: the file between `begin` and `end`.
 *
 * Pure: no clock, socket, file or logger.
 * Source: POSIX `uuencode`, historical algorithm.
 */
import type { OctetDecoder, OnProblem } from './content-types.ts'

const lf = 0x0a
const cr = 0x0d
const blank = 0x20

/** A line holds 45 octets in 61 characters, by its first character at most 63 in 85; some programs add a check sum. */
const maxLineOctets = 128

/** A line that lost its blanks is one octet and its LF, and holds up to 63. */
const maxGrowth = 32

/** A decoder of one content. It tells `bad-uuencode`: no `begin` or `end`, text after it, lines that are none. */
export function uuencodeDecoder(onProblem: OnProblem): OctetDecoder {
  const line = Buffer.allocUnsafe(maxLineOctets)
  let lineOctets = 0
  let isOverlong = false
  let state: 'before' | 'inside' | 'after' = 'before'
  let empty = 0

  const endOfLine = (into: Buffer, at: number): number => {
    let end = lineOctets
    while (end > 0 && line[end - 1] === cr) end--
    const wasOverlong = isOverlong
    lineOctets = 0
    isOverlong = false
    if (end === 0) return 0
    const text = line.subarray(0, end)
    if (state === 'inside') {
      if (isEnd(text)) {
        state = 'after'
        return 0
      }
      if (!wasOverlong) return decodeLine(text, into, at, onProblem)
      onProblem('bad-uuencode')
      return 0
    }
    if (isBegin(text)) {
      if (state === 'after') onProblem('bad-uuencode')
      state = 'inside'
    } else if (state === 'after') onProblem('bad-uuencode')
    else empty++
    return 0
  }

  return {
    write(octets) {
      const decoded = Buffer.allocUnsafe(octets.length * maxGrowth + maxLineOctets)
      let length = 0
      for (let start = 0; start < octets.length;) {
        const found = octets.indexOf(lf, start)
        const end = found === -1 ? octets.length : found
        const taken = Math.min(end - start, maxLineOctets - lineOctets)
        octets.copy(line, lineOctets, start, start + taken)
        lineOctets += taken
        if (taken < end - start) isOverlong = true
        if (found !== -1) length += endOfLine(decoded, length)
        start = end + 1
      }
      return decoded.subarray(0, length)
    },
    end() {
      const decoded = Buffer.allocUnsafe(maxLineOctets)
      const length = endOfLine(decoded, 0)
      if (state === 'inside' || (state === 'before' && empty > 0)) onProblem('bad-uuencode')
      return decoded.subarray(0, length)
    },
  }
}

/** `begin 644 name`, whose name may be longer than what is held of the line. */
function isBegin(line: Buffer): boolean {
  return /^begin [0-7]{3,4} ?/.test(line.toString('latin1'))
}

function isEnd(line: Buffer): boolean {
  return line.length >= 3 && line.length <= 5 && line.toString('latin1').trimEnd() === 'end'
}

/** Writes what a line holds, and gives its length. Blanks at the line's end, each a zero, are often lost on the way. */
function decodeLine(line: Buffer, into: Buffer, start: number, onProblem: OnProblem): number {
  const length = valueOf(line[0])
  const wanted = Math.ceil(length / 3) * 4
  if (length === -1 || line.length > wanted + 2) {
    onProblem('bad-uuencode')
    return 0
  }
  let at = start
  let isOdd = false
  for (let index = 0; index < wanted; index += 4) {
    let bits = 0
    for (let each = 1; each <= 4; each++) {
      const value = valueOf(line[index + each] ?? blank)
      if (value === -1) isOdd = true
      bits = (bits << 6) | (value & 63)
    }
    into[at++] = (bits >> 16) & 0xff
    into[at++] = (bits >> 8) & 0xff
    into[at++] = bits & 0xff
  }
  if (isOdd) onProblem('bad-uuencode')
  return length
}

/** -1 for what is no character of uuencode. */
function valueOf(octet: number | undefined): number {
  return octet === undefined || octet < blank || octet > 0x60 ? -1 : (octet - blank) & 63
}
