/**
 * Filters that are npm packages: from a name of the list to the file that Node would import under it.
 *
 * Node itself resolves: `exports` with the conditions of an import, `main`, subpaths, linked packages.
 */
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readTextFile } from '../../courier-compat/text-file.ts'

/** A package that was found, and the module that its name (or subpath) means. */
export interface FoundPackage {
  readonly file: string
  /** Its folder in `node_modules`. */
  readonly origin: string
  /** Every folder and file that must not be anybody's to write: from the folder of `node_modules` down to the module. */
  readonly checks: readonly string[]
}

/** Why a package that is there cannot be used. */
export interface PackageProblem {
  /** The package's folder. */
  readonly folder: string
  readonly text: string
  readonly cure: string
}

/** A package that says of itself that it is a filter. */
export interface PackagedFilter {
  readonly name: string
  readonly folder: string
  readonly version: string
}

/** A longer package.json is none. */
const maxManifestOctets = 2 ** 20

/** The word among a package's `keywords` by which it is listed; one that is named in the list needs none. */
export const filterKeyword = 'nodefilter-filter'

/**
 * Finds the package `name` (`name`, `@scope/name`, or one of these with a subpath) as an import in a file of one of
 * `folders` would; the first folder that has it wins. `null` if there is no such package.
 */
export function findPackage(name: string, folders: readonly string[]): FoundPackage | PackageProblem | null {
  for (const given of folders) {
    const folder = resolve(given)
    const place = installedPlace(name, folder)
    if (place === null) continue
    const home = realpathSync(place)
    try {
      const url = resolveFrom(name, folder)
      // A name of Node's own modules means these, whatever is installed under it.
      if (!url.startsWith('file:')) continue
      const file = realpathSync(fileURLToPath(url))
      return { file, origin: place, checks: placesOf(place, home, file) }
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown)
      return {
        folder: home,
        text: `is a package, but not one that gives "${name}": ${text}`,
        cure: 'correct the name, or "exports" and "main" in its package.json',
      }
    }
  }
  return null
}

/** The packages below `folders` that are filters by their keywords, by name. What cannot be read is none. */
export function packagedFilters(folders: readonly string[]): PackagedFilter[] {
  const found = new Map<string, PackagedFilter>()
  for (const folder of folders) {
    const top = join(folder, 'node_modules')
    const names = listFolder(top).flatMap((name) =>
      name.startsWith('@') ? listFolder(join(top, name)).map((inner) => `${name}/${inner}`) : [name],
    )
    for (const name of names) {
      const manifest = readManifest(join(top, name))
      if (manifest === null || found.has(name) || !manifest.keywords.includes(filterKeyword)) continue
      found.set(name, { name, folder: join(top, name), version: manifest.version })
    }
  }
  return [...found.values()]
}

/** Where the package of `name` is installed for `folder`: in the nearest `node_modules` on the way up that has it. */
function installedPlace(name: string, folder: string): string | null {
  const packageName = name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')
  for (let at = folder; ; at = dirname(at)) {
    const place = join(at, 'node_modules', packageName)
    if (basename(at) !== 'node_modules' && isFolder(place)) return place
    if (dirname(at) === at) return null
  }
}

/** Errors: those of Node's resolution. */
function resolveFrom(name: string, folder: string): string {
  const asked = `nodefilter-package:${name}`
  // Node lets nobody choose whose import it resolves, but a hook may.
  const hook = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === asked
        ? next(name, { ...context, parentURL: pathToFileURL(`${folder}/`).href })
        : next(specifier, context),
  })
  try {
    return import.meta.resolve(asked)
  } finally {
    hook.deregister()
  }
}

function placesOf(installed: string, home: string, file: string): string[] {
  const above = dirname(installed)
  const modules = basename(above) === 'node_modules' ? [above] : [dirname(above), above]
  // The folder they are installed in too: whoever may write there can put another node_modules in the place of this one.
  const places = [dirname(modules[0] ?? above), ...modules, home]
  const inside = relative(home, file)
  // What a package leads to outside of itself is checked with its folder.
  if (inside.startsWith('../')) return [...places, dirname(file), file]
  let at = home
  for (const step of inside.split('/')) places.push((at = join(at, step)))
  return places
}

function readManifest(folder: string): { readonly version: string; readonly keywords: readonly unknown[] } | null {
  try {
    const manifest: unknown = JSON.parse(readTextFile(join(folder, 'package.json'), maxManifestOctets))
    const { version, keywords } = manifest as { version?: unknown; keywords?: unknown }
    return {
      version: typeof version === 'string' ? version : '',
      keywords: Array.isArray(keywords) ? (keywords as unknown[]) : [],
    }
  } catch {
    return null
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'))
  } catch {
    return []
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
