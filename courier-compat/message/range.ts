/**
 * Octets of a message that was read before, a range at a time: from its data file or from memory.
 *
 * No descriptor stays open between two pieces, so a stream that nobody reads to its end holds nothing; each piece makes
 * sure that the file is still the one that was read.
 */
import { closeSync, fstatSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { openMessage } from '../header/file.ts'
import { identityOf, isSameFile, type FileIdentity } from '../kept-original.ts'

/**
 * Where a reading finds its octets again: from `start`, up to `end` and not with it. `isBrief`: a piece is done with when the
 * next one is asked for, and may lie in the same memory.
 */
export type RangeReader = (start: number, end: number, isBrief?: boolean) => AsyncIterable<Buffer>

const pieceOctets = 128 * 1024

/** After this much, others have their turn: reading from the page cache never waits by itself. */
const turnOctets = 1024 * 1024

/**
 * The octets `start` .. `end` of a data file, in pieces of their own memory, or of the same where they are `isBrief`.
 *
 * Errors: the system's, with its code and the path; Error where the file is not the one of this identity, or no longer.
 */
export async function* readRange(
  path: string,
  identity: FileIdentity,
  start: number,
  end: number,
  isBrief = false,
): AsyncGenerator<Buffer, void, undefined> {
  let sinceTurn = 0
  let memory: Buffer | null = null
  for (let at = start; at < end;) {
    const length = Math.min(end - at, pieceOctets)
    if (memory === null || !isBrief) memory = Buffer.allocUnsafeSlow(length)
    const piece = memory.subarray(0, length)
    readPiece(path, identity, at, piece)
    at += piece.length
    sinceTurn += piece.length
    yield piece
    if (sinceTurn >= turnOctets) {
      sinceTurn = 0
      await setImmediate()
    }
  }
}

/** The same of octets in memory: the pieces share it. */
export async function* rangeOfBytes(
  bytes: Buffer,
  start: number,
  end: number,
): AsyncGenerator<Buffer, void, undefined> {
  for (let at = start; at < end; at += turnOctets) {
    if (at > start) await setImmediate()
    yield bytes.subarray(at, Math.min(end, at + turnOctets))
  }
}

function readPiece(path: string, identity: FileIdentity, at: number, piece: Buffer): void {
  const fd = openMessage(path)
  try {
    const count = readSync(fd, piece, 0, piece.length, at)
    // After the reading: a change that came before it is seen, and one that comes later is not in the piece.
    if (count !== piece.length || !isSameFile(identity, identityOf(fstatSync(fd)))) throw changed(path)
  } finally {
    closeSync(fd)
  }
}

/** What is thrown where a data file is no longer the one that was read. */
export function changed(path: string): Error {
  return new Error(`message ${path} was changed since it was read`)
}
