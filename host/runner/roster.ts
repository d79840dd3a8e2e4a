/**
 * The roster: which threads a runner has, what each has in hand, and who takes the next message. Pure.
 */
import type { Ticket } from './ticket.ts'

/** A thread that takes messages. */
export interface Thread {
  readonly slot: number
  /** By the key under which each was sent. */
  readonly inHand: Map<string, Ticket>
  /** It runs one message that must be alone. */
  exclusive: boolean
  /** Its event loop stands still: nothing new for it until it turns again. */
  stalled: boolean
  /** It takes no more and is about to be ended. */
  closing: boolean
  /** What was left behind in it, and whether by one that had been answered, so that none in hand did it; `null`: nothing. */
  unclean: { readonly cause: string; readonly byAnswered: boolean } | null
  /** Answers that wait for the thread's end: until then a filter's stray code could still edit those messages. */
  readonly owed: Map<Ticket, () => void>
  /** When messages were last sent to it, if it has answered nothing since; `null` otherwise. */
  sentMs: number | null
  /** Why it stands still or is ended, once that is known: the message's number and its filter's place in the list. */
  blame: { readonly number: number; readonly filter: number; readonly text: string } | null
}

/** What goes where. */
export interface Assignment {
  readonly batches: ReadonlyMap<Thread, readonly Ticket[]>
  /** Those no thread can take now, in their order. */
  readonly held: readonly Ticket[]
  /** Some are held only for a moment: look again after `gatherMs`. The others wait until a thread has answered. */
  readonly gathering: boolean
}

/** The threads of one runner. */
export interface Roster {
  add(slot: number): void
  get(slot: number): Thread | undefined
  remove(slot: number): Thread | undefined
  /** Removes and returns all. */
  clear(): readonly Thread[]
  readonly size: number
  /** How many threads may take messages now, and how many messages all have in hand. */
  counts(): { readonly serving: number; readonly inHand: number }
  /** The thread that has this message in hand, or owes its answer. */
  holderOf(ticket: Ticket): Thread | undefined
  /** Chooses a thread for each message, the first one first. The caller puts it in hand under a new key. */
  assign(waiting: readonly Ticket[], nowMs: number, takeInHand: (thread: Thread, ticket: Ticket) => void): Assignment
  /** The thread has answered so many messages: it is free for the next ones, and its speed is noted. */
  answered(thread: Thread, count: number, nowMs: number): void
}

/**
 * A thread that was sent messages this short a time ago gets no further ones until it answers: those that come meanwhile
 * wait together and travel together, since waking a thread costs more than most filters do.
 */
export const gatherMs = 1

/**
 * As many messages as one thread is expected to answer in this time are given to it before another thread is woken: with
 * quick filters a few threads awake do more than many that are woken for each message.
 */
const packMs = 1

/** How much a new measurement counts against the earlier ones. */
const speedWeight = 0.1

/** An empty roster. */
export function createRoster(messagesPerThread: number): Roster {
  const threads = new Map<number, Thread>()
  // Until something is known, every thread gets its share.
  let perMessageMs: number = packMs

  /** The free thread with the fewest messages; one that is full counts only for a message that waits to be alone. */
  const emptiest = (alone: boolean, reserved: Thread | null): Thread | null => {
    let best: Thread | null = null
    for (const thread of threads.values()) {
      if (!isFree(thread, reserved)) continue
      if (!alone && thread.inHand.size >= messagesPerThread) continue
      if (best === null || thread.inHand.size < best.inHand.size) best = thread
    }
    return best
  }

  /** The first free thread that would still be done in `packMs`. */
  const firstQuick = (reserved: Thread | null): Thread | null => {
    const limit = Math.min(messagesPerThread, packMs / perMessageMs)
    for (const thread of threads.values()) {
      if (isFree(thread, reserved) && thread.inHand.size + 1 <= limit) return thread
    }
    return null
  }

  return {
    add: (slot) =>
      void threads.set(slot, {
        ...{
          slot,
          inHand: new Map(),
          exclusive: false,
          stalled: false,
          closing: false,
          unclean: null,
          sentMs: null,
          owed: new Map(),
          blame: null,
        },
      }),
    get: (slot) => threads.get(slot),
    remove: (slot) => {
      const thread = threads.get(slot)
      threads.delete(slot)
      return thread
    },
    clear: () => {
      const all = [...threads.values()]
      threads.clear()
      return all
    },
    get size() {
      return threads.size
    },
    counts: () => {
      const all = [...threads.values()]
      return {
        serving: all.filter(({ stalled, closing }) => !stalled && !closing).length,
        inHand: all.reduce((sum, { inHand, owed }) => sum + inHand.size + owed.size, 0),
      }
    },
    holderOf: (ticket) =>
      [...threads.values()].find(({ inHand, owed }) => inHand.get(ticket.key) === ticket || owed.has(ticket)),
    assign: (waiting, nowMs, takeInHand) => {
      const batches = new Map<Thread, Ticket[]>()
      const held: Ticket[] = []
      let reserved: Thread | null = null
      let gathering = false
      let isFull = false
      for (const ticket of waiting) {
        const alone = ticket.company !== 'any'
        if (isFull && !alone) {
          held.push(ticket)
          continue
        }
        const thread: Thread | null = (alone ? null : firstQuick(reserved)) ?? emptiest(alone, reserved)
        if (thread === null || (alone && thread.inHand.size > 0)) {
          // A message that must be alone keeps one thread from filling up again, or its turn would never come.
          if (alone) reserved ??= thread
          else isFull = true
          held.push(ticket)
          continue
        }
        // Not sent to another thread instead: the load would lean to whoever answers quickest.
        if (thread.sentMs !== null && nowMs - thread.sentMs < gatherMs) {
          gathering = true
          held.push(ticket)
          continue
        }
        thread.exclusive = alone
        takeInHand(thread, ticket)
        const batch = batches.get(thread)
        if (batch === undefined) batches.set(thread, [ticket])
        else batch.push(ticket)
      }
      for (const thread of batches.keys()) thread.sentMs = nowMs
      return { batches, held, gathering }
    },
    answered: (thread, count, nowMs) => {
      if (thread.sentMs !== null && count > 0) {
        perMessageMs += speedWeight * ((nowMs - thread.sentMs) / count - perMessageMs)
      }
      thread.sentMs = null
    },
  }
}

function isFree(thread: Thread, reserved: Thread | null): boolean {
  return !thread.exclusive && !thread.stalled && !thread.closing && thread !== reserved
}
