/**
 * What a consumer is told of a message that came while it was received.
 *
 * Pure: no clock, socket, file or logger.
 */
import type { FilterContext } from '../../courier-compat/index.ts'
import type { Json } from '../../queue-store/index.ts'
import type { PostFacts } from './facts.ts'

/** Where the original of a shortened message is. */
export interface KeptOriginal {
  readonly queue: string
  /** In the facts of both. */
  readonly reference: string
}

/** Of each list that grows with the message so many characters are kept: facts are small, whatever they are about. */
const mostCharacters = 12_000

/**
 * The facts. Long lists of recipients and of matches end early; `recipientCount` is the number of all recipients, and the
 * envelope has them.
 */
export function factsOfDelivery(
  facts: PostFacts,
  { id, client }: Pick<FilterContext, 'id' | 'client'>,
  original: KeptOriginal | null,
): { readonly [name: string]: Json } {
  return {
    ...facts,
    recipients: bounded(facts.recipients),
    matched: bounded(facts.matched),
    recipientCount: facts.recipients.length,
    source: 'smtp',
    messageQueueId: id,
    client: client.ip,
    authUser: client.authUser,
    original: original === null ? null : { ...original },
  }
}

function bounded(texts: readonly string[]): string[] {
  let left = mostCharacters
  const end = texts.findIndex((text) => (left -= text.length + 4) < 0)
  return end === -1 ? [...texts] : texts.slice(0, end)
}
