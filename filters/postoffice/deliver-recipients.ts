/** Whose mail a queue takes in place of its mailbox, and how the mail server learns of it. */
import { changeRecipients } from '../../courier-compat/index.ts'
import type { ControlRecipient, HeaderSection } from '../../courier-compat/index.ts'
import type { Deliver } from './configuration.ts'
import { addressesNamed } from './to-hostname.ts'

/**
 * The recipients that get the message from the queue alone; `atHosts` are the addresses that are at its hosts.
 *
 * Shape: `auto`: those at the hosts, nobody where there is none of them; `queue`: those, or everybody; `both`: nobody.
 */
export function recipientsTaken(
  pending: readonly ControlRecipient[],
  atHosts: readonly string[],
  deliver: Deliver,
): readonly ControlRecipient[] {
  if (deliver === 'both') return []
  if (atHosts.length === 0) return deliver === 'queue' ? pending : []
  const addresses = new Set(atHosts)
  return pending.filter(({ address }) => addresses.has(address))
}

/** True where none of these addresses stands in To or Cc: so one writes to several people at once, and no program answers so. */
export function isSentBlind(header: HeaderSection, addresses: readonly string[]): boolean {
  if (addresses.length === 0) return false
  const open = new Set<string>()
  for (const name of ['To', 'Cc']) for (const { text } of addressesNamed(header, name)) open.add(text.toLowerCase())
  return !addresses.some((address) => open.has(address.toLowerCase()))
}

/** Marks recipients as delivered, each file in one write. Nobody is told. Errors: as `changeRecipients`. */
export function markDelivered(recipients: readonly ControlRecipient[], why: string): void {
  for (const [file, ofFile] of Map.groupBy(recipients, (recipient) => recipient.file)) {
    changeRecipients(
      file,
      ofFile.map(({ index }) => ({ index, why, replaceBy: null })),
    )
  }
}
