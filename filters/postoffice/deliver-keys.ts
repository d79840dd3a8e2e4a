/**
 * Names of a message by which it is known when it comes again: the same delivery once more, or a duplicate.
 *
 * Pure: no clock, socket, file or logger.
 */
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'
import type { PostEnvelope } from './incoming.ts'
import type { PostFacts } from './facts.ts'
import type { Admission } from './memory.ts'
import { keyOf } from './memory-key.ts'

/** What names are made of. */
export interface KeyedMessage {
  readonly header: HeaderSection
  readonly envelope: PostEnvelope
  readonly facts: Pick<PostFacts, 'isMessageIdOurs' | 'bodyDigest' | 'octets'>
  readonly admission: Admission
}

/**
 * The idempotency key of the entry in its queue: that under which the memory knows the message. A queue that remembers its
 * keys for the duplicate window so takes each message once, from whatever side it comes.
 * `null`: nothing of ours names it, and whoever adds it makes a name by its content and envelope.
 */
export function entryKeyOf({ admission, facts }: Pick<KeyedMessage, 'admission' | 'facts'>): string | null {
  // An id of ours is made of all fields, those among them that each attempt to deliver brings anew.
  if (facts.isMessageIdOurs || admission.seen.windowMs === 0) return null
  return `message:${admission.seen.key}`
}

/**
 * A name for counting the message once; `null`: each time. As `entryKeyOf`, and where that has none, of what stays the same
 * when the mail server brings it again.
 */
export function countedOnceAs(message: KeyedMessage): string | null {
  const own = entryKeyOf(message)
  if (own !== null) return own
  const { header, envelope, facts, admission } = message
  if (!facts.isMessageIdOurs) return keyOf('once', admission.seen.key)
  const date = fieldsNamed(header, 'Date')[0]?.value ?? null
  if (date === null) return null
  const who = ['From', 'To', 'Subject'].map((name) => fieldsNamed(header, name)[0]?.value ?? null)
  const recipients = envelope.recipients.toSorted().join(' ')
  return keyOf('once', date, ...who, facts.bodyDigest, envelope.sender, recipients)
}
