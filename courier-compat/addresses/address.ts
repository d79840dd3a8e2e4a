/**
 * An address: what it is, its two written forms, and when two are the same.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5321 2.4 and 4.1.2; spec courier 4.3 and 5.4 (how addresses stand in control files).
 */
import { canonicalDomain } from '../config/domain.ts'

/** One address, whatever way it was written. */
export interface Address {
  /** What the part before the @ means, quotes and backslashes undone. Its letter case and its octets are the receiver's matter. */
  readonly local: string
  /** In lower case and ASCII (`xn--`), or an IP address as `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
  readonly domain: string
}

/** RFC 5322 3.2.3, `dot-atom-text`, with UTF-8 as RFC 6532 has it. */
export const dotAtom = /^[\w!#$%&'*+\-/=?^`{|}~\u{80}-\u{10ffff}]+(?:\.[\w!#$%&'*+\-/=?^`{|}~\u{80}-\u{10ffff}]+)*$/u

/** The one text of an address: quotes only where they are needed, the domain in lower case and ASCII. */
export function canonical({ local, domain }: Address): string {
  return `${localText(local)}@${domain}`
}

/**
 * The address as Courier writes it into control files, and as `addRecipient` wants it: as `canonical`, but the domain in
 * UTF-8. Aliases and local domains are not looked at.
 */
export function envelopeAddress({ local, domain }: Address): string {
  return `${localText(local)}@${domain.startsWith('[') ? domain : canonicalDomain(domain)}`
}

/** True if the address needs servers that know SMTPUTF8 (RFC 6531): a domain can go out as `xn--`, a local part cannot. */
export function needsUtf8({ local }: Address): boolean {
  return !/^\p{ASCII}*$/u.test(local)
}

function localText(local: string): string {
  return dotAtom.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`
}
