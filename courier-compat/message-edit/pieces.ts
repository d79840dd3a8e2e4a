/**
 * What a new version of a message is made of: pieces that are copied from the message as it is, and pieces that are new.
 *
 * Pure. Whatever nobody edited is copied octet for octet, since it is never anything but a range.
 */
import type { Range } from '../message/reading.ts'

/** One piece; they follow each other in the order of the new version. */
export type Piece = CopiedPiece | OctetsPiece | MadePiece

/** Octets of the message as it is. */
export interface CopiedPiece extends Range {
  readonly kind: 'copied'
}

/** New octets. */
export interface OctetsPiece {
  readonly kind: 'octets'
  readonly octets: Buffer
  /** True where octets beyond ASCII among them are new octets of a body, of which Courier has to be told. */
  readonly isBody: boolean
}

/** Octets that are made while they are written, of a range of the message or (`null`) of nothing. Always of a body. */
export interface MadePiece {
  readonly kind: 'made'
  readonly range: Range | null
  readonly make: (octets: AsyncIterable<Buffer>) => AsyncIterable<Uint8Array>
}

/** Pieces that take the place of a range; an empty range is a place between two octets. */
export interface Splice extends Range {
  readonly pieces: readonly Piece[]
}

/** New octets of a body, as a piece. */
export function bodyPiece(octets: Buffer | string): OctetsPiece {
  return { kind: 'octets', octets: typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets, isBody: true }
}

/** The octets of a header section, as a piece: which of them are new, its editor knows. */
export function headerPiece(octets: Buffer): OctetsPiece {
  return { kind: 'octets', octets, isBody: false }
}

/**
 * The range with these splices done: what is between them is copied.
 *
 * Shape:  splices of one place stand in the order in which they are given.
 * Errors: RangeError where two overlap or one leaves the range: an edit was let through that should not have been.
 */
export function spliced({ start, end }: Range, splices: readonly Splice[]): Piece[] {
  const pieces: Piece[] = []
  let at = start
  for (const splice of [...splices].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (splice.start < at || splice.end < splice.start || splice.end > end) {
      throw new RangeError(`an edit of octets ${splice.start} to ${splice.end} overlaps another`)
    }
    if (splice.start > at) pieces.push({ kind: 'copied', start: at, end: splice.start })
    for (const piece of splice.pieces) pieces.push(piece)
    at = splice.end
  }
  if (at < end) pieces.push({ kind: 'copied', start: at, end })
  return pieces
}
