/** The version of the package, whose package.json lies one folder higher in the built package. */
import { existsSync, readFileSync } from 'node:fs'

/** For instance `0.1.0`. */
export function packageVersion(): string {
  const places = ['../../../package.json', '../../../../package.json'].map((path) => new URL(path, import.meta.url))
  const file = places.find((place) => existsSync(place))
  if (file === undefined) return 'unknown'
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version?: unknown }
  return typeof version === 'string' ? version : 'unknown'
}
