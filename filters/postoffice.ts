/**
 * postoffice: put mail for applications in their queues while it is received.
 *
 * Reads:    the ini file of the post office; the header section, the envelope, and the body where some filter asks for it.
 * Keeps:    queues in the host's depot; a TTL map of how fast senders are, where the ini file limits that.
 * Verdicts: pass; reject 554 5.7.1, or 554 5.6.0.
 * Source:   spec postoffice; docs/postoffice.md.
 *
 * A message is in its queue, on disk, before the mail server hears that it is accepted, and in none if it is refused.
 */
import type { DoFilter, Edits, FilterSetup, OnError, SettingSchemas, SettingsOf } from '../courier-compat/index.ts'
import { takeMessage } from './postoffice/deliver.ts'
import { openPostOffice, type OpenPostOffice } from './postoffice/deliver-setup.ts'

/** A message that is let pass would go to mailboxes that its recipients may not have. */
export const onError: OnError = 'defer'

export const edits: Edits = 'library'

export const about = 'puts mail for applications in queues, by the rules of a postoffice.ini'

export const settings = {
  ini: {
    type: 'path',
    default: null,
    text: 'The ini file of the post office, as for the command postoffice. Required.',
  },
  deliver: {
    type: 'choice',
    choices: ['ini', 'auto', 'queue', 'both'],
    default: 'ini',
    text: 'Whether mail in a queue goes on to mailboxes: queue, not to those of the queue; both, to all; auto, not to recipients at the host names of the queue; ini, as the ini file says, auto unless it does.',
  },
  reject: {
    type: 'choice',
    choices: ['ini', 'refuse', 'drop'],
    default: 'ini',
    text: 'What becomes of mail that a reject filter matches: refused with 554, or accepted and thrown away; ini, as the ini file says, refuse unless it does.',
  },
  reject_scope: {
    type: 'choice',
    choices: ['queues', 'all'],
    default: 'queues',
    text: 'Whether reject filters are for mail that some queue would take, or for all mail of this server.',
  },
  unfit: {
    type: 'choice',
    choices: ['pass', 'refuse', 'drop'],
    default: 'pass',
    text: 'What becomes of mail for a queue that is not put in it, as having no From, or being a notice of ours that came back.',
  },
  oversize_queue: {
    type: 'text',
    default: 'oversize',
    text: 'The queue in which messages over max_message_size are kept whole, while their queue gets a shortened one.',
  },
} as const satisfies SettingSchemas

let post: OpenPostOffice | null = null

export async function initFilter(setup: FilterSetup<SettingsOf<typeof settings>>): Promise<void> {
  const { ini, deliver, reject, reject_scope: rejectScope, unfit, oversize_queue: oversizeQueue } = setup.settings
  if (ini === null) throw new Error('which ini file? write "ini = /path/of/postoffice.ini" into its section')
  post = await openPostOffice(
    {
      ...{ ini, rejectScope, unfit, oversizeQueue },
      deliver: deliver === 'ini' ? null : deliver,
      reject: reject === 'ini' ? null : reject,
    },
    setup,
  )
}

export const doFilter: DoFilter = (bodyPath, controlPaths, context) => {
  if (post === null) throw new Error('initFilter was not called')
  return takeMessage(post, bodyPath, controlPaths, context)
}
