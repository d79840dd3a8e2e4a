/**
 * A message that is to be sorted: its facts, and its octets on demand.
 *
 * The only file of the sorting core that touches the file system.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { readHeaderSection, readMessage } from '../../courier-compat/index.ts'
import type { HeaderSection, MessageReading } from '../../courier-compat/index.ts'

/** Who sends to whom, where a mail server says so; a Maildir knows no envelope. */
export interface PostEnvelope {
  /** `null` is the null sender `<>`. */
  readonly sender: string | null
  readonly recipients: readonly string[]
}

/** What the sorting core wants to know of a message. */
export interface IncomingMessage {
  readonly octets: number
  /** When it came, by our own clock: the time of its file, or now. In whole milliseconds. */
  readonly arrivedAtMs: number
  readonly envelope: PostEnvelope | null
  /** As far as it is within the library's limits. */
  readonly header: HeaderSection
  /** Errors: the system's, and Error where the message was changed meanwhile; never for what it contains. */
  read(): Promise<MessageReading>
  /** SHA-256 in hexadecimal of the body, of at most `maxOctets` of it. Errors: as `read`. */
  bodyDigest(maxOctets: number | null): Promise<string>
}

/** How to open one. */
export interface IncomingOptions {
  readonly envelope?: PostEnvelope | null
  /** Where left out, the time of the file. */
  readonly arrivedAtMs?: number
}

/**
 * Opens the message in this file. Nothing of it is read before it is asked for; no descriptor stays open.
 * Errors: the system's, with its code and the path, also from `header`; Error for what is no regular file.
 */
export function openIncoming(path: string, options: IncomingOptions = {}): IncomingMessage {
  const stats = lstatSync(path)
  if (!stats.isFile()) throw new Error(`message ${path} is not a regular file`)
  let header: HeaderSection | null = null
  const readHeader = (): HeaderSection => (header ??= readHeaderSection(path))
  return {
    octets: stats.size,
    arrivedAtMs: Math.floor(options.arrivedAtMs ?? stats.mtimeMs),
    envelope: options.envelope ?? null,
    get header() {
      return readHeader()
    },
    read: () => readMessage(path),
    bodyDigest: (maxOctets) => digestFrom(path, stats, bodyStartOf(readHeader()), maxOctets),
  }
}

/** Where the body begins, or, of a section that is over a limit, where it was no longer read. */
function bodyStartOf(section: HeaderSection): number {
  return section.bodyStart ?? section.lines.at(-1)?.end ?? 0
}

const pieceOctets = 128 * 1024

/** After this much, others have their turn. */
const turnOctets = 1024 * 1024

// As courier-compat opens messages: a symbolic link could lead elsewhere, a FIFO would block the thread for ever.
const guarded = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

async function digestFrom(path: string, known: Stats, start: number, maxOctets: number | null): Promise<string> {
  const hash = createHash('sha256')
  const end = maxOctets === null ? known.size : Math.min(known.size, start + maxOctets)
  const fd = openSync(path, guarded)
  try {
    const { dev, ino, size } = fstatSync(fd)
    const piece = Buffer.allocUnsafe(Math.min(pieceOctets, Math.max(end - start, 0)))
    let sinceTurn = 0
    for (let at = start; at < end;) {
      const count = readSync(fd, piece, 0, Math.min(piece.length, end - at), at)
      if (count === 0) break
      hash.update(piece.subarray(0, count))
      at += count
      sinceTurn += count
      if (sinceTurn < turnOctets) continue
      sinceTurn = 0
      await turn()
    }
    const after = fstatSync(fd)
    if (dev !== known.dev || ino !== known.ino || size !== known.size || after.size !== size) {
      throw new Error(`message ${path} was changed since it was read`)
    }
  } finally {
    closeSync(fd)
  }
  return hash.digest('hex')
}
