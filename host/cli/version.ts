/** What this package says of itself in its package.json, which lies one folder higher in the built package. */
import { existsSync, readFileSync } from 'node:fs'

/** For instance `0.1.0`. */
export function packageVersion(): string {
  const { version } = packageFile()
  return typeof version === 'string' ? version : 'unknown'
}

/** The versions of Node that it runs on, for instance `^24.15.0 || >=26`; `null` where that is not known. */
export function nodeRange(): string | null {
  const { engines } = packageFile()
  const range = typeof engines === 'object' && engines !== null && 'node' in engines ? engines.node : null
  return typeof range === 'string' ? range : null
}

function packageFile(): { readonly version?: unknown; readonly engines?: unknown } {
  const places = ['../../package.json', '../../../package.json'].map((path) => new URL(path, import.meta.url))
  const file = places.find((place) => existsSync(place))
  return file === undefined ? {} : (JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown; engines?: unknown })
}
