/** What a door is, and what it is given: the seam between the protocols and the rest of the host. */
import type { Verdict } from '../../courier-compat/reply.ts'
import type { Pair } from '../edits.ts'

/**
 * A way in. It translates its protocol into a pair, and a verdict back into its protocol; it decides nothing.
 * `open` resolves once messages can come in. After `drain` none is taken; it resolves when those in hand are answered.
 */
export interface Door {
  readonly name: string
  /** Errors: rejects with a text for the administrator if the door cannot be opened. */
  open(take: Take): Promise<void>
  drain(limitMs: number): Promise<void>
  /** What it has counted since it was made. Cheap: whoever looks at metrics asks. */
  counts(): DoorCounts
}

/** Why a request was refused: no whole one in time; the connection ended before its end; it is none. */
export type RefusalKind = 'late' | 'unfinished' | 'malformed'

/** A door in numbers. Counters only grow. */
export interface DoorCounts {
  /** Connections that are open now. */
  readonly open: number
  readonly accepted: number
  /** Connections closed at once, since too many were open. */
  readonly refused: number
  readonly requestsRefused: Readonly<Record<RefusalKind, number>>
}

/**
 * Hands a pair to the host.
 *
 * `answer` is called exactly once, perhaps before this returns, with a verdict that was checked; what it returns tells
 * whether the mail server got it. Never throws.
 */
export type Take = (message: TakenMessage, answer: (verdict: Verdict) => AnswerFate) => void

/** A message as a door hands it over. */
export interface TakenMessage {
  readonly door: string
  readonly pair: Pair
}

/** Whether an answer could be handed to the mail server. */
export type AnswerFate = 'sent' | 'nobody-there'
