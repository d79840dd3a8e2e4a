/**
 * The quarantine folder: the few operations on its files, none of which follows a link or leaves the folder.
 *
 * Everything is asynchronous: a sync may take longer than a thread may stand still.
 * Source: spec reliability R48, R49; contracts.md, "Failure" (unsafe folders).
 */
import { constants, type Stats } from 'node:fs'
import fs, { type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../text-file.ts'

/** The calls in use; each behaves as its namesake in `node:fs/promises`. Handed in so that tests can make any of them fail. */
export interface QuarantineFiles {
  readonly open: (path: string, flags: number, mode?: number) => Promise<FileHandle>
  readonly link: (from: string, to: string) => Promise<void>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly unlink: (path: string) => Promise<void>
  readonly mkdir: (path: string, options: { readonly mode: number }) => Promise<unknown>
  readonly lstat: (path: string) => Promise<Stats>
  readonly readdir: (path: string) => Promise<string[]>
}

/** The machine's files. */
export const quarantineFiles: QuarantineFiles = fs

/** An opened folder. `name` is always the name of a file in it. Errors: the system's, where nothing else is said. */
export interface Folder {
  readonly path: string
  /**
   * Makes sure that the folder is ours alone; made where it is missing. Answers a warning, or `null`.
   * Errors: Error that says what is wrong with it and what to do.
   */
  check(): Promise<string | null>
  names(): Promise<string[]>
  /** `null` where there is none. Of a link, what the link itself is. */
  look(name: string): Promise<Stats | null>
  /** Opens a file to read it. `names` is how many names it may have. Errors: Error for what is no regular file of ours. */
  open(name: string, names?: number): Promise<{ readonly handle: FileHandle; readonly stats: Stats }>
  /** The content of a file; `null` where there is none. Errors: as `open`; Error beyond `maxOctets`. */
  read(name: string, maxOctets: number, names?: number): Promise<Buffer | null>
  /** Makes a file that must not be there yet, mode 0600. */
  create(name: string): Promise<FileHandle>
  /**
   * Makes a file with this content, on disk when it resolves; its name is so only after `sync`. False: it was there.
   * `ours` tells, also where it throws, whether the file was made.
   */
  write(name: string, content: Uint8Array, ours?: { isMade: boolean }): Promise<boolean>
  /** Adds a line in one write; the file is made where it is missing. Errors: as `open`; Error where only a part went in. */
  append(name: string, line: string): Promise<void>
  /** Gives a file a second name. False: that name was taken. */
  link(from: string, to: string): Promise<boolean>
  rename(from: string, to: string): Promise<void>
  /** False where there is none. */
  remove(name: string): Promise<boolean>
  /** Names that were made, changed or removed are on disk when it resolves. */
  sync(): Promise<void>
}

const mode = 0o600
// O_NONBLOCK: a FIFO would hold the thread pool for ever.
const guarded = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** Opens the folder at this path; nothing is looked at yet. `uid` is whose it must be: the process's own user. */
export function openFolder(path: string, uid: number, files: QuarantineFiles = quarantineFiles): Folder {
  const at = (name: string): string => join(path, name)
  const folder: Folder = {
    path,
    check: () => checkFolder(path, uid, files),
    names: () => files.readdir(path),
    look: async (name) => orNull('ENOENT', () => files.lstat(at(name))),
    open: async (name, names = 1) => {
      const handle = await files.open(at(name), constants.O_RDONLY | guarded)
      try {
        return { handle, stats: await checkFile(handle, at(name), uid, names) }
      } catch (thrown) {
        await handle.close()
        throw thrown
      }
    },
    read: async (name, maxOctets, names = 1) => {
      const opened = await orNull('ENOENT', () => folder.open(name, names))
      if (opened === null) return null
      try {
        if (opened.stats.size > maxOctets) throw new Error(`${at(name)} has more than ${maxOctets} octets`)
        return await opened.handle.readFile()
      } finally {
        await opened.handle.close()
      }
    },
    create: (name) => files.open(at(name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | guarded, mode),
    write: async (name, content, ours = { isMade: false }) => {
      const handle = await orNull('EEXIST', () => folder.create(name))
      if (handle === null) return false
      ours.isMade = true
      try {
        await handle.writeFile(content)
        await handle.sync()
      } finally {
        await handle.close()
      }
      return true
    },
    append: async (name, line) => {
      const handle = await files.open(
        at(name),
        constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | guarded,
        mode,
      )
      try {
        await checkFile(handle, at(name), uid, 1)
        const octets = Buffer.from(`${line}\n`)
        const { bytesWritten } = await handle.write(octets)
        if (bytesWritten !== octets.length) throw new Error(`only ${bytesWritten} octets went into ${at(name)}`)
      } finally {
        await handle.close()
      }
    },
    link: async (from, to) => (await orNull('EEXIST', () => files.link(at(from), at(to)).then(() => true))) ?? false,
    rename: (from, to) => files.rename(at(from), at(to)),
    remove: async (name) => (await orNull('ENOENT', () => files.unlink(at(name)).then(() => true))) ?? false,
    sync: async () => {
      const handle = await files.open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
  }
  return folder
}

async function checkFolder(path: string, uid: number, files: QuarantineFiles): Promise<string | null> {
  const refuse = (what: string, cure: string): never => {
    throw new Error(`the quarantine ${path} ${what}: ${cure}`)
  }
  const stats =
    (await orNull('ENOENT', () => files.lstat(path))) ??
    (await files.mkdir(path, { mode: 0o700 }).then(
      () => files.lstat(path),
      (thrown: unknown) => {
        // Another thread may have made it at the same moment.
        if (codeOf(thrown) === 'EEXIST') return files.lstat(path)
        return refuse(`cannot be made (${codeOf(thrown) ?? 'error'})`, `make it, mode 0700, of user ${uid}`)
      },
    ))
  if (stats.isSymbolicLink()) refuse('is a link', 'name the folder itself in [quarantine] dir')
  if (!stats.isDirectory()) refuse('is no folder', 'name a folder in [quarantine] dir')
  if (stats.uid !== uid) refuse(`belongs to user ${stats.uid}, not to ${uid}`, `chown it to user ${uid}`)
  if ((stats.mode & 0o002) !== 0) refuse('may be written by everybody', 'chmod 0700 it')
  if ((stats.mode & 0o070) !== 0) return `the quarantine ${path} is open to its group: chmod 0700 it`
  return null
}

async function checkFile(handle: FileHandle, path: string, uid: number, names: number): Promise<Stats> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw new Error(`${path} is no regular file`)
  if (stats.nlink > names) throw new Error(`${path} has ${stats.nlink} names`)
  if (stats.uid !== uid) throw new Error(`${path} belongs to user ${stats.uid}`)
  return stats
}

async function orNull<Value>(code: string, act: () => Promise<Value>): Promise<Value | null> {
  try {
    return await act()
  } catch (thrown) {
    if (codeOf(thrown) === code) return null
    throw thrown
  }
}
