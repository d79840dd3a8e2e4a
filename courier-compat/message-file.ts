/**
 * Writes a new version of a data file, so that at every moment the file has the old content or the new one, whole.
 *
 * The steps: the original gets its second name; the new version is written under a name that Courier ignores, and synced;
 * it is renamed over the data file. The message goes through in pieces, without stopping the thread: nothing here costs
 * memory or event loop by the size of the message. The folder is not synced: if the machine stops now, Courier has not
 * accepted the message yet, and moves the file into another folder when it does.
 *
 * Source: contracts.md, "Edits, and how they are undone"; spec courier 4.1 (mode and group), 4.9, 4.10.
 */
import { isAscii } from 'node:buffer'
import { constants, linkSync, lstatSync, renameSync, unlinkSync, type Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { noteVersion } from './message-versions.ts'
import { identityOf, isSameFile, keptOriginalPath, newVersionPath, type FileIdentity } from './kept-original.ts'
import type { Piece } from './message-edit/pieces.ts'
import { rangeOfBytes } from './message/range.ts'
import type { Range } from './message/reading.ts'

/** A new version of a message. */
export interface NewVersion {
  readonly bodyPath: string
  /** The data file that it is made from; another one in its place is an error. */
  readonly from: FileIdentity
  /** The whole of it, in order. */
  readonly pieces: readonly Piece[]
  /** What copied pieces are ranges of, where that is not the data file: then nothing of it was in the message before. */
  readonly content?: Buffer | null
  /** Called right before the new version takes its place; what it throws ends the edit. */
  readonly beforeRename?: (written: Written) => void
}

/** What was seen of a new version while it was written. */
export interface Written {
  /** New octets of its body are beyond ASCII. */
  readonly hasNewEightBit: boolean
}

/** The calls in use; each behaves as its namesake. Handed in so that tests can make any of them fail. */
export interface MessageFiles {
  readonly open: (path: string, flags: number, mode?: number) => Promise<FileHandle>
  readonly linkSync: typeof linkSync
  readonly lstatSync: (path: string) => Stats
  readonly renameSync: typeof renameSync
  readonly unlinkSync: typeof unlinkSync
}

/** The machine's files. */
export const messageFiles: MessageFiles = {
  open,
  linkSync,
  lstatSync: (path) => lstatSync(path),
  renameSync,
  unlinkSync,
}

/** The submitter's process must read it, whoever's it is (spec courier 4.1). */
const mode = 0o660

const bufferOctets = 256 * 1024
const lf = 0x0a
const lineFeed = Buffer.from('\n')

/**
 * Writes the version and puts it in the data file's place.
 *
 * Shape:  a last line without LF gets one, or a mail server that the message is relayed to would wait for it for ever.
 * Errors: the system's; Error where the data file is not `from`, or another rewriting of it is going on; the signal's
 *         reason where it is aborted before the rename. The data file is then as it was, and nothing lies beside it.
 */
export async function writeVersion(
  version: NewVersion,
  signal: AbortSignal | null = null,
  files: MessageFiles = messageFiles,
): Promise<void> {
  const { bodyPath, from } = version
  const source = await files.open(bodyPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = await source.stat()
    if (!isSameFile(identityOf(stats), from)) throw new Error(`${bodyPath} was changed since it was read`)
    noteVersion(bodyPath, from)
    const isFirst = linkOnce(bodyPath, files)
    try {
      await replaceBy(version, source, stats.gid, signal, files)
    } catch (thrown) {
      attempt(() => {
        const isUntouched = isFirst && isSameFile(identityOf(files.lstatSync(bodyPath)), from)
        if (isUntouched) files.unlinkSync(keptOriginalPath(bodyPath))
      })
      throw thrown
    }
  } finally {
    await source.close()
  }
}

/** True if the original had no second name yet. */
function linkOnce(bodyPath: string, files: MessageFiles): boolean {
  try {
    files.linkSync(bodyPath, keptOriginalPath(bodyPath))
    return true
  } catch (thrown) {
    if (isCode(thrown, 'EEXIST')) return false
    throw thrown
  }
}

async function replaceBy(
  version: NewVersion,
  source: FileHandle,
  gid: number,
  signal: AbortSignal | null,
  files: MessageFiles,
): Promise<void> {
  const { bodyPath, from } = version
  const path = newVersionPath(bodyPath)
  const target = await create(path, files)
  let ino: number | null = null
  let written: Written
  /** Whether the file under the name is still the one that was made here. */
  const isOurs = (): boolean => ino !== null && files.lstatSync(path).ino === ino
  try {
    try {
      const stats = await target.stat()
      ino = stats.ino
      if (stats.gid !== gid) await target.chown(stats.uid, gid)
      // The mode that a file is made with is cut by the umask.
      await target.chmod(mode)
      written = await write(version, source, target, signal)
      await target.datasync()
    } finally {
      await target.close()
    }
    signal?.throwIfAborted()
    // From here to the rename nothing else runs on this thread.
    if (!isOurs() || !isSameFile(identityOf(files.lstatSync(bodyPath)), from)) {
      throw new Error(`${bodyPath} is being rewritten by two edits at once`)
    }
    // Another edit that failed meanwhile may have taken it away.
    linkOnce(bodyPath, files)
    version.beforeRename?.(written)
    files.renameSync(path, bodyPath)
    noteVersion(bodyPath, identityOf(files.lstatSync(bodyPath)))
  } catch (thrown) {
    attempt(() => {
      if (ino === null || isOurs()) files.unlinkSync(path)
    })
    throw thrown
  }
}

async function create(path: string, files: MessageFiles): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  try {
    return await files.open(path, flags, mode)
  } catch (thrown) {
    if (!isCode(thrown, 'EEXIST')) throw thrown
    // Left by a thread that was ended in the middle.
    files.unlinkSync(path)
    return files.open(path, flags, mode)
  }
}

/** Writes the pieces through one buffer, so that many small ones cost one call. */
async function write(
  { bodyPath, from, pieces, content = null }: NewVersion,
  source: FileHandle,
  target: FileHandle,
  signal: AbortSignal | null,
): Promise<Written> {
  const buffer = Buffer.allocUnsafe(Math.min(bufferOctets, knownOctets(pieces) + 1))
  let filled = 0
  let last = lf
  let hasNewEightBit = false
  const flush = async (): Promise<void> => {
    signal?.throwIfAborted()
    if (filled > 0) await target.writeFile(buffer.subarray(0, filled))
    filled = 0
  }
  const put = async (octets: Uint8Array, isNewBody: boolean): Promise<void> => {
    if (isNewBody && !isAscii(octets)) hasNewEightBit = true
    for (let at = 0; at < octets.length;) {
      const part = octets.subarray(at, at + buffer.length - filled)
      buffer.set(part, filled)
      filled += part.length
      at += part.length
      if (filled === buffer.length) await flush()
    }
    last = octets.at(-1) ?? last
  }
  /** Reads to where it is written from. */
  const copy = async ({ start, end }: Range): Promise<void> => {
    for (let at = start; at < end;) {
      const { bytesRead } = await source.read(buffer, filled, Math.min(buffer.length - filled, end - at), at)
      if (bytesRead === 0) throw new Error(`${bodyPath} became shorter while it was read`)
      at += bytesRead
      filled += bytesRead
      last = buffer[filled - 1] ?? last
      if (filled === buffer.length) await flush()
    }
  }
  const rangeOf = (range: Range): AsyncIterable<Buffer> => {
    if (content !== null) return rangeOfBytes(content, range.start, range.end)
    return rangePieces(source, range, bodyPath)
  }
  for (const piece of pieces) {
    if (piece.kind === 'octets') await put(piece.octets, piece.isBody)
    else if (piece.kind === 'made') {
      for await (const octets of piece.make(rangeOf(piece.range ?? { start: 0, end: 0 }))) await put(octets, true)
    } else if (content === null) await copy({ start: piece.start, end: Math.min(piece.end, from.size) })
    else await put(content.subarray(piece.start, piece.end), true)
  }
  if (last !== lf) await put(lineFeed, false)
  await flush()
  return { hasNewEightBit }
}

async function* rangePieces(source: FileHandle, { start, end }: Range, bodyPath: string): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const piece = Buffer.allocUnsafe(Math.min(bufferOctets, end - at))
    const { bytesRead } = await source.read(piece, 0, piece.length, at)
    if (bytesRead === 0) throw new Error(`${bodyPath} became shorter while it was read`)
    yield piece.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** What the pieces come to, as far as it is known beforehand. */
function knownOctets(pieces: readonly Piece[]): number {
  let octets = 0
  for (const piece of pieces) {
    if (piece.kind === 'octets') octets += piece.octets.length
    else if (piece.kind === 'copied') octets += piece.end - piece.start
    else octets += bufferOctets
  }
  return octets
}

/** For what is done in vain after a failure: the failure is what has to be told. */
function attempt(act: () => void): void {
  try {
    act()
  } catch {
    // What stays is removed by the host when the message is settled.
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code
}
