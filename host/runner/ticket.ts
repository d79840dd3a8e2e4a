/** One message on its way through the runners. */
import type { ChainOutcome } from '../chain/chain.ts'
import type { Failure } from '../chain/failure.ts'
import type { OpenedPair } from '../pair.ts'

/** Where a message may run: with others; alone on a thread; alone in a process of its own. */
export type Company = 'any' | 'own-thread' | 'own-process'

/** A message that waits for an answer. */
export interface Ticket {
  /** Our id of the message, for the log. */
  readonly id: string
  /** New for each attempt; see `JobFrame`. */
  key: string
  number: number
  readonly pair: OpenedPair
  /** On the monotonic clock. */
  readonly deadlineMs: number
  attempt: number
  company: Company
  /** It has killed before, or may have (poison.ts): it runs in a process of its own, once. */
  readonly isPoison: boolean
  /** Its content in a word, where that was looked at: of messages that were lost, and of those like them. */
  digest: string | null
  /** How many threads or runners have ended with it in hand, and it may have been the reason. */
  suspicions: number
  /** Places of filters it must run without. */
  without: readonly number[]
  /** Its deadline is over: it never runs again. */
  expired: boolean
  /** True once answered: whatever comes later is ignored. */
  settled: boolean
  settle(result: RunResult): void
}

/** What the runners say of a message. */
export interface RunResult {
  readonly outcome: ChainOutcome | null
  /** Set where the message could not be decided. */
  readonly failure: Failure | null
  readonly attempts: number
}
