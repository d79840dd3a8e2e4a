/** Makes a folder with those above it. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes the folder, and each above it that is missing.
 * Errors: those of `mkdir`. Node's own recursive one never ends where a folder that is there cannot have another in it, as
 *         in /proc or in a folder that was removed.
 */
export function makeFolder(path: string): void {
  const folder = resolve(path)
  if (existsSync(folder)) return
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  mkdirSync(folder)
}
