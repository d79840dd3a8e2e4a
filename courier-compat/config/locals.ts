/**
 * The file `locals`: which domains are the accounts' of this machine.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.3.
 */
import { canonicalDomain } from './domain.ts'

/** The lines of `locals`, by what they compare with; of several, the one that stands first counts. */
export interface DomainList {
  readonly exact: ReadonlyMap<string, DomainLine>
  /** `.example.org` -> the line for everything below it. */
  readonly below: ReadonlyMap<string, DomainLine>
}

interface DomainLine {
  readonly place: number
  readonly isMember: boolean
}

/**
 * Parses such a file.
 *
 * Shape: a line is `name`, `.name` (everything below it, at any depth, not itself), or one of them with `!` in front: not
 *        in the list. From `#` on it is comment. Nothing is trimmed, so a blank anywhere keeps a line from ever matching.
 */
export function parseDomainList(bytes: Buffer): DomainList {
  const exact = new Map<string, DomainLine>()
  const below = new Map<string, DomainLine>()
  for (const [place, line] of bytes
    .toString('utf8')
    .split(/[\r\n]/)
    .entries()) {
    const text = line.replace(/#.*$/, '')
    const isMember = !text.startsWith('!')
    const name = canonicalDomain(isMember ? text : text.slice(1))
    if (name === '') continue
    const lines = name.startsWith('.') ? below : exact
    if (!lines.has(name)) lines.set(name, { place, isMember })
  }
  return { exact, below }
}

/** The list that Courier assumes where there is no file. */
export function domainListOf(domain: string): DomainList {
  return { exact: new Map([[canonicalDomain(domain), { place: 0, isMember: true }]]), below: new Map() }
}

/** The DNS has no longer names. Trying each end of what only looks like one would hold up the thread. */
const maxDomainChars = 255

/**
 * True if the domain is in the list. It is also tried with the host's name at its beginning replaced by `*`, so that
 * lines such as `*` and `*.sub.example.org` stand for `HOST` and `HOST.sub.example.org`.
 */
export function isListed(list: DomainList, domain: string, hostName: string): boolean {
  const name = canonicalDomain(domain)
  if (name === '' || name.length > maxDomainChars) return false
  if (decision(list, name) === true) return true
  const isHost = hostName !== '' && (name === hostName || name.startsWith(`${hostName}.`))
  return isHost && decision(list, `*${name.slice(hostName.length)}`) === true
}

/** What the first line that matches says; `null` if none does. */
function decision({ exact, below }: DomainList, name: string): boolean | null {
  let first = exact.get(name) ?? null
  for (let dot = name.indexOf('.', 1); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const line = below.get(name.slice(dot))
    if (line !== undefined && (first === null || line.place < first.place)) first = line
  }
  return first === null ? null : first.isMember
}
