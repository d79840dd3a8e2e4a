/**
 * Edits to a pair, and how they are taken back, so that nothing happens twice when a message runs again.
 *
 * Source: contracts.md, "Edits, and how they are undone": control files only grow, so cutting them back to a noted size
 * undoes what was appended; a rewritten message has its original kept beside it under a name that says so.
 */
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Files } from './platform/files.ts'

/** The files of one message: the data file, and one or more control files in the order of the request. */
export interface Pair {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
}

/** The sizes in octets of the control files at some moment, in order. */
export type EditMark = readonly number[]

/** Notes the state of the control files. Errors: those of `fs.statSync`. */
export function markEdits(pair: Pair, files: Files): EditMark {
  return pair.controlPaths.map((path) => files.statSync(path).size)
}

/** Where the original of a rewritten data file is kept while filters run. */
export function keptOriginalPath(bodyPath: string): string {
  return join(dirname(bodyPath), `nodefilter-${basename(bodyPath)}`)
}

/**
 * Takes back every edit made since `mark`.
 *
 * Shape:  control files are cut back to the sizes noted; the kept original, where there is one, becomes the data file.
 * Errors: Error if a control file is gone or shorter than noted: then somebody else changed it, and the message must
 *         not run again on it.
 */
export function undoEdits(pair: Pair, mark: EditMark, files: Files): void {
  for (const [index, path] of pair.controlPaths.entries()) {
    const size = mark[index] ?? 0
    const descriptor = files.openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
    try {
      const now = files.fstatSync(descriptor).size
      if (now < size) throw new Error(`${path} is shorter (${now}) than when the message came in (${size})`)
      if (now > size) files.ftruncateSync(descriptor, size)
    } finally {
      files.closeSync(descriptor)
    }
  }
  const original = keptOriginalPath(pair.bodyPath)
  if (!files.existsSync(original)) return
  files.renameSync(original, pair.bodyPath)
  // A rename between two names of one file does nothing: the message had not been rewritten yet.
  files.rmSync(original, { force: true })
}
