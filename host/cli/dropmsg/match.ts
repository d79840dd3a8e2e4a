/**
 * Which messages of the queue are meant.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 1.11.
 */
import { identityOf, parseAddress } from '../../../courier-compat/addresses.ts'
import { canonicalDomain, splitAddress } from '../../../courier-compat/config/domain.ts'
import { parseControlFacts, type ControlFacts } from '../../../courier-compat/control.ts'

/** Messages with any of these are meant; each in the form that `canonicalAddress` and `canonicalIp` give. */
export interface Criteria {
  readonly users: ReadonlySet<string>
  readonly ips: ReadonlySet<string>
  /** `''` is the null sender. */
  readonly senders: ReadonlySet<string>
}

/** Why a message is meant, for instance `sender`; `bounce`: it is a notice to one of the senders. */
export type MatchReason = 'user' | 'ip' | 'sender' | 'bounce'

/**
 * All reasons for which a message is meant; none: it is not.
 * Shape: a notice, which has the null sender, is meant with any of its recipients that are left, not only the first.
 */
export function matchReasons(criteria: Criteria, facts: ControlFacts): MatchReason[] {
  const { users, ips, senders } = criteria
  const isNotice = facts.sender === null
  const isTo = ({ address }: { readonly address: string }): boolean => senders.has(canonicalAddress(address))
  const reasons: readonly [MatchReason, boolean][] = [
    ['user', facts.authUser !== null && users.has(facts.authUser)],
    ['ip', facts.clientIp !== null && ips.has(facts.clientIp)],
    ['sender', senders.has(canonicalAddress(facts.sender ?? ''))],
    ['bounce', isNotice && facts.recipients.some(isTo)],
  ]
  return reasons.filter(([, holds]) => holds).map(([reason]) => reason)
}

/** An address to be compared: the domain in one form, the local part octet for octet, but `postmaster` in any letter case. */
export function canonicalAddress(address: string): string {
  const result = parseAddress(address, { brackets: true })
  if (result.ok) return identityOf(result.address)
  // Courier's queue has such as well: names without a domain, and what strangers made up.
  const { local, domain } = splitAddress(address)
  return domain === null ? local : `${local}@${canonicalDomain(domain)}`
}

/** An IP address in the form that clients' addresses have when they are read; `null` for what is none. */
export function canonicalIp(text: string): string | null {
  return /[\r\n\0]/.test(text) ? null : parseControlFacts([Buffer.from(`OTCPREMOTEIP=${text}\n`)]).clientIp
}
