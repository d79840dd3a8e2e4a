/**
 * Reads a message: its parts, where they stand and what their header sections say, and what is odd about them.
 *
 * The body is never held: it goes through one buffer, in pieces, with a turn of the event loop between them. Reading is
 * synchronous (docs/adr/0005); the file is open only until the parts are found.
 */
import { closeSync, fstatSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { openMessage } from '../header/file.ts'
import { identityOf, isSameFile } from '../kept-original.ts'
import { FindingList } from './finding-list.ts'
import { readingLimits } from './limits.ts'
import { changed, rangeOfBytes, readRange, type RangeReader } from './range.ts'
import type { MessageReading, ReadingLimits } from './reading.ts'
import { maxHeldOctets, StructureScanner } from './structure.ts'
import { StructureReading } from './structure-reading.ts'

/** How to read. */
export interface ReadOptions {
  /** Where one is left out, the usual one (`readingLimits`) counts. */
  readonly limits?: Partial<ReadingLimits>
  /** Ends the reading, between two pieces. */
  readonly signal?: AbortSignal | null
}

const pieceOctets = 256 * 1024

/** What was held back stands before the piece that follows it; a multiple of 8, so that pieces begin on a word. */
const heldRoom = Math.ceil(maxHeldOctets / 8) * 8

/** A thread that does not turn for long is taken for a stuck one. */
const turnMs = 20

/** Memory of this size is dear to get and dear to give back; readings that overlap have a buffer each. */
const spare: Buffer[] = []
const maxSpare = 2

/**
 * Reads the message in this data file, as it is at this moment.
 *
 * Shape:  one descriptor while the parts are found, none afterwards: contents open the file again, and fail where it is
 *         no longer the same (`FileIdentity`).
 * Errors: the system's, with its code and the path; Error for what is no regular file, or was changed meanwhile; the
 *         signal's reason. What a message contains is never an error.
 */
export async function readMessage(path: string, options: ReadOptions = {}): Promise<MessageReading> {
  const limits = { ...readingLimits, ...options.limits }
  const fd = openMessage(path)
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new Error(`message ${path} is not a regular file`)
    const identity = identityOf(stats)
    const scan = new Scan(limits, stats.size)
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(heldRoom + pieceOctets)
    try {
      await scan.run(options.signal ?? null, (position, held) => {
        // Before the reading, which takes its place.
        buffer.set(held, heldRoom - held.length)
        const length = readSync(fd, buffer, heldRoom, Math.min(pieceOctets, scan.end - position), position)
        if (length === 0) throw changed(path)
        return buffer.subarray(heldRoom - held.length, heldRoom + length)
      })
    } finally {
      if (spare.length < maxSpare) spare.push(buffer)
    }
    if (!isSameFile(identity, identityOf(fstatSync(fd)))) throw changed(path)
    return scan.reading((start, end, isBrief) => readRange(path, identity, start, end, isBrief))
  } finally {
    closeSync(fd)
  }
}

/** Reads a message in memory; the bytes must stay as they are. Errors: the signal's reason. */
export async function readMessageBytes(bytes: Buffer, options: ReadOptions = {}): Promise<MessageReading> {
  const scan = new Scan({ ...readingLimits, ...options.limits }, bytes.length)
  await scan.run(options.signal ?? null, (position, held) =>
    bytes.subarray(position - held.length, Math.min(position + pieceOctets, scan.end)),
  )
  return scan.reading((start, end) => rangeOfBytes(bytes, start, end))
}

/** One way through a message. */
class Scan {
  /** How far the message is read. */
  readonly end: number
  readonly #octets: number
  readonly #limits: ReadingLimits
  readonly #findings = new FindingList()
  readonly #scanner: StructureScanner

  constructor(limits: ReadingLimits, octets: number) {
    this.#limits = limits
    this.#octets = octets
    this.end = Math.min(octets, limits.octets)
    this.#scanner = new StructureScanner(limits, this.#findings)
  }

  /** `next` gives what was held back and, after it, the octets from `position` on; what it gave before is then worthless. */
  async run(signal: AbortSignal | null, next: (position: number, held: Buffer) => Buffer): Promise<void> {
    let held: Buffer = Buffer.alloc(0)
    let turned = performance.now()
    for (let position = 0; position < this.end && !this.#scanner.isDone;) {
      signal?.throwIfAborted()
      const bytes = next(position, held)
      const base = position - held.length
      position = base + bytes.length
      held = bytes.subarray(this.#scanner.push(bytes, base, position === this.end))
      if (performance.now() - turned < turnMs) continue
      await setImmediate()
      turned = performance.now()
    }
  }

  reading(range: RangeReader): MessageReading {
    if (this.end < this.#octets) this.#findings.add('limit-octets', '', this.end)
    this.#scanner.finish(this.#octets)
    return new StructureReading(this.#scanner.parts, this.#findings, this.#octets, this.#limits, range)
  }
}
