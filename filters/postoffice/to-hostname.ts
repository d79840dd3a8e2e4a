/**
 * `to_hostname`: is the message addressed to one of these hosts?
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 3.1 with its successor's rules.
 */
import { canonical, fieldsNamed, parseAddress, parseAddressList } from '../../courier-compat/index.ts'
import type { HeaderField, HeaderSection } from '../../courier-compat/index.ts'
import { roughAddresses } from './tolerant-addresses.ts'
import type { HostnameFilter, HostPattern, PostofficeFilter } from './types.ts'

/** An address, as it is compared. */
export interface FieldAddress {
  /** For log lines and for comparing. */
  readonly text: string
  /** In lower case and ASCII. */
  readonly domain: string
}

/** The addresses of a field. */
export interface FieldAddresses {
  readonly addresses: readonly FieldAddress[]
  /** False where programs may read the field differently; `addresses` is then what most of them act on. */
  readonly isCertain: boolean
}

/** No host has so many labels; the ends of a longer name of a message are not looked for. */
const maxLabels = 40

/** A field larger than this holds no addresses that anybody typed; it is not searched for what can be made out of it. */
const maxRoughOctets = 256 * 1024

/**
 * Reads one host name of the filter's argument. `null`: it is none, for instance `.`, `a..b` or `a*.example.com`.
 */
export function parseHostPattern(written: string): HostPattern | null {
  const kind = written.startsWith('*.') ? 'below' : written.startsWith('.') ? 'domain' : 'exact'
  const name = written.slice({ below: 2, domain: 1, exact: 0 }[kind])
  const domain = canonicalHost(name)
  if (domain === null || !/^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[.+\])$/.test(domain)) return null
  if (domain.split('.').length > maxLabels) return null
  return kind !== 'exact' && domain.startsWith('[') ? null : { written, kind, domain }
}

/** True if this domain, in lower case and ASCII, is one that the pattern means. Labels are compared whole. */
export function hostMatches({ kind, domain: wanted }: HostPattern, domain: string): boolean {
  if (domain === wanted) return kind !== 'below'
  return kind !== 'exact' && domain.endsWith(`.${wanted}`)
}

/** The addresses of one field. */
export function addressesIn({ valueBytes }: Pick<HeaderField, 'valueBytes'>): FieldAddresses {
  const list = parseAddressList(valueBytes)
  if (list.ok) {
    const addresses = list.mailboxes.map(({ address }) => ({ text: canonical(address), domain: address.domain }))
    return { addresses, isCertain: true }
  }
  if (valueBytes.length > maxRoughOctets) return { addresses: [], isCertain: false }
  const addresses = roughAddresses(valueBytes.toString('utf8')).flatMap(({ local, domain: written }) => {
    const domain = canonicalHost(written)
    return domain === null ? [] : [{ text: `${local}@${domain}`, domain }]
  })
  return { addresses, isCertain: false }
}

/** Addresses by their hosts, so that each of a thousand queues finds its own at once. */
export interface HostIndex {
  /** The first address at each domain, and the first below each. */
  readonly at: ReadonlyMap<string, string>
  readonly below: ReadonlyMap<string, string>
}

/** Makes an index. */
export function indexHosts(addresses: Iterable<FieldAddress>): HostIndex {
  const at = new Map<string, string>()
  const below = new Map<string, string>()
  for (const { text, domain } of addresses) {
    if (at.has(domain)) continue
    at.set(domain, text)
    let end = domain.length
    for (let labels = 0; labels < maxLabels; labels++) {
      const dot = domain.lastIndexOf('.', end - 1)
      if (dot < 1) break
      const parent = domain.slice(dot + 1)
      if (!below.has(parent)) below.set(parent, text)
      end = dot
    }
  }
  return { at, below }
}

/** The addresses in all fields of this name. */
export function* addressesNamed(section: HeaderSection, name: string): Generator<FieldAddress, void, undefined> {
  for (const field of fieldsNamed(section, name)) yield* addressesIn(field).addresses
}

/** The addresses of an envelope; those without a domain are nowhere. */
export function* recipientAddresses(recipients: readonly string[]): Generator<FieldAddress, void, undefined> {
  for (const recipient of recipients) {
    const domain = domainOfRecipient(recipient)
    if (domain !== null) yield { text: recipient, domain }
  }
}

/** What `matchHostname` found. */
export interface HostMatch {
  readonly address: string
  readonly host: HostPattern
}

/** An address that is at one of the filter's hosts; `null`: there is none. `indexOf` has the addresses under a name. */
export function matchHostname(
  { hosts, headers }: HostnameFilter,
  indexOf: (header: string) => HostIndex,
): HostMatch | null {
  for (const header of headers) {
    const { at, below } = indexOf(header)
    for (const host of hosts) {
      const address =
        (host.kind === 'below' ? undefined : at.get(host.domain)) ??
        (host.kind === 'exact' ? undefined : below.get(host.domain))
      if (address !== undefined) return { address, host }
    }
  }
  return null
}

/**
 * The recipients of the envelope that are at the hosts of these filters, at those of every `to_hostname` among them. None
 * where no filter is a `to_hostname`: then the queue asks for nobody's mail by its address.
 */
export function recipientsAtHosts(
  filters: readonly PostofficeFilter[],
  recipients: readonly string[],
): readonly string[] {
  const byHost = filters.filter((filter) => filter.kind === 'to_hostname')
  if (byHost.length === 0) return []
  return recipients.filter((recipient) => {
    const domain = domainOfRecipient(recipient)
    return domain !== null && byHost.every(({ hosts }) => hosts.some((pattern) => hostMatches(pattern, domain)))
  })
}

/** In lower case and as A-labels, without the dot of the root; `null` for what is no domain. */
function canonicalHost(written: string): string | null {
  const result = parseAddress(`x@${written.trim().replace(/\.$/, '')}`)
  return result.ok ? result.address.domain : null
}

function domainOfRecipient(recipient: string): string | null {
  const at = recipient.lastIndexOf('@')
  return at === -1 ? null : canonicalHost(recipient.slice(at + 1))
}
