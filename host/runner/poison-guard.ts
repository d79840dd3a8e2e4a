/** What is done about poison: messages are recognised, their kills are told and counted, and some are not run any more. */
import { makeReply, type Verdict } from '../../courier-compat/reply.ts'
import { failureReply, type Failure } from '../chain/failure.ts'
import { undoEdits } from '../edits.ts'
import { digestMessage } from '../message-digest.ts'
import type { Events } from '../observe/events.ts'
import type { OpenedPair } from '../pair.ts'
import type { Platform } from '../platform/platform.ts'
import type { Loss } from './loss.ts'
import { createPoisonRegistry, type PoisonEntry } from './poison.ts'
import type { RunResult, Ticket } from './ticket.ts'

/** The settings that are about poison. */
export interface PoisonPlan {
  /** After so many kills a message is not run any more. */
  readonly limit: number
  /** A message is forgotten so long after its last kill. */
  readonly memoryMs: number
  /** What it is answered then. */
  readonly answer: 'defer' | 'pass' | 'reject'
}

/** The guard at the supervisor's door. */
export interface PoisonGuard {
  /** What is known of a message that comes in; `null` for all but a few. */
  meet(pair: OpenedPair): { readonly digest: string; readonly entry: PoisonEntry } | null
  /** The answer to a message that is not run, and the alert about it; `null` if it is to be run. */
  refuse(id: string, pair: OpenedPair, entry: PoisonEntry): RunResult | null
  /** It or one beside it has ended their thread or runner. As for `killed`, none of its code may run any more. */
  suspected(ticket: Ticket): void
  /** The message has killed: it is remembered, and told. */
  killed(ticket: Ticket, loss: Loss): void
  /** It has an outcome. */
  survived(ticket: Ticket): void
}

/** A guard that knows nothing yet. */
export function createPoisonGuard(plan: () => PoisonPlan, { clock, files }: Platform, log: Events): PoisonGuard {
  const registry = createPoisonRegistry(() => plan().memoryMs)
  const contentOf = (ticket: Ticket): string | null => {
    if (ticket.digest !== null) return ticket.digest
    const { pair } = ticket
    try {
      // What the mail server will bring again is the message as it came.
      undoEdits(pair, pair.mark, files)
      ticket.digest = digestMessage(pair.bodyPath, pair.facts.sender ?? '', files)
    } catch {
      return null
    }
    return ticket.digest
  }
  return {
    meet: (pair) => {
      if (registry.size === 0) return null
      const sender = pair.facts.sender ?? ''
      if (!registry.mayKnow(sender)) return null
      try {
        const digest = digestMessage(pair.bodyPath, sender, files)
        const entry = registry.find(digest, clock.monotonicMs())
        return entry === null ? null : { digest, entry }
      } catch {
        // It cannot be read: whoever runs it will say so.
        return null
      }
    },
    refuse: (id, { facts }, { kills, filter }) => {
      const { limit, answer } = plan()
      if (kills < limit) return null
      const text = `it has killed ${kills} times and is not run any more`
      log.poisonMessage(id, facts.id, facts.sender, kills, filter, `${text}: ${answer}`)
      const failure: Failure = { kind: 'poison', filter, text }
      return { outcome: outcomeOf(verdictOf(answer, facts.id)), failure, attempts: 0 }
    },
    suspected: (ticket) => {
      const digest = contentOf(ticket)
      if (digest !== null) registry.suspected(digest, ticket.pair.facts.sender ?? '', clock.monotonicMs())
    },
    killed: (ticket, { filter, text }) => {
      const { facts } = ticket.pair
      const name = filter?.alias ?? null
      const digest = contentOf(ticket)
      // What kills alone has killed before, among others. Where its files are gone it is told, but cannot be known again.
      const times = 1 + ticket.suspicions
      const sender = facts.sender ?? ''
      const kills = digest === null ? null : registry.killed(digest, sender, name, clock.monotonicMs(), times).kills
      log.poisonMessage(ticket.id, facts.id, facts.sender, kills, name, text)
    },
    survived: ({ digest }) => {
      if (digest !== null) registry.survived(digest)
    },
  }
}

function verdictOf(answer: PoisonPlan['answer'], queueId: string): Verdict {
  switch (answer) {
    case 'defer':
      return { kind: 'defer', reply: failureReply('poison', queueId) }
    case 'pass':
      return { kind: 'accept', skipOthers: false, reply: makeReply(200, null, ['Ok']) }
    case 'reject':
      return { kind: 'reject', reply: makeReply(554, '5.6.0', ['Message cannot be processed']) }
    default:
      return answer satisfies never
  }
}

function outcomeOf(verdict: Verdict): NonNullable<RunResult['outcome']> {
  return {
    verdict,
    by: null,
    failure: null,
    trail: [],
    notes: [],
    stray: false,
    rerunWithout: null,
    undone: false,
    version: null,
  }
}
