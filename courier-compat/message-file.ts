/**
 * Writes a new version of a data file, so that at every moment the file has the old content or the new one, whole.
 *
 * The steps: the original gets its second name; the new version is written under a name that Courier ignores, and synced;
 * it is renamed over the data file. The body goes through in pieces, without stopping the thread: nothing here costs
 * memory or event loop by the size of the message. The folder is not synced: if the machine stops now, Courier has not
 * accepted the message yet, and moves the file into another folder when it does.
 *
 * Source: contracts.md, "Edits, and how they are undone"; spec courier 4.1 (mode and group), 4.9, 4.10.
 */
import { constants, linkSync, lstatSync, renameSync, unlinkSync, type Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { noteVersion } from './message-versions.ts'
import { identityOf, isSameFile, keptOriginalPath, newVersionPath, type FileIdentity } from './kept-original.ts'

/** A new version of a message. */
export interface NewVersion {
  readonly bodyPath: string
  /** The data file that it is made from; another one in its place is an error. */
  readonly from: FileIdentity
  /** The header section with its empty line. */
  readonly head: Buffer
  /** The body: octets, or where it begins in the present data file. */
  readonly body: Buffer | number
  /** Called right before the new version takes its place; what it throws ends the edit. */
  readonly beforeRename?: () => void
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

const pieceOctets = 256 * 1024
const lf = 0x0a

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
  /** Whether the file under the name is still the one that was made here. */
  const isOurs = (): boolean => ino !== null && files.lstatSync(path).ino === ino
  try {
    try {
      const stats = await target.stat()
      ino = stats.ino
      if (stats.gid !== gid) await target.chown(stats.uid, gid)
      // The mode that a file is made with is cut by the umask.
      await target.chmod(mode)
      await write(version, source, target, signal)
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
    version.beforeRename?.()
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

async function write(
  { bodyPath, from, head, body }: NewVersion,
  source: FileHandle,
  target: FileHandle,
  signal: AbortSignal | null,
): Promise<void> {
  let last = head.at(-1)
  await target.writeFile(head)
  if (typeof body !== 'number') {
    await target.writeFile(body)
    last = body.at(-1) ?? last
  } else {
    const piece = Buffer.allocUnsafe(Math.min(pieceOctets, Math.max(from.size - body, 1)))
    for (let at = body; at < from.size;) {
      signal?.throwIfAborted()
      const { bytesRead } = await source.read(piece, 0, Math.min(piece.length, from.size - at), at)
      if (bytesRead === 0) throw new Error(`${bodyPath} became shorter while it was read`)
      await target.writeFile(piece.subarray(0, bytesRead))
      last = piece[bytesRead - 1]
      at += bytesRead
    }
  }
  if (last !== undefined && last !== lf) await target.writeFile('\n')
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
