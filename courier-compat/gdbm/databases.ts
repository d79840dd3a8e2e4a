/**
 * GDBM files by their path, each kept in memory until it changes.
 *
 * Courier's tools build a new file and rename it over the old one, so a file that is read whole is one state, without
 * locks.
 *
 * Source: spec courier 5.7.
 */
import { openFileCache, type FileCacheLimits } from '../file-cache.ts'
import { openGdbm, type GdbmImage } from './image.ts'

/** Opened databases. */
export interface Databases {
  /**
   * The database at this path as it is now; `null` if there is no such file, which is a database without entries.
   * Errors: Error with the path in front for a file that is there and cannot be used; its cause is a DatabaseError
   *         where the content is at fault.
   */
  open(path: string): GdbmImage | null
}

/** Three thousand aliases take 434 kB. */
export const databaseLimits: FileCacheLimits = {
  fileOctets: 64 * 1024 * 1024,
  totalOctets: 64 * 1024 * 1024,
  files: 16,
}

/** Makes a cache of databases; each worker thread has its own. */
export function openDatabases(limits: FileCacheLimits = databaseLimits, nowMs: () => number = Date.now): Databases {
  const cache = openFileCache(openGdbm, limits, nowMs)
  return { open: (path) => cache.read(path) }
}
