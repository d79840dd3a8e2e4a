/**
 * Edits to a pair, and how they are taken back, so that nothing happens twice when a message runs again.
 *
 * Control files only grow, so cutting them back to a noted size undoes what was appended. A data file is never written
 * to but replaced, so a second name for the file of a moment is all that it takes to go back to that moment.
 *
 *     D123                     the message: what Courier delivers
 *     nodefilter-D123          the original, from before the first replacement until the message is settled
 *     nodefilter-D123.new      the next version while it is written
 *     nodefilter-D123.mark     the version of a mark that was made on a message replaced before
 *
 * The last two are never there without the original, so that one look tells whether there is anything to remove.
 * Source: contracts.md, "Edits, and how they are undone".
 */
import { constants } from 'node:fs'
import {
  identityOf,
  isSameFile,
  keptOriginalPath,
  markedVersionPath,
  newVersionPath,
  type FileIdentity,
} from '../courier-compat/kept-original.ts'
import type { Files } from './platform/files.ts'

export { identityOf, keptOriginalPath } from '../courier-compat/kept-original.ts'

/** The files of one message: the data file, and one or more control files in the order of the request. */
export interface Pair {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
}

/** The state of a pair at some moment. */
export interface EditMark {
  /** In octets, in the order of the control files. */
  readonly controlSizes: readonly number[]
  readonly data: FileIdentity
  /** The data file had been replaced before; its version of that moment has a name of its own until `dropMark`. */
  readonly hasVersion: boolean
}

/** What the chain needs to go back to a moment. */
export interface EditTools {
  readonly mark: (pair: Pair) => EditMark
  readonly drop: (pair: Pair, mark: EditMark) => void
  readonly undo: (pair: Pair, mark: EditMark) => void
}

/** The functions of this file, on these files. */
export function editTools(files: Files): EditTools {
  return {
    mark: (pair) => markEdits(pair, files),
    drop: (pair, mark) => dropMark(pair, mark, files),
    undo: (pair, mark) => undoEdits(pair, mark, files),
  }
}

/** The sizes of the control files now, in octets. Errors: those of `fs.statSync`. */
export function controlSizes(pair: Pair, files: Files): readonly number[] {
  return pair.controlPaths.map((path) => files.statSync(path).size)
}

/**
 * Notes the state of a pair, so that `undoEdits` can go back to it. One mark at a time; end it with `dropMark`.
 * Errors: those of the file system.
 */
export function markEdits(pair: Pair, files: Files): EditMark {
  const { bodyPath } = pair
  const hasVersion = files.existsSync(keptOriginalPath(bodyPath))
  if (hasVersion) {
    const version = markedVersionPath(bodyPath)
    files.rmSync(version, { force: true })
    files.linkSync(bodyPath, version)
  }
  return { controlSizes: controlSizes(pair, files), data: identityOf(files.lstatSync(bodyPath)), hasVersion }
}

/** Ends a mark that is not to be gone back to. Costs nothing where the message had not been replaced before it. */
export function dropMark(pair: Pair, mark: EditMark, files: Files): void {
  if (mark.hasVersion) files.rmSync(markedVersionPath(pair.bodyPath), { force: true })
}

/**
 * Takes back every edit made since `mark`, and ends it. Done twice, or begun again after a crash in its middle, it comes
 * to the same.
 *
 * Shape:  control files are cut back to the sizes noted; the data file is that of the mark again.
 * Errors: Error if a control file is gone or shorter than noted, or if the data file of the mark is not to be had or was
 *         written to: then somebody else changed it, and the message must not run again on it.
 */
export function undoEdits(pair: Pair, mark: EditMark, files: Files): void {
  for (const [index, path] of pair.controlPaths.entries()) cutBack(path, mark.controlSizes[index] ?? 0, files)
  const { bodyPath } = pair
  const original = keptOriginalPath(bodyPath)
  if (files.existsSync(original)) {
    const version = markedVersionPath(bodyPath)
    files.rmSync(newVersionPath(bodyPath), { force: true })
    // A rename between two names of one file does nothing; then the second one has to go by itself. What the mark means
    // goes last, so that whoever begins again finds it.
    if (!mark.hasVersion) files.rmSync(version, { force: true })
    const from = mark.hasVersion ? version : original
    if (files.existsSync(from)) files.renameSync(from, bodyPath)
    files.rmSync(from, { force: true })
  }
  if (!isSameFile(identityOf(files.lstatSync(bodyPath)), mark.data)) {
    throw new Error(`${bodyPath} is not the file, or has not the content, that it had before`)
  }
}

/**
 * Removes what lies beside a data file, and leaves the message as it is: when it is settled, and before a new message is
 * taken whose data file may have the name of an old one (the mail server makes names of inode numbers).
 *
 * Shape:  the original goes last, so that a removal that was cut short is seen and done again.
 * Errors: those of the file system.
 */
export function clearKept(bodyPath: string, files: Files): void {
  const original = keptOriginalPath(bodyPath)
  // Not existsSync: that takes a file that cannot be looked at for one that is not there.
  if (files.lstatSync(original, { throwIfNoEntry: false }) === undefined) return
  for (const path of [newVersionPath(bodyPath), markedVersionPath(bodyPath), original]) {
    files.rmSync(path, { force: true })
  }
}

function cutBack(path: string, size: number, files: Files): void {
  const descriptor = files.openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    const now = files.fstatSync(descriptor).size
    if (now < size) throw new Error(`${path} is shorter (${now}) than when the message came in (${size})`)
    if (now > size) files.ftruncateSync(descriptor, size)
  } finally {
    files.closeSync(descriptor)
  }
}
