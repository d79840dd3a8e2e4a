/** Who is to blame when a thread or a runner is lost with messages in hand, and what becomes of each. Pure. */
import type { Failure, FailureKind } from '../chain/failure.ts'
import type { Thread } from './roster.ts'
import type { Company, Ticket } from './ticket.ts'

/** How a message lost its thread. */
export interface Loss {
  readonly how: 'blocked' | 'thread-lost' | 'runner-lost'
  /** `culprit`: its own filter did it; `suspect`: it or another one; `innocent`: certainly another one. */
  readonly role: 'culprit' | 'suspect' | 'innocent'
  /** The filter that was running, where known. */
  readonly filter: BlamedFilter | null
  readonly text: string
}

/** A filter of the list, and whether its failure means `pass`. */
export interface BlamedFilter {
  readonly index: number
  readonly alias: string
  readonly passes: boolean
}

/** What to do next with a message that lost its thread. */
export type AfterLoss =
  | { readonly act: 'answer'; readonly failure: Failure }
  | { readonly act: 'again'; readonly company: Company; readonly without: readonly number[] }

/** A message and its loss. */
export type LostTicket = readonly [Ticket, Loss]

/** A suspect runs once more, alone; an innocent one may lose its thread to others this often. */
const maxAttempts = { suspect: 2, innocent: 4 } as const

/**
 * The losses of a thread that ended by itself, or was ended because it stood still (then it has a `blame`). `caller` is
 * the message whose filter's code ended it, where that is known.
 */
export function lossesOfThread(
  { blame, inHand, unclean }: Thread,
  text: string,
  filterAt: (index: number) => BlamedFilter | null,
  caller: { readonly number: number; readonly filter: number } | null = null,
): LostTicket[] {
  const tickets = [...inHand.values()]
  if (unclean !== null) {
    const role = unclean.byAnswered ? 'innocent' : 'suspect'
    const loss: Loss = { how: 'thread-lost', role, filter: null, text: unclean.cause }
    return tickets.map((ticket) => [ticket, loss])
  }
  const named = blame ?? caller
  const known = named !== null && tickets.some(({ number }) => number === named.number)
  return tickets.map((ticket) => {
    const guilty = known && ticket.number === named.number
    // Alone in a thread that stood still, it can have been nobody else.
    const sole = tickets.length === 1 && blame !== null
    // A thread that ended by itself may have ended by chance: even the message whose filter was running runs once more.
    const isFirstEnd = blame === null && ticket.attempt === 1
    return [
      ticket,
      {
        how: blame === null ? 'thread-lost' : 'blocked',
        role: guilty || sole ? (isFirstEnd ? 'suspect' : 'culprit') : known ? 'innocent' : 'suspect',
        filter: guilty ? filterAt(named.filter) : null,
        text: blame?.text ?? text,
      },
    ]
  })
}

/** The losses of a runner that ended: if one of its threads is to blame, all messages of the others are innocent. */
export function lossesOfRunner(
  threads: readonly Thread[],
  text: string,
  filterAt: (index: number) => BlamedFilter | null,
): LostTicket[] {
  const blamed = threads.some(({ blame }) => blame !== null)
  return threads.flatMap((thread) => {
    if (thread.blame !== null) return lossesOfThread(thread, text, filterAt)
    const loss: Loss = { how: 'runner-lost', role: blamed ? 'innocent' : 'suspect', filter: null, text }
    return [...thread.inHand.values()].map((ticket): LostTicket => [ticket, loss])
  })
}

/** Whether a lost message has certainly ended its thread or runner itself: it was blamed, or nobody else was there. */
export function isKiller({ company }: Pick<Ticket, 'company'>, { how, role }: Loss): boolean {
  if (role !== 'suspect') return role === 'culprit'
  return company === 'own-process' || (company === 'own-thread' && how === 'thread-lost')
}

/**
 * Decides what becomes of a message that lost its thread.
 * Source: design.md (table of failures), contracts.md ("Runner").
 */
export function afterLoss(
  ticket: Pick<Ticket, 'attempt' | 'without'> & Partial<Pick<Ticket, 'isPoison'>>,
  loss: Loss,
  mayRunAgain: boolean,
): AfterLoss {
  const kind: FailureKind = loss.how
  const answer: AfterLoss = { act: 'answer', failure: { kind, filter: loss.filter?.alias ?? null, text: loss.text } }
  if (!mayRunAgain) return answer
  const company: Company = loss.how === 'runner-lost' && loss.role === 'suspect' ? 'own-process' : 'own-thread'
  if (loss.role === 'culprit') {
    // Each filter can be left out once, so this ends.
    if (loss.filter?.passes !== true || ticket.without.includes(loss.filter.index)) return answer
    return { act: 'again', company, without: [...ticket.without, loss.filter.index] }
  }
  // One that is known to kill was alone from the start.
  if (ticket.isPoison === true) return answer
  // Leaving a filter out starts the count anew: what is suspected from then on is the rest of the chain.
  if (ticket.attempt - ticket.without.length >= maxAttempts[loss.role]) return answer
  return { act: 'again', company, without: ticket.without }
}
