/** Finds the lines between the parts of a multipart, as they stand in the message. */
import type { RangeReader } from '../message/range.ts'
import type { Part } from '../message/reading.ts'

const lf = 0x0a
const cr = 0x0d

/** A delimiter has 72 octets and blanks after it; more than this is none that we would touch. */
const maxLineOctets = 1000

/** A delimiter line. */
export interface DelimiterLine {
  /** Where its first hyphen stands. */
  readonly start: number
  /** Where the next line begins. */
  readonly end: number
  /** Without its line end and the blanks before that. */
  readonly text: string
}

/** The line that begins a part. `null`: there is none, so that the part is not one of a multipart as we know it. */
export async function delimiterBefore(read: RangeReader, part: Part): Promise<DelimiterLine | null> {
  const start = Math.max(part.parent?.bodyStart ?? 0, part.start - maxLineOctets)
  const octets = await readAll(read, start, part.start)
  if (octets.at(-1) !== lf) return null
  const found = octets.length < 2 ? -1 : octets.lastIndexOf(lf, octets.length - 2)
  if (found === -1 && start > (part.parent?.bodyStart ?? 0)) return null
  return lineAt(octets, found + 1, start)
}

/** The line after a part, and the line end before it, which belongs to it. `null`: the part is the end of everything. */
export async function delimiterAfter(read: RangeReader, part: Part, limit: number): Promise<DelimiterLine | null> {
  const octets = await readAll(read, part.end, Math.min(limit, part.end + maxLineOctets))
  return lineAt(octets, lineEndOctets(octets), part.end)
}

/** True if the delimiter after a part has no line end of its own: the part has no octet of body. */
export async function lacksLineEnd(read: RangeReader, part: Part, limit: number): Promise<boolean> {
  if (part.end > part.bodyStart || part.end >= limit) return false
  return lineEndOctets(await readAll(read, part.end, Math.min(limit, part.end + 2))) === 0
}

async function readAll(read: RangeReader, start: number, end: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of read(start, end)) pieces.push(piece)
  return Buffer.concat(pieces)
}

function lineEndOctets(octets: Buffer): number {
  if (octets[0] === lf) return 1
  return octets[0] === cr && octets[1] === lf ? 2 : 0
}

function lineAt(octets: Buffer, at: number, base: number): DelimiterLine | null {
  const found = octets.indexOf(lf, at)
  const end = found === -1 ? octets.length : found + 1
  const text = octets.toString('latin1', at, end).trimEnd()
  return text.startsWith('--') ? { start: base + at, end: base + end, text } : null
}
