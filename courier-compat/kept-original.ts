/**
 * The names that a message's data file has beside its own while filters run, and how a file is told from another.
 *
 * Source: contracts.md, "Edits, and how they are undone"; spec courier 4.9 (Courier ignores names that begin with `n`).
 */
import type { Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** What the names of all files begin with that lie beside a message. */
export const keptPrefix = 'nodefilter-'

/** Where the original of a rewritten data file is kept. It is there from before the first rewriting begins. */
export function keptOriginalPath(bodyPath: string): string {
  return join(dirname(bodyPath), keptPrefix + basename(bodyPath))
}

/** Where a new version is written before it takes the data file's name. */
export function newVersionPath(bodyPath: string): string {
  return `${keptOriginalPath(bodyPath)}.new`
}

/** Where the host keeps the version of a moment that it may have to go back to. */
export function markedVersionPath(bodyPath: string): string {
  return `${keptOriginalPath(bodyPath)}.mark`
}

/**
 * Which file a path leads to, and whether its content was changed in place.
 * Units: as in `fs.Stats`. Large inode numbers lose digits there, so size and time count as well.
 */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
}

/** The identity in what `stat` answered. */
export function identityOf({ dev, ino, size, mtimeMs }: Stats): FileIdentity {
  return { dev, ino, size, mtimeMs }
}

/** True if both are one file with one content. */
export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs
}
