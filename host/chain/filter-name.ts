/**
 * Which names a filter may have. Names become file names looked up in folders, keys in stores and words in the log.
 *
 * Pure: no clock, socket, file or logger.
 */
import { quoted } from '../../courier-compat/quoted.ts'

/** npm's limit for the name of a package. */
const maxNameChars = 214
const maxAliasChars = 64

/** One folder's or file's name: it cannot be hidden, an option, or a way out of the folder. */
const segment = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-]))*$/

/**
 * Why `name` cannot name a filter, or `null` if it can.
 *
 * Shape: segments of letters, digits, `_`, `-` and single inner dots, with `/` between them; `@` only before the scope of
 *        an npm package (`@scope/name`). So no absolute path, no `..`, nothing that climbs out of a folder.
 */
export function filterNameProblem(name: string): string | null {
  if (name.length > maxNameChars)
    return `${quoted(name)} is no name of a filter: it is longer than ${maxNameChars} characters`
  const segments = name.split('/')
  const isScoped = name.startsWith('@')
  const first = segments[0] ?? ''
  if (isScoped) segments[0] = first.slice(1)
  if ((!isScoped || segments.length > 1) && segments.every(isSegment)) return null
  return `${quoted(name)} is no name of a filter: use letters, digits, _ - . and, for packages, @ and /`
}

/** Why `alias` cannot stand after `as`, or `null` if it can: as a filter's name, of one segment. */
export function aliasProblem(alias: string): string | null {
  if (alias.length <= maxAliasChars && isSegment(alias)) return null
  return `${quoted(alias)} is no alias: use letters, digits, _ - . and at most ${maxAliasChars} characters`
}

function isSegment(text: string): boolean {
  // A plain object under this name would be its prototype.
  return segment.test(text) && text !== '__proto__'
}
