/** One message on its way through the runners, and what becomes of it when a thread or a runner is lost. Pure. */
import type { ChainOutcome } from '../chain/chain.ts'
import type { Failure, FailureKind } from '../chain/failure.ts'
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
  readonly deadlineMs: number
  attempt: number
  company: Company
  /** Places of filters it must run without. */
  without: readonly number[]
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

/** How a message lost its thread. */
export interface Loss {
  readonly how: 'blocked' | 'thread-lost' | 'runner-lost'
  /** `culprit`: its own filter did it; `suspect`: it or another one; `innocent`: certainly another one. */
  readonly role: 'culprit' | 'suspect' | 'innocent'
  /** The filter that was running, where known. */
  readonly filter: { readonly index: number; readonly alias: string; readonly passes: boolean } | null
  readonly text: string
}

/** What to do next with a message that lost its thread. */
export type AfterLoss =
  | { readonly act: 'answer'; readonly failure: Failure }
  | { readonly act: 'again'; readonly company: Company; readonly without: readonly number[] }

/** A suspect runs once more, alone; an innocent one may lose its thread to others this often. */
const maxAttempts = { suspect: 2, innocent: 4 } as const

/**
 * Decides what becomes of a message that lost its thread.
 * Source: design.md (table of failures), contracts.md ("Runner").
 */
export function afterLoss(ticket: Pick<Ticket, 'attempt' | 'without'>, loss: Loss, mayRunAgain: boolean): AfterLoss {
  const kind: FailureKind = loss.how
  const answer: AfterLoss = { act: 'answer', failure: { kind, filter: loss.filter?.alias ?? null, text: loss.text } }
  if (!mayRunAgain) return answer
  const company: Company = loss.how === 'runner-lost' && loss.role === 'suspect' ? 'own-process' : 'own-thread'
  switch (loss.role) {
    case 'culprit':
      // Each filter can be left out once, so this ends.
      if (loss.filter?.passes !== true || ticket.without.includes(loss.filter.index)) return answer
      return { act: 'again', company, without: [...ticket.without, loss.filter.index] }
    case 'suspect':
      // Leaving a filter out starts the count anew: what is suspected now is the rest of the chain.
      if (ticket.attempt - ticket.without.length >= maxAttempts.suspect) return answer
      return { act: 'again', company, without: ticket.without }
    case 'innocent':
      if (ticket.attempt - ticket.without.length >= maxAttempts.innocent) return answer
      return { act: 'again', company, without: ticket.without }
  }
}
