/** From a filter's name to the file that holds it, in folders and packages that only their owner can write. */
import { accessSync, constants, readdirSync, statSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { isPythonfilterFile } from '../../courier-compat/module-config/section-names.ts'
import { nearMatch } from '../../courier-compat/near-match.ts'
import type { ChainEntry } from './list.ts'
import type { LoadProblem } from './load-problem.ts'
import { findPackage, packagedFilters } from './package-file.ts'

/** The endings a filter module may have. */
export const moduleExtensions = ['.js', '.mjs', '.cjs', '.ts', '.mts'] as const

/** Where filters are looked for. */
export interface ModulePlaces {
  /** Folders with a file for each filter, in order. */
  readonly folders: readonly string[]
  /** Folders whose packages are looked through after all files, in order. */
  readonly packageFolders: readonly string[]
}

/** The file of a filter. */
export interface FoundModule {
  readonly file: string
  /** The filter folder, or the package's folder as it is installed. */
  readonly origin: string
  /** Every place on the way to it that must be checked, the file at last; filter folders are checked by themselves. */
  readonly checks: readonly string[]
}

/** A name, and the line of the list that has it. */
export type Named = Pick<ChainEntry, 'name' | 'file'> & { readonly line: number | null }

/**
 * Finds the module of an entry: the first folder that has a file of its name wins, then the first package.
 *
 * Shape:  a dotted name is a path of folders, as in pythonfilter: `sub.mod` is `sub/mod.js`.
 * Errors: a problem at the entry's line if nothing has the name, or one folder has it twice; at the package's folder if
 *         there is such a package but nothing to import in it.
 */
export function findModule(entry: Named, places: ModulePlaces): FoundModule | LoadProblem {
  const at = { file: entry.file, line: entry.line }
  const path = entry.name.replaceAll('.', '/')
  for (const folder of places.folders) {
    const found = moduleExtensions
      .map((ending) => join(folder, path + ending))
      .filter((file) => stats(file)?.isFile() === true)
    if (found.length > 1) {
      return {
        ...at,
        text: `filter "${entry.name}" is there twice: ${found.join(' and ')}`,
        cure: 'remove one of them',
      }
    }
    if (found[0] !== undefined) return { file: found[0], origin: folder, checks: placesOfFile(entry, found[0]) }
  }
  const inPackage = findPackage(entry.name, places.packageFolders)
  if (inPackage === null) return missing(entry, places)
  if ('file' in inPackage) return inPackage
  return { file: inPackage.folder, line: null, text: inPackage.text, cure: inPackage.cure }
}

function missing(entry: Named, { folders, packageFolders }: ModulePlaces): LoadProblem {
  const packages = packagedFilters(packageFolders).map(({ name }) => name)
  const near = nearMatch(entry.name, [...availableFilters(folders), ...packages])
  return {
    ...{ file: entry.file, line: entry.line, text: `there is no filter "${entry.name}"` },
    cure: near === null ? cureOfMissing(entry, folders, packageFolders) : `did you mean "${near}"?`,
  }
}

/** What may have been meant, by the looks of the name and of the list. */
function cureOfMissing({ name, file }: Named, folders: readonly string[], packageFolders: readonly string[]): string {
  if (isPythonfilterFile(file)) return '"nodefilter migrate --check" tells how such a filter goes on running in Python'
  if (name.startsWith('@') && packageFolders.length > 0)
    return `install the package there: npm install --prefix ${packageFolders[0] ?? ''} ${name}`
  // The folders last: a line of the log may have no room for them.
  return `correct the name, or name its folder in [chain] filter_path, which has ${folders.join(', ')}`
}

/** The names of all filters in the folders, for suggestions and listings. A folder that cannot be read has none. */
export function availableFilters(folders: readonly string[]): string[] {
  const names = new Set<string>()
  for (const folder of folders) {
    for (const file of listFolder(folder)) {
      const ending = moduleExtensions.find((candidate) => file.endsWith(candidate))
      const name = ending === undefined ? '' : file.slice(0, -ending.length)
      // With a dot in it, it would be looked for in a folder: it is a filter's test, or a declaration of types.
      if (name !== '' && !name.includes('.')) names.add(name)
    }
  }
  return [...names]
}

/** The file, and the folders of a dotted name that lead to it: every place below the filter folder that must be checked. */
function placesOfFile(entry: Named, file: string): string[] {
  const places = [file]
  for (let left = entry.name.split(/[./]/).length - 1; left > 0; left--) places.unshift(dirname(places[0] ?? file))
  return places
}

/**
 * Checks a folder (or module file) that code is loaded from: whoever can write there runs code as the mail server's
 * user and reads everybody's mail.
 *
 * Errors: a problem if it is missing, belongs to a stranger or is open to everybody; a warning if its group may write.
 */
export function checkCodePlace(path: string): { problem: LoadProblem | null; warning: LoadProblem | null } {
  const tell = (text: string, cure: string): LoadProblem => ({ file: path, line: null, text, cure })
  const found = stats(path)
  if (found === null)
    return { problem: tell('does not exist or cannot be read', 'correct [chain] filter_path'), warning: null }
  const owner = process.getuid?.() ?? found.uid
  if (found.uid !== 0 && found.uid !== owner) {
    return {
      problem: tell(`belongs to user ${found.uid}, not to root or user ${owner}`, `chown it to user ${owner}`),
      warning: null,
    }
  }
  if ((found.mode & 0o002) !== 0) return { problem: tell('may be written by everybody', 'chmod o-w it'), warning: null }
  if (found.isDirectory() && !mayBeEntered(path))
    return { problem: tell("may not be read or entered by the host's user", `let user ${owner} do so`), warning: null }
  if ((found.mode & 0o020) !== 0 && found.gid !== 0) {
    return { problem: null, warning: tell(`may be written by group ${found.gid}`, 'chmod g-w it unless that is meant') }
  }
  return { problem: null, warning: null }
}

/** Otherwise its filters would be told as missing, not as out of reach. */
function mayBeEntered(folder: string): boolean {
  try {
    accessSync(folder, constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** `null` also for what cannot be looked at: a folder that may not be entered, links in a circle. */
function stats(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
