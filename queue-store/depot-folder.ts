/**
 * The folder of a depot: made, or looked over before anything in it is opened.
 *
 * - `depot.json`: says that this is a depot and was finished; written last, synced.
 * - `store.mdb`, `store.mdb-lock`: the tables. `messages/`: large messages. `bell`: see bell.ts.
 *
 * What cannot be a depot is refused and left as it is: LMDB would take a file cut to nothing for a new one, and end the process
 * at a page that is not there.
 *
 * Source: spec reliability R18, R19.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DepotError } from './errors.ts'
import { hasAllPages, pageOctets } from './store-pages.ts'
import { format } from './tables.ts'

/** The places in a depot's folder, and the modes of what is made there. */
export interface DepotFolder {
  readonly directory: string
  readonly store: string
  readonly messages: string
  readonly bell: string
  readonly fileMode: number
  /** Marks the depot as finished, and gives its files to the group; after the tables were made. */
  readonly finish: () => void
}

/** File systems over a network: locks and shared memory do not reach the other machines. */
const networked: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
])

/** Whom a new depot is for: its owner alone, or a group; `null`: the one that the new folder gets. */
export interface Sharing {
  readonly group: number | null
  readonly isShared: boolean
}

/** Opens the folder, made where it is missing. Errors: DEPOT_UNSAFE, DEPOT_DAMAGED, DEPOT_FORMAT. */
export function openFolder(directory: string, sharing: Sharing): DepotFolder {
  const place = (name: string): string => join(directory, name)
  const [store, messages, bell, mark] = [place('store.mdb'), place('messages'), place('bell'), place('depot.json')]
  const marked = existsSync(directory) ? lookOver(directory, mark, store) : null
  let sharedWith = marked === null ? sharing.group : marked.group
  const fileMode = (marked === null ? sharing.isShared : sharedWith !== null) ? 0o660 : 0o600
  // With the group's bit a file made by any member belongs to the group.
  const folderMode = fileMode === 0o660 ? 0o2770 : 0o700
  const above: string[] = []
  if (marked === null) {
    for (const folder of [directory, messages]) {
      const first = mkdirSync(folder, { recursive: true, mode: 0o700 })
      if (folder === directory) {
        above.push(...foldersAbove(directory, first ?? directory))
        if (sharing.isShared) sharedWith ??= statSync(directory).gid
      }
      if (sharedWith !== null) chownSync(folder, -1, sharedWith)
      chmodSync(folder, folderMode)
    }
  }
  return {
    directory,
    store,
    messages,
    bell,
    fileMode,
    finish: () => {
      if (marked !== null) return
      for (const file of [store, `${store}-lock`, bell]) {
        chmodSync(file, fileMode)
        if (sharedWith !== null) chownSync(file, -1, sharedWith)
      }
      writeMark(directory, mark, sharedWith, fileMode)
      for (const folder of above) syncAbove(folder)
    },
  }
}

/** Syncs a folder: then the names in it are on disk. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** The folders that name a new folder and those made above it, of which `first` is the highest. */
function foldersAbove(directory: string, first: string): string[] {
  const above: string[] = []
  for (let folder = resolve(directory); folder.length >= resolve(first).length; folder = dirname(folder)) {
    above.push(dirname(folder))
  }
  return above
}

/** Syncs a folder unless it cannot be read: then it is not one that was made here. */
function syncAbove(folder: string): void {
  try {
    syncFolder(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
  }
}

interface Mark {
  readonly group: number | null
}

function lookOver(directory: string, mark: string, store: string): Mark | null {
  const stats = lstatSync(directory)
  if (!stats.isDirectory()) throw new DepotError('DEPOT_UNSAFE', `${directory} is not a folder itself`)
  if ((stats.mode & 0o002) !== 0) throw new DepotError('DEPOT_UNSAFE', `${directory} can be written by everybody`)
  const system = networked.get(statfsSync(directory).type)
  if (system !== undefined) throw new DepotError('DEPOT_UNSAFE', `${directory} is on ${system}`)
  const own = process.geteuid?.() ?? stats.uid
  if (!existsSync(mark)) {
    if (![0, own].includes(stats.uid)) throw new DepotError('DEPOT_UNSAFE', `${directory} belongs to user ${stats.uid}`)
    // What a process that died while it made the depot left behind may be here, and nothing else.
    const strange = readdirSync(directory).find(
      (name) => !/^(store\.mdb(-lock)?|messages|bell|depot\.json\.new(-[0-9a-f]+)?)$/.test(name),
    )
    if (strange !== undefined) throw new DepotError('DEPOT_UNSAFE', `${directory} is no depot, and holds ${strange}`)
    return null
  }
  const found = readMark(mark)
  if (found.group === null && ![0, own].includes(stats.uid) && own !== 0) {
    throw new DepotError('DEPOT_UNSAFE', `${directory} belongs to user ${stats.uid} alone`)
  }
  const damage = damageOf(store)
  if (damage !== null) throw new DepotError('DEPOT_DAMAGED', `${store} ${damage}`)
  return found
}

function readMark(mark: string): Mark {
  let parsed: { readonly format?: unknown; readonly group?: unknown } | null
  try {
    parsed = JSON.parse(readFileSync(mark, 'utf8')) as typeof parsed
  } catch (error) {
    throw new DepotError('DEPOT_DAMAGED', `${mark} cannot be read`, error)
  }
  if (parsed?.format !== format) {
    throw new DepotError('DEPOT_FORMAT', `${mark} says ${JSON.stringify(parsed?.format)}, this is ${format}`)
  }
  return { group: typeof parsed.group === 'number' ? parsed.group : null }
}

function writeMark(directory: string, mark: string, group: number | null, mode: number): void {
  // Several processes may make the same depot at the same time, each with a mark of its own to rename.
  const made = `${mark}.new-${randomBytes(8).toString('hex')}`
  const handle = openSync(made, 'wx', mode)
  try {
    writeSync(handle, `${JSON.stringify({ format, group })}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  if (group !== null) chownSync(made, -1, group)
  chmodSync(made, mode)
  renameSync(made, mark)
  syncFolder(directory)
}

const metaMagic = 0xbeefc0de
/** More pages than one group of transactions takes are not missing at the end for having been given up again. */
const mostMissing = 8192
/** So often a file that others write to meanwhile is looked at again. */
const looks = 10

/** What is wrong with a file of tables, so far as its first two pages tell; `null` where nothing is. */
export function damageOf(path: string): string | null {
  if (!existsSync(path)) return 'is missing'
  const file = openSync(path, 'r')
  try {
    for (let look = 1; ; look++) {
      const state = newestState(file)
      if (typeof state === 'string') return state
      const octets = fstatSync(file).size
      if ((state.lastPage + 1) * pageOctets <= octets) return null
      const pages = Math.floor(octets / pageOctets)
      if (state.lastPage - pages < mostMissing && hasAllPages(file, state.roots, pages)) return null
      // Pages may have been written again while they were read.
      const now = newestState(file)
      const isSame = typeof now !== 'string' && now.change === state.change
      if (isSame || look === looks) return `was cut off at ${octets} octets`
    }
  } finally {
    closeSync(file)
  }
}

interface NewestState {
  /** The number of its transaction. */
  readonly change: number
  readonly lastPage: number
  readonly roots: readonly bigint[]
}

/** What the newer of the first two pages says, or what is wrong with them. */
function newestState(file: number): NewestState | string {
  const pages = Buffer.alloc(2 * pageOctets)
  if (readSync(file, pages, 0, pages.length, 0) < pages.length) return 'was cut off'
  let newest: NewestState = { change: -1, lastPage: 0, roots: [] }
  for (const at of [0, pageOctets]) {
    // Octets of a page of this kind: 24 magic, 48 page size, 144 number of the last page, 152 number of the transaction.
    if (pages.readUInt32LE(at + 24) !== metaMagic) return 'is not a file of tables'
    if (pages.readUInt32LE(at + 48) !== pageOctets) return 'has pages of another size'
    const change = Number(pages.readBigUInt64LE(at + 152))
    const last = pages.readBigUInt64LE(at + 144)
    const roots = [88, 136].map((root) => pages.readBigUInt64LE(at + root))
    for (const page of roots) {
      if (page !== 0xffffffffffffffffn && page > last) return 'names pages that it has not'
    }
    if (change > newest.change) newest = { change, lastPage: Number(last), roots }
  }
  return newest
}
