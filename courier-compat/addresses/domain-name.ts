/**
 * Domains of addresses, in the one form in which they are compared and looked up.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5321 4.1.2 and 4.1.3 (domains, literals), RFC 5890 (A-labels and U-labels), UTS 46 as node:url has it.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

/** RFC 1035 2.3.4, without the dot of the root. */
const maxDomainOctets = 253
const maxLabelOctets = 63

/**
 * A domain in lower case and ASCII: labels beyond ASCII as A-labels (`xn--`).
 *
 * Shape: the fault is `domain` where programs may read it differently: an empty label, a dot at the end, an `xn--` label that
 *        stands for nothing, characters that IDNA maps to others (full-width letters and dots, invisible ones). Upper case is
 *        no such thing. It is `long-domain` for more than 253 octets, or 63 in a label. What may stand in an ASCII label is
 *        not limited to what the DNS allows: RFC 5322 does not either.
 */
export function canonicalDomainName(domain: string): string | { readonly fault: 'domain' | 'long-domain' } {
  // In octets it is at least as long.
  if (domain.length > maxDomainOctets) return { fault: 'long-domain' }
  const labels: string[] = []
  for (const label of domain.split('.')) {
    const found = canonicalLabel(label)
    if (found === null) return { fault: 'domain' }
    if (found.length > maxLabelOctets) return { fault: 'long-domain' }
    labels.push(found)
  }
  const whole = labels.join('.')
  return whole.length > maxDomainOctets ? { fault: 'long-domain' } : whole
}

const asciiLabel = /^[\w!#$%&'*+\-/=?^`{|}~]+$/
// node:url parses whole hosts, so it only gets what is nothing but a label.
const unicodeLabel = /^[a-z0-9_\-\u{80}-\u{10ffff}]+$/iu

function canonicalLabel(label: string): string | null {
  if (asciiLabel.test(label)) {
    const lower = label.toLowerCase()
    if (!lower.startsWith('xn--')) return lower
    // Versions of Node differ in what they give for one that stands for nothing: nothing, or itself.
    const meant = domainToUnicode(lower)
    return !asciiLabel.test(meant) && domainToASCII(meant) === lower ? lower : null
  }
  if (!unicodeLabel.test(label)) return null
  const composed = label.normalize('NFC')
  const ascii = domainToASCII(composed)
  // What comes back is another text where characters were mapped, or left out, or taken for dots.
  return ascii.startsWith('xn--') && domainToUnicode(ascii) === composed.toLowerCase() ? ascii : null
}

/**
 * What stands between the square brackets of a domain literal, in one form: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
 * `null` for anything but an IP address.
 */
export function canonicalLiteral(content: string): string | null {
  if (isIPv4(content)) return `[${content}]`
  const address = /^IPv6:([0-9a-f:.]+)$/i.exec(content)?.[1]
  if (address === undefined || !isIPv6(address)) return null
  // The shortest form (RFC 5952), in brackets as it stands in URLs.
  return `[IPv6:${new URL(`http://[${address}]/`).hostname.slice(1)}`
}
