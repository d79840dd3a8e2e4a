/**
 * Opens the pair of files that a door was handed, and notes what must be known of it before any filter runs.
 *
 * The paths come as text from whoever can connect to the socket, so nothing is believed: only regular files, below the
 * spool folder, reached without links, of the spool's group, with one name each, are read.
 * Source: spec courier 4.1, reliability 5.8 and R46, contracts.md (T23: relative paths, and who may own the files).
 */
import { constants, type Stats } from 'node:fs'
import { parseControlFacts, type ControlFacts } from '../courier-compat/control.ts'
import { fileState, type ControlState, type FileState, type PairState } from './changed-files.ts'
import type { EditMark, Pair } from './edits.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import type { Files } from './platform/files.ts'
import { createRecentMap, type RecentMap } from './recent-map.ts'

/** A pair that was checked, and what its control files say. */
export interface OpenedPair extends Pair {
  /** Size of the data file. */
  readonly octets: number
  /** As they were before any filter ran. */
  readonly mark: EditMark
  readonly facts: ControlFacts
  /** As it was read, for `findChange`. */
  readonly before: PairState
  /** The control files' octets, one character each (latin1); `null` where they are many. */
  readonly contents: readonly string[] | null
}

/** Where message files may lie. */
export interface Spool {
  /** The folder as the mail server calls it. */
  readonly given: string
  /** The folder with all links resolved. */
  readonly path: string
  /** The group that the files must have: the folder's own. */
  readonly gid: number
  /** Where the folders of paths are that were found to be folders and no links, for a moment. */
  readonly folders: RecentMap
}

/** Limits that keep one request from occupying the host. */
export const pairLimits = {
  controlFiles: 2000,
  controlFileOctets: 4 * 1024 * 1024,
  controlOctets: 32 * 1024 * 1024,
} as const

/**
 * Only the mail server's user can put a link in a folder's place, and it need not trick us. What strangers name are paths,
 * and each of those is looked at.
 */
const folderTrustMs = 1000

/** Control files beyond this are read once more in the thread rather than sent there. */
const maxHandedOctets = 16 * 1024

/** For files that are read into it and made into text at once. */
const readBuffer = Buffer.allocUnsafe(16 * 1024)

/** Why a pair is not used; the text is for the log. */
export class PairRefused extends Error {
  override readonly name = 'PairRefused'
}

/** Finds the spool folder. Errors: those of the file system if it is missing. */
export function openSpool(path: string, files: Files, clock: Pick<Clock, 'monotonicMs'> = systemClock): Spool {
  const real = files.realpathSync(path)
  return { given: path, path: real, gid: files.statSync(real).gid, folders: createRecentMap(folderTrustMs, clock) }
}

/**
 * Checks and reads a pair.
 * Errors: PairRefused for anything that is not what a mail server hands over, or cannot be read.
 */
export function openPair(requested: Pair, spool: Spool, files: Files): OpenedPair {
  if (requested.controlPaths.length === 0) throw new PairRefused('the request names no control file')
  if (requested.controlPaths.length > pairLimits.controlFiles) {
    throw new PairRefused(`the request names ${requested.controlPaths.length} control files`)
  }
  const seen = new Set<string>()
  const locate = (path: string): string => {
    const place = placeInSpool(path, spool, files)
    if (seen.has(place)) throw new PairRefused(`${place} is named twice`)
    seen.add(place)
    return place
  }

  const bodyPath = locate(requested.bodyPath)
  // Not opened: nothing of it is read here, and the filters open it by its path.
  const stats = look(bodyPath, files)
  checkFile(bodyPath, stats, spool)
  const data = fileState(stats)
  let total = 0
  const controls = requested.controlPaths.map((requestedPath): ReadControl => {
    const control = readFile(locate(requestedPath), spool, files)
    total += control.content.length
    if (total > pairLimits.controlOctets)
      throw new PairRefused(`the control files hold more than ${pairLimits.controlOctets} octets`)
    return control
  })
  const pair = new ReadPair(bodyPath, data, controls, total <= maxHandedOctets)
  // Only such a file can have too many records, and it has to be known now.
  if (total > maxHandedOctets) pair.readFacts()
  return pair
}

/** A control file, with its octets. */
type ReadControl = ControlState & { readonly content: string }

/** Thousands may wait: what can be made of the rest is made when it is asked for. */
class ReadPair implements OpenedPair {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
  readonly octets: number
  readonly before: PairState
  readonly #controls: readonly ReadControl[]
  readonly #data: FileState
  readonly #isHanded: boolean
  #facts: ControlFacts | null = null

  constructor(bodyPath: string, data: FileState, controls: readonly ReadControl[], isHanded: boolean) {
    this.bodyPath = bodyPath
    this.controlPaths = controls.map(({ path }) => path)
    this.octets = data.size
    this.before = { data: { path: bodyPath, state: data }, controls }
    this.#controls = controls
    this.#data = data
    this.#isHanded = isHanded
  }

  get facts(): ControlFacts {
    return this.#facts ?? this.readFacts()
  }

  /** Errors: RangeError for a control file with too many records. */
  readFacts(): ControlFacts {
    return (this.#facts = parseControlFacts(this.#controls.map(({ content }) => content)))
  }

  get contents(): readonly string[] | null {
    return this.#isHanded ? this.#controls.map(({ content }) => content) : null
  }

  get mark(): EditMark {
    const { dev, ino, size, mtimeMs } = this.#data
    const controlSizes = this.#controls.map(({ content }) => content.length)
    return { controlSizes, data: { dev, ino, size, mtimeMs }, hasVersion: false }
  }
}

/** The absolute path of a file in the spool; relative paths count from the spool folder. Opens nothing. */
function placeInSpool(path: string, spool: Spool, files: Files): string {
  const slash = path.lastIndexOf('/')
  const name = path.slice(slash + 1)
  const folder = slash === -1 ? '' : path.slice(0, slash + 1)
  if (isPlainName(name)) {
    const known = spool.folders.get(folder)
    // Most often it is called as it is.
    if (known !== undefined) return known === folder ? path : known + name
  }
  const place = placeOfFolder(path, spool, files)
  spool.folders.set(folder, place)
  return place + name
}

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[\u0000-\u001f\u007f]/.test(name)
}

/** The absolute path of a file's folder, with its slash at the end. Errors: PairRefused also for what is wrong with the name. */
function placeOfFolder(path: string, spool: Spool, files: Files): string {
  if (path === '' || /[\u0000-\u001f\u007f]/.test(path))
    throw new PairRefused('a path holds control characters or is empty')
  const root = [spool.path, spool.given].find((folder) => path.startsWith(`${folder}/`))
  if (root === undefined && path.startsWith('/')) throw new PairRefused(`${path} is not below ${spool.path}`)
  const names = (root === undefined ? path : path.slice(root.length + 1)).split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..'))
    throw new PairRefused(`${path} is not in its plainest form`)
  let place = spool.path
  for (const name of names.slice(0, -1)) {
    place = `${place}/${name}`
    if (!look(place, files).isDirectory()) throw new PairRefused(`${place} is not a folder`)
  }
  return `${place}/`
}

/** Errors: PairRefused where there is nothing, or nothing to be seen: too long a name, a folder that may not be entered. */
function look(path: string, files: Files): Stats {
  try {
    return files.lstatSync(path)
  } catch (thrown) {
    throw new PairRefused(`${path} cannot be looked at: ${errorCode(thrown)}`)
  }
}

/** Errors: PairRefused for what is no file that the mail server made: a link, a FIFO, another group's, one with two names. */
function checkFile(path: string, stats: Stats, spool: Spool): void {
  if (!stats.isFile()) throw new PairRefused(`${path} is not a regular file`)
  if (stats.nlink !== 1) throw new PairRefused(`${path} has ${stats.nlink} names`)
  if (stats.gid !== spool.gid)
    throw new PairRefused(`${path} belongs to group ${stats.gid}, the spool to group ${spool.gid}`)
}

/** Reads a file of the spool, checked on its descriptor, so that what is checked is what is read. */
function readFile(path: string, spool: Spool, files: Files): ReadControl {
  let descriptor: number
  try {
    // O_NONBLOCK: opening a FIFO would otherwise wait for its other end, and the host with it.
    descriptor = files.openSync(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    )
  } catch (thrown) {
    throw new PairRefused(`${path} cannot be opened: ${errorCode(thrown)}`)
  }
  try {
    const stats = files.fstatSync(descriptor)
    checkFile(path, stats, spool)
    return { path, state: fileState(stats), content: readWhole(path, descriptor, stats.size, files) }
  } finally {
    files.closeSync(descriptor)
  }
}

/** Its octets, one character each (latin1). */
function readWhole(path: string, descriptor: number, size: number, files: Files): string {
  if (size > pairLimits.controlFileOctets)
    throw new PairRefused(`${path} holds ${size} octets, too many for a control file`)
  // One octet more than it should hold: a file that grows while it is read is noticed.
  const content = size < readBuffer.length ? readBuffer.subarray(0, size + 1) : Buffer.allocUnsafe(size + 1)
  let length = 0
  for (;;) {
    const wanted = content.length - length
    const count = files.readSync(descriptor, content, length, wanted, null)
    length += count
    if (length > size) throw new PairRefused(`${path} changed while it was read`)
    // A regular file gives all it has: less than was asked for is its end.
    if (count < wanted || count === 0) return content.toString('latin1', 0, length)
  }
}

function errorCode(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)
}
