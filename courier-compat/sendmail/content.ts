/**
 * A message on its way into Courier's `sendmail`: whole, in a file.
 *
 * Not through a pipe: whatever ends the one that writes into it (an error of the source, a time limit, a thread that is
 * replaced) ends the message as well, and Courier queues and delivers the half of it.
 */
import { constants } from 'node:fs'
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'

/** A message: octets, a stream that is read once (and destroyed where it is not read to its end), or a regular file. */
export type MessageSource = Uint8Array | Readable | { readonly path: string }

const pieceOctets = 64 * 1024
const [lf, cr] = [0x0a, 0x0d]

/**
 * Opens a message as a file to be read from its beginning: the file itself where it is one, else a temporary one that has no
 * name any more.
 *
 * Shape:  a temporary file has LF line ends. Memory does not grow with the message.
 * Errors: the system's; TypeError for what is no message; what the stream fails with; the signal's reason.
 */
export async function openMessageFile(source: MessageSource, signal: AbortSignal): Promise<FileHandle> {
  if (!(source instanceof Uint8Array || source instanceof Readable)) return openRegularFile(source)
  const { target, file } = await openNameless()
  try {
    for await (const piece of readMessage(source, signal)) await target.writeFile(piece)
    return file
  } catch (thrown) {
    await file.close()
    throw thrown
  } finally {
    await target.close()
  }
}

/** A new file, to be written and to be read, that is gone when both are closed, however this process ends. */
async function openNameless(): Promise<{ readonly target: FileHandle; readonly file: FileHandle }> {
  const folder = await mkdtemp(join(tmpdir(), 'nodefilter-send-'))
  try {
    const path = join(folder, 'message')
    const target = await open(path, 'wx', 0o600)
    try {
      return { target, file: await open(path, 'r') }
    } catch (thrown) {
      await target.close()
      throw thrown
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Reads a message to its end, with LF line ends.
 * Errors: as `openMessageFile`.
 */
export async function* readMessage(source: MessageSource, signal: AbortSignal | null): AsyncGenerator<Uint8Array> {
  const stream = await streamOf(source)
  const onAbort = (): void => void stream.destroy()
  signal?.addEventListener('abort', onAbort)
  try {
    signal?.throwIfAborted()
    yield* withLfLineEnds(stream)
  } catch (thrown) {
    signal?.throwIfAborted()
    throw thrown
  } finally {
    signal?.removeEventListener('abort', onAbort)
    stream.destroy()
  }
}

async function streamOf(source: MessageSource): Promise<Readable> {
  if (source instanceof Uint8Array) return Readable.from(piecesOf(source))
  if (!(source instanceof Readable)) return (await openRegularFile(source)).createReadStream()
  // It would be read as an empty message.
  if (source.destroyed || source.readableEnded) throw new TypeError('the stream of the message was read already')
  return source
}

async function openRegularFile(source: { readonly path: string }): Promise<FileHandle> {
  // A caller in JavaScript may hand in anything.
  if (typeof (source as { path?: unknown } | null)?.path !== 'string') {
    throw new TypeError('a message is a Uint8Array, a Readable, or { path }')
  }
  const handle = await open(source.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile()) throw new TypeError(`${source.path} is no regular file`)
  } catch (thrown) {
    await handle.close()
    throw thrown
  }
  return handle
}

function* piecesOf(octets: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < octets.length; at += pieceOctets) yield octets.subarray(at, at + pieceOctets)
}

/**
 * Writes CRLF as LF, and an LF after a last line that has none. A CR alone stays.
 * Errors: TypeError for a piece that is neither octets nor text.
 */
export async function* withLfLineEnds(pieces: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  let isCrHeld = false
  let last: number | null = null
  for await (const piece of pieces) {
    const octets = octetsOf(piece)
    if (octets.length === 0) continue
    const converted = isCrHeld || octets.includes(cr) ? convert(octets, isCrHeld) : octets
    isCrHeld = octets.at(-1) === cr
    last = octets.at(-1) ?? null
    if (converted.length > 0) yield converted
  }
  if (isCrHeld) yield Uint8Array.of(cr)
  if (last !== null && last !== lf) yield Uint8Array.of(lf)
}

/** A CR at the end is left out: whether it goes is seen in the next piece. */
function convert(octets: Buffer, isCrHeld: boolean): Uint8Array {
  const result = Buffer.allocUnsafe(octets.length + 1)
  let length = 0
  if (isCrHeld && octets[0] !== lf) result[length++] = cr
  let from = 0
  for (let at = octets.indexOf(cr); at !== -1; at = octets.indexOf(cr, at + 1)) {
    const isPart = at + 1 === octets.length || octets[at + 1] === lf
    length += octets.copy(result, length, from, isPart ? at : at + 1)
    from = at + 1
  }
  length += octets.copy(result, length, from)
  return result.subarray(0, length)
}

function octetsOf(piece: unknown): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece)
  if (piece instanceof Uint8Array) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
  throw new TypeError('the stream of a message gave neither octets nor text')
}
