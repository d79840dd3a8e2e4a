/**
 * Whether somebody else changed a message's files while filters ran over it: then no verdict is one on these files.
 *
 * What the chain itself does to a pair leaves traces of its own; whatever changed without them was changed from elsewhere:
 *
 *     data file     the same file, untouched; or a version of which the chain says that it put it there; or, for filters
 *                   that follow the library's way by their own code, another file beside which the original is kept
 *     control file  the same file, with its octets of before, untouched; or grown by whole records, if a filter ran
 *
 * Where the chain took edits back, or began one, the file's time of change may differ, and nothing else.
 * What cannot be told from a filter's own edit, by anybody: whole records that another process appends while a filter runs;
 * a message that another process writes to while a filter runs that does so too (`python`, by `courier.xfilter`).
 * Source: contracts.md, "Edits, and how they are undone"; reliability R47.
 */
import { constants, type Stats } from 'node:fs'
import { maxControlOctets } from '../courier-compat/control/file.ts'
import { isSameFile, keptOriginalPath, type FileIdentity } from '../courier-compat/kept-original.ts'
import type { Files } from './platform/files.ts'

/** What is compared of a file. Units: as in `fs.Stats`. */
export type FileState = Pick<Stats, 'dev' | 'ino' | 'mode' | 'nlink' | 'uid' | 'gid' | 'size' | 'mtimeMs' | 'ctimeMs'>

/** A data file at some moment. */
export interface DataState {
  readonly path: string
  /** `null`: it is gone. */
  readonly state: FileState | null
}

/** A control file at some moment. */
export interface ControlState extends DataState {
  /** Its octets, one character each (latin1); `null` where it is gone, or was found untouched. */
  readonly content: string | null
}

/** A pair at some moment. */
export interface PairState {
  readonly data: DataState
  readonly controls: readonly ControlState[]
}

/** A pair after the chain: also what is kept as the original of its data file, or `null`. */
export interface PairStateAfter extends PairState {
  readonly keptOriginal: FileState | null
}

/** What the chain says of its own edits. */
export interface ChainEdits {
  /** At least one filter was called. */
  readonly ran: boolean
  /** Edits were taken back: after a filter, or before the message ran again. */
  readonly undone: boolean
  /** The data file as the last edit by the library, or by a filter that tells, left it; `null` where none was begun. */
  readonly version: FileIdentity | null
}

/**
 * What changed that the chain does not explain, as a sentence for the log; `null` if nothing did. Pure.
 * Shape: `before.controls` have their contents; `after.controls` are the same files in the same order.
 */
export function unexplainedChange(before: PairState, after: PairStateAfter, edits: ChainEdits): string | null {
  const ofData = dataChange(before.data, after.data.state, after.keptOriginal, edits)
  if (ofData !== null) return `${before.data.path} ${ofData} while the message was in hand`
  for (const [index, control] of before.controls.entries()) {
    const now = after.controls[index]
    const ofControl = now === undefined ? 'is gone' : controlChange(control, now, edits)
    if (ofControl !== null) return `${control.path} ${ofControl} while the message was in hand`
  }
  return null
}

/** True if nothing about the pair has changed: one `lstat` a file. Errors: those of the file system. */
export function isPairUntouched({ data, controls }: PairState, files: Files): boolean {
  return isSameState(data, files) && controls.every((control) => isSameState(control, files))
}

/**
 * Looks at the pair again and compares.
 * Errors: those of the file system, and Error for a control file over `maxControlOctets`: nothing is then known.
 */
export function findChange(before: PairState, edits: ChainEdits, files: Files): string | null {
  const { data, controls } = before
  const dataNow = stateOf(data.path, files)
  let isSame = data.state !== null && dataNow !== null && isUntouched(data.state, dataNow)
  const controlsNow: ControlState[] = []
  for (const { path, state } of controls) {
    const now = stateOf(path, files)
    const isSameControl = state !== null && now !== null && isUntouched(state, now)
    controlsNow.push({ path, state: now, content: null })
    isSame &&= isSameControl
  }
  if (isSame) return null
  const after: PairStateAfter = {
    data: { path: data.path, state: dataNow },
    controls: controlsNow.map((control, index) => {
      const { state } = controls[index] ?? control
      if (control.state === null || state === null || isUntouched(state, control.state)) return control
      return control.state.ino === state.ino ? readAgain(control.path, files) : control
    }),
    keptOriginal: stateOf(keptOriginalPath(data.path), files),
  }
  return unexplainedChange(before, after, edits)
}

function dataChange(
  before: DataState,
  now: FileState | null,
  kept: FileState | null,
  { undone, version }: ChainEdits,
): string | null {
  const was = before.state
  if (now === null || was === null) return 'was removed'
  if (isUntouched(was, now)) return null
  if (now.ino !== was.ino || now.dev !== was.dev) {
    if (kept?.ino !== was.ino || kept.dev !== was.dev) return 'was replaced by another file'
    if (version === null)
      return isSameFile(kept, was) && isOfSameOwners(now, was) ? null : 'was replaced by another file'
    return isSameFile(now, version) && isVersion(now, was) ? null : 'was replaced by another file'
  }
  if (!isOfSameOwners(now, was) || now.mode !== was.mode) return 'was given another mode or owner'
  if (now.nlink !== (kept?.ino === now.ino ? 2 : 1)) return 'was given a second name'
  if (!isSameFile(now, was)) return version !== null && isSameFile(now, version) ? null : 'was written to'
  return undone || version !== null || kept !== null ? null : 'was changed and set back'
}

function controlChange(
  { state: was, content: wasContent }: ControlState,
  { state: now, content }: ControlState,
  { ran, undone }: ChainEdits,
): string | null {
  if (now === null || was === null) return 'was removed'
  if (isUntouched(was, now)) return null
  if (now.ino !== was.ino || now.dev !== was.dev) return 'was replaced by another file'
  if (!isOfSameOwners(now, was) || now.mode !== was.mode) return 'was given another mode or owner'
  if (now.nlink !== 1) return 'was given a second name'
  if (content === null || wasContent === null) throw new Error('the contents of a changed control file are not there')
  if (content.length < wasContent.length) return 'was made shorter'
  if (!content.startsWith(wasContent)) return 'was written over'
  if (content.length === wasContent.length) return undone ? null : 'was changed and set back'
  if (!ran) return 'grew, though no filter was called,'
  return content.endsWith('\n') ? null : 'grew by a part of a record'
}

function isSameState({ path, state }: DataState, files: Files): boolean {
  const now = stateOf(path, files)
  return state !== null && now !== null && isUntouched(state, now)
}

/** True if not even the time of change, which nobody can set, is another. */
function isUntouched(was: FileState, now: FileState): boolean {
  return (
    now.ctimeMs === was.ctimeMs &&
    now.mtimeMs === was.mtimeMs &&
    now.size === was.size &&
    now.ino === was.ino &&
    now.dev === was.dev &&
    now.mode === was.mode &&
    now.nlink === was.nlink
  )
}

function isOfSameOwners(now: FileState, was: FileState): boolean {
  return now.gid === was.gid && (now.uid === was.uid || now.ino !== was.ino)
}

/** As the library makes a new version: a file with one name, of the group of the old one, that both may read and write. */
function isVersion(now: FileState, was: FileState): boolean {
  return now.nlink === 1 && now.gid === was.gid && (now.mode & 0o7777) === versionMode
}

function stateOf(path: string, files: Files): FileState | null {
  return files.lstatSync(path, { throwIfNoEntry: false }) ?? null
}

/** What is compared, alone: thousands of messages may wait, and what the system tells of a file is three times as much. */
export function fileState({ dev, ino, mode, nlink, uid, gid, size, mtimeMs, ctimeMs }: Stats): FileState {
  return { dev, ino, mode, nlink, uid, gid, size, mtimeMs, ctimeMs }
}

function readAgain(path: string, files: Files): ControlState {
  const descriptor = files.openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const state = files.fstatSync(descriptor)
    if (state.size > maxControlOctets) throw new Error(`${path} has grown to ${state.size} octets`)
    const content = Buffer.alloc(state.size)
    let length = 0
    while (length < content.length) {
      const count = files.readSync(descriptor, content, length, content.length - length, length)
      if (count === 0) break
      length += count
    }
    return { path, state, content: content.toString('latin1', 0, length) }
  } finally {
    files.closeSync(descriptor)
  }
}

const versionMode = 0o660
