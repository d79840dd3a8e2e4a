/**
 * Was this message put in this queue before?
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 9: the key is queue, Message-Id and recipient, and the body where that is wanted.
 */
import { keyOf } from './memory-key.ts'

/** What is remembered of a message in a queue. */
export interface SeenRecord {
  readonly atMs: number
  /** The delivery that brought it; `null` where it is not known. */
  readonly delivery: string | null
  /** It was marked as sent too fast; the retry of a delivery hears the same again. */
  readonly isThrottled: boolean
}

/** What makes two messages one. */
export interface SeenIdentity {
  readonly queue: string
  readonly messageId: string
  /** X-Original-To as it stands; `null` without one, which is a recipient of its own. */
  readonly recipient: string | null
  /** Of the body; `null` where only the Message-Id counts. */
  readonly digest: string | null
}

/** `repeat`: the mail server brings the very delivery again whose message was put in the queue. */
export type SeenJudgement = 'new' | 'duplicate' | 'repeat'

/** The key under which a message is remembered. */
export function seenKey({ queue, messageId, recipient, digest }: SeenIdentity): string {
  return keyOf('seen', queue, messageId, recipient, digest)
}

/** Judges a message. One that came exactly a window ago is still known; 0 knows none. */
export function judgeSeen(
  known: SeenRecord | null,
  question: { readonly nowMs: number; readonly windowMs: number; readonly delivery: string | null },
): SeenJudgement {
  if (known === null || question.windowMs === 0 || question.nowMs - known.atMs > question.windowMs) return 'new'
  return known.delivery !== null && known.delivery === question.delivery ? 'repeat' : 'duplicate'
}
