/**
 * What the post office knows of a message that it puts in a queue. Kept beside the message, whose octets stay as they came.
 *
 * Pure: no clock, socket, file or logger.
 */
import type { AutoResponseSign } from './types.ts'

/** The values of `X-Postoffice-Rejected`: the message is in the queue, and its consumer is told to think twice. */
export const marks = ['Maximum Message Size Exceeded', 'Auto-response', 'Throttled'] as const

export type Mark = (typeof marks)[number]

/** The facts; plain data, and small whatever the message contains. */
export interface PostFacts {
  readonly queue: string
  /** In the order in which they were found. */
  readonly marks: readonly Mark[]
  readonly arrivedAtMs: number
  /** Of the message as it came. */
  readonly octets: number
  /** Without line ends, at most some hundred characters; `isMessageIdOurs`: the message has none. */
  readonly messageId: string
  readonly isMessageIdOurs: boolean
  /** The address of the author in lower case, or what stands in its place. */
  readonly sender: string
  /** X-Original-To; `null` without one. */
  readonly originalTo: string | null
  /** From a mailing list. */
  readonly isBulk: boolean
  readonly autoResponse: readonly AutoResponseSign[]
  readonly autoResponseHints: readonly AutoResponseSign[]
  /** Which filters matched, and what of the message. */
  readonly matched: readonly string[]
  /** The recipients of the envelope at the host names of the queue. */
  readonly recipients: readonly string[]
  /** `null` where the message is within the size limit. */
  readonly sizeLimitOctets: number | null
  /** Body filters that found no match without having seen all of the body. */
  readonly isBodyCut: boolean
  /** The header section is larger than what is read. */
  readonly isHeaderCut: boolean
  /** How many X-Postoffice-* fields the sender had written himself. */
  readonly forgedFields: number
  /** SHA-256 of the body, of what was read of it; `null` where nobody asked. */
  readonly bodyDigest: string | null
}
