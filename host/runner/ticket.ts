/** One message on its way through the runners. */
import type { ChainOutcome } from '../chain/chain.ts'
import type { Failure } from '../chain/failure.ts'
import type { OpenedPair } from '../pair.ts'
import type { Staging } from '../store/staging.ts'

/** Where a message may run: with others; alone on a thread; alone in a process of its own. */
export type Company = 'any' | 'own-thread' | 'own-process'

/** A message that waits for an answer. */
export class Ticket {
  /** Our id of the message, for the log. */
  readonly id: string
  readonly pair: OpenedPair
  /** On the monotonic clock. */
  readonly deadlineMs: number
  /** Told once what became of it; see `Supervisor.run`. */
  readonly tell: (result: RunResult) => void
  /** It has killed before, or may have (poison.ts): it runs in a process of its own, once. */
  readonly isPoison: boolean
  /** New for each attempt; see `JobFrame`. */
  key = ''
  number = 0
  attempt = 1
  company: Company
  /** Its content in a word, where that was looked at: of messages that were lost, and of those like them. */
  digest: string | null
  /** How many threads or runners have ended with it in hand, and it may have been the reason. */
  suspicions = 0
  /** Places of filters it must run without. */
  without: readonly number[] = noPlaces
  /** What its filters have added to queues in this attempt. */
  staging: Staging | null = null
  /** Its deadline is over: it never runs again. */
  expired = false
  /** True once answered: whatever comes later is ignored. */
  settled = false

  /** `digest` is that of a message that is known for what it did, `null` for any other. */
  constructor(
    id: string,
    pair: OpenedPair,
    deadlineMs: number,
    digest: string | null,
    tell: (result: RunResult) => void,
  ) {
    this.id = id
    this.pair = pair
    this.deadlineMs = deadlineMs
    this.tell = tell
    this.isPoison = digest !== null
    this.company = digest === null ? 'any' : 'own-process'
    this.digest = digest
  }
}

const noPlaces: readonly number[] = []

/** What the runners say of a message. */
export interface RunResult {
  readonly outcome: ChainOutcome | null
  /** Set where the message could not be decided. */
  readonly failure: Failure | null
  readonly attempts: number
  /** What is to be published if the message is accepted, and dropped otherwise; left out where there is nothing. */
  readonly staging?: Staging
}
