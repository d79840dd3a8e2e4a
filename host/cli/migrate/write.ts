/** Writes the new files. */
import { chmodSync, closeSync, existsSync, fchmodSync, fchownSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import type { NewFile } from './files.ts'

/**
 * Writes the files, those that are there already excepted, and makes the folder where there is none.
 *
 * Shape:  a line to tell for each. `access` is what private files get; `null`: everybody may read them.
 * Errors: those of `node:fs` as they come, with the path in their text.
 */
export function* writeFiles(
  directory: string,
  files: readonly NewFile[],
  access: { readonly mode: number; readonly uid: number; readonly gid: number } | null,
): Generator<string> {
  if (!existsSync(directory)) {
    makeFolder(directory)
    // Not by mkdir's mode, which the umask cuts.
    chmodSync(directory, 0o755)
    yield `made ${directory}`
  }
  for (const { name, text, isPrivate } of files) {
    const path = join(directory, name)
    if (existsSync(path)) {
      yield `${path} is there already and stays as it is`
      continue
    }
    const { mode, uid, gid } = (isPrivate ? access : null) ?? { mode: 0o644, uid: null, gid: null }
    const descriptor = openSync(path, 'wx', 0o600)
    try {
      writeFileSync(descriptor, text)
      // The owner first: it must not be another's while it is not yet readable for all the right people.
      if (uid !== null && process.geteuid?.() === 0) fchownSync(descriptor, uid, gid)
      fchmodSync(descriptor, mode)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    yield `wrote ${path}`
  }
}
