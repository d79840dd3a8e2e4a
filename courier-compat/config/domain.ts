/**
 * Domains in the form in which Courier compares and stores them.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.2 to 5.4.
 */
import { domainToASCII, domainToUnicode } from 'node:url'

/**
 * A domain in lower case, with `xn--` labels decoded: `EX\u00c4MPLE.org` and `xn--exmple-cua.ORG` give `ex\u00e4mple.org`.
 *
 * Shape: nothing is trimmed or refused. A label that is none in IDNA stays, in lower case. So do dots: `.example.org`.
 */
export function canonicalDomain(domain: string): string {
  const lower = domain.toLowerCase()
  return plainAscii.test(lower) && !lower.includes('xn--') ? lower : lower.split('.').map(canonicalLabel).join('.')
}

/**
 * A domain as it stands in protocols and in the DNS: lower case, ASCII, `xn--` labels encoded. What cannot be encoded
 * stays as it is.
 */
export function asciiDomain(domain: string): string {
  return canonicalDomain(domain)
    .split('.')
    .map((label) => (plainAscii.test(label) ? label : encoded(label)))
    .join('.')
}

const plainAscii = /^\p{ASCII}*$/u

// node:url parses whole hosts: it would cut at `#`, decode `%41`, and take a number for an IPv4 address.
const convertible = /^[a-z0-9_\-\u{80}-\u{10ffff}]+$/u

function canonicalLabel(label: string): string {
  if (plainAscii.test(label) && !label.startsWith('xn--')) return label
  const composed = label.normalize('NFC')
  return converted(composed, (text) => domainToUnicode(domainToASCII(text)))
}

function encoded(label: string): string {
  return converted(label, domainToASCII)
}

/** One label by IDNA, or itself where that gives none. */
function converted(label: string, convert: (label: string) => string): string {
  const result = convertible.test(label) ? convert(label) : ''
  return result === '' || result.includes('.') ? label : result
}

/** An address parted at its last `@`: `null` for the domain where there is none, as in `"a@b"`. */
export function splitAddress(address: string): { readonly local: string; readonly domain: string | null } {
  const at = address.lastIndexOf('@')
  // Without a domain the address ends in a local part, where an @ can only stand within quotes.
  if (at === -1 || address.endsWith('"')) return { local: address, domain: null }
  return { local: address.slice(0, at), domain: address.slice(at + 1) }
}
