/**
 * What makes a message known again: its Message-Id, and a digest of its body, since ids are used twice.
 *
 * Source: spec postoffice 9 with the successor's rules.
 */
import { createHash } from 'node:crypto'
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { IncomingMessage } from './incoming.ts'
import type { SortingSettings } from './types.ts'

/** The identity of a message. */
export interface MessageIdentity {
  readonly messageId: string
  /** It has none of its own, and got one that is made of its octets. */
  readonly isOurs: boolean
  /** SHA-256 of the body, or of its beginning; `null` where nobody asked for it. */
  readonly bodyDigest: string | null
  /** What tells its body from another one's; `null` where only the Message-Id counts. */
  readonly distinction: string | null
}

/** Of a message over the size limit so much is read, and its size stands for the rest. */
const prefixOctets = 64 * 1024

/** The identity of a message. Errors: those of `IncomingMessage`. */
export async function messageIdOf(
  message: IncomingMessage,
  settings: Pick<SortingSettings, 'duplicateDigest' | 'duplicateWindowMs'>,
  isOversize: boolean,
): Promise<MessageIdentity> {
  const own = fieldsNamed(message.header, 'Message-Id')[0]?.value ?? ''
  const needsDigest = own === '' || (settings.duplicateDigest && settings.duplicateWindowMs > 0)
  const bodyDigest = needsDigest ? await message.bodyDigest(isOversize ? prefixOctets : null) : null
  const bodyOctets = message.octets - (message.header.bodyStart ?? 0)
  const distinction = bodyDigest !== null && isOversize ? `${bodyDigest} ${bodyOctets}` : bodyDigest
  if (own !== '') return { messageId: own, isOurs: false, bodyDigest, distinction }
  const hash = createHash('sha256')
  // The fields that each server adds are among them: the same words sent twice are two messages.
  for (const { raw } of message.header.lines) hash.update(raw)
  hash.update(`\n${message.octets} ${bodyDigest ?? ''}`)
  const messageId = `<${hash.digest('hex').slice(0, 40)}@synthesized.invalid>`
  return { messageId, isOurs: true, bodyDigest, distinction }
}
