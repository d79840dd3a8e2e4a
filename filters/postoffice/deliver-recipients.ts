/** Whose mail a queue takes in place of its mailbox, and how the mail server learns of it. */
import { changeRecipients } from '../../courier-compat/index.ts'
import type { ControlRecipient } from '../../courier-compat/index.ts'
import type { Deliver } from './configuration.ts'
import { recipientsAtHosts } from './to-hostname.ts'
import type { PostofficeFilter } from './types.ts'

/**
 * The recipients that get the message from the queue alone.
 *
 * Shape: `auto`: those at the queue's hosts, nobody where there is none of them; `queue`: those, or everybody; `both`: nobody.
 */
export function recipientsTaken(
  pending: readonly ControlRecipient[],
  filters: readonly PostofficeFilter[],
  deliver: Deliver,
): readonly ControlRecipient[] {
  if (deliver === 'both') return []
  const addresses = pending.map(({ address }) => address)
  const atHosts = new Set(recipientsAtHosts(filters, addresses))
  if (atHosts.size === 0) return deliver === 'queue' ? pending : []
  return pending.filter(({ address }) => atHosts.has(address))
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
