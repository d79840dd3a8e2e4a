/**
 * The octets of messages on their way in and out. Small ones are held in memory and go into the store; a longer one becomes a
 * file: written under a temporary name, synced, renamed, its folder synced, all before any transaction names it.
 *
 * Whatever the size, a message goes through one buffer, and its digest is taken on the way.
 */
import { createHash, hash as hashOf, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { DepotError } from './errors.ts'
import type { Content, StoredMessage } from './depot-types.ts'

/** A content that was taken in. */
export interface TakenIn {
  readonly content: Buffer | null
  readonly file: string | null
  readonly octets: number
  readonly digest: string
}

/** Where large contents go. */
export interface ContentStore {
  /** The folder. */
  readonly folder: string
  readonly fileMode: number
  readonly insideOctets: number
  readonly maxOctets: number
  /** Syncs the folder; calls at the same time share one sync. */
  readonly syncFolder: () => Promise<void>
}

/** Names of finished files, and of those being written. */
export const fileName = /^[0-9a-f]{32}(\.part)?$/

const pieceOctets = 256 * 1024

/** Takes a content in. Errors: those of its source; DEPOT_FULL, DEPOT_WRITE_FAILED. */
export async function takeIn(message: Content, store: ContentStore): Promise<TakenIn> {
  if (message instanceof Uint8Array && message.length <= store.insideOctets) {
    // A copy: the caller may use its octets again before they are written.
    const content = Buffer.from(message)
    return { content, file: null, octets: content.length, digest: hashOf('sha256', content, 'hex') }
  }
  const hash = createHash('sha256')
  const small: Buffer[] = []
  let octets = 0
  let large: Writing | null = null
  try {
    for await (const piece of piecesOf(message)) {
      octets += piece.length
      if (octets > store.maxOctets)
        throw new DepotError('DEPOT_FULL', `the message alone is over ${store.maxOctets} octets`)
      hash.update(piece)
      if (large === null && octets <= store.insideOctets) {
        small.push(Buffer.from(piece))
        continue
      }
      if (large === null) {
        large = await startFile(store)
        for (const early of small.splice(0)) await writing(large.handle.writeFile(early))
      }
      await writing(large.handle.writeFile(piece))
    }
    const digest = hash.digest('hex')
    if (large === null) return { content: Buffer.concat(small), file: null, octets, digest }
    await finishFile(large, store)
    return { content: null, file: large.name, octets, digest }
  } catch (error) {
    if (large !== null) await abandon(large)
    throw error
  }
}

/** What the store holds of a message, for reading. */
export function storedMessage(
  { octets, digest, file }: { readonly octets: number; readonly digest: string; readonly file: string | null },
  content: Buffer,
  folder: string,
): StoredMessage {
  const path = file === null ? null : join(folder, file)
  const stream = (): Readable =>
    path === null ? Readable.from(octets === 0 ? [] : [content], { objectMode: false }) : createReadStream(path)
  return {
    octets,
    digest,
    path,
    stream,
    bytes: async (maxOctets = 16 * 1024 * 1024) => {
      if (octets > maxOctets) throw new DepotError('MESSAGE_UNREADABLE', `${octets} octets, more than ${maxOctets}`)
      if (path === null) return content
      const pieces: Buffer[] = []
      for await (const piece of stream()) pieces.push(piece as Buffer)
      return Buffer.concat(pieces)
    },
  }
}

interface Writing {
  readonly name: string
  readonly path: string
  readonly handle: FileHandle
}

async function* piecesOf(message: Content): AsyncGenerator<Uint8Array> {
  if (message instanceof Uint8Array) {
    for (let at = 0; at < message.length; at += pieceOctets) yield message.subarray(at, at + pieceOctets)
    return
  }
  if (!(message instanceof Readable)) {
    yield* piecesOfFile(message.path)
    return
  }
  for await (const piece of message) {
    if (typeof piece === 'string') yield Buffer.from(piece)
    else if (piece instanceof Uint8Array) yield piece
    else throw new TypeError('the stream of a message gave something other than octets')
  }
}

/** Through one buffer: a stream makes one for each piece, and of a large file they are many before they are collected. */
async function* piecesOfFile(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(pieceOctets)
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

async function startFile(store: ContentStore): Promise<Writing> {
  const name = randomBytes(16).toString('hex')
  const path = join(store.folder, name)
  const handle = await writing(open(`${path}.part`, 'wx', store.fileMode))
  await writing(handle.chmod(store.fileMode))
  return { name, path, handle }
}

async function finishFile({ path, handle }: Writing, store: ContentStore): Promise<void> {
  await writing(handle.sync())
  await writing(handle.close())
  await writing(rename(`${path}.part`, path))
  await writing(store.syncFolder())
}

async function abandon({ path, handle }: Writing): Promise<void> {
  await handle.close().catch(() => undefined)
  await unlink(`${path}.part`).catch(() => undefined)
  await unlink(path).catch(() => undefined)
}

async function writing<T>(step: Promise<T>): Promise<T> {
  try {
    return await step
  } catch (error) {
    throw new DepotError('DEPOT_WRITE_FAILED', error instanceof Error ? error.message : String(error), error)
  }
}
