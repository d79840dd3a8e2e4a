/**
 * The supervisor: gives every message to a lane, holds its deadline, and sees to it that each gets exactly one answer,
 * whatever happens to threads and runners in between.
 */
import { describeThrown, type Failure } from '../chain/failure.ts'
import type { LoadPlan } from '../chain/loader.ts'
import { undoEdits } from '../edits.ts'
import type { Events } from '../observe/events.ts'
import type { OpenedPair } from '../pair.ts'
import type { Platform } from '../platform/platform.ts'
import { openLane, type Lane, type LaneEvents, type LanePlan, type LaneReport, type LaneState } from './lane.ts'
import type { LineServer } from './line-server.ts'
import { afterLoss } from './loss.ts'
import type { RunResult, Ticket } from './ticket.ts'

/** What runs, and its limits. */
export interface SupervisorPlan {
  readonly chain: LoadPlan
  readonly threads: number
  readonly messagesPerThread: number
  readonly maxHeapOctets: number
  readonly blockedLimitMs: number
  readonly startLimitMs: number
  readonly linesPerSecond: number
  /** Messages that may wait for a thread; one more is turned away. */
  readonly maxWaiting: number
  readonly faults: string
}

/** A lane, and what it is there for: one that was replaced finishes what it has. */
export interface LaneStatus extends LaneReport {
  readonly role: 'starting' | 'serving' | 'finishing'
}

/** The runners, seen from intake. */
export interface Supervisor {
  /** Runs the chain over a message. Always resolves, soon after `deadlineMs` (monotonic) at the latest. */
  run(id: string, pair: OpenedPair, deadlineMs: number): Promise<RunResult>
  state(): LaneState
  lanes(): readonly LaneStatus[]
  /** Resolves once the chain is loaded or known to be broken. */
  readonly ready: Promise<LaneState>
  /**
   * Starts the new plan beside the old one, and lets it take over once its chain is loaded; the old one then finishes
   * what it has. A new plan that is broken changes nothing. One that is overtaken by `drain` never takes over, and its
   * promise may stay open.
   */
  replace(plan: SupervisorPlan): Promise<LaneState>
  /** Ends all runners, when their messages are done or after `limitMs`; whatever has no verdict then has failed. */
  drain(limitMs: number): Promise<void>
}

/** The chain stops itself at the deadline; this much later the host stops waiting for it. */
const deadlineMarginMs = 300

const expiry: Failure = { kind: 'deadline', filter: null, text: 'no verdict before the deadline' }

const stopping: Failure = {
  kind: 'stopping',
  filter: null,
  text: 'the host was stopped before there was a verdict',
}

/** What a new plan is told that comes when all ends. */
const tooLate: LaneState = {
  kind: 'broken',
  problems: [{ file: 'nodefilter', line: null, text: 'the host is being stopped', cure: null }],
}

/** The thread of a message without time is ended; its runner too, if need be. This much later nobody waits for that. */
const expiryLimitMs = 3000

/** Once a message had to be run in a process of its own, that process waits this long for more of the kind. */
const soloIdleMs = 60_000

/** Starts the runners of a plan. */
export function startSupervisor(
  first: SupervisorPlan,
  server: LineServer,
  platform: Platform,
  log: Events,
): Supervisor {
  const { clock, files } = platform
  let plan = first
  let draining = false
  const isDraining = (): boolean => draining
  const eventsOf = (from: SupervisorPlan): LaneEvents => ({
    answered: (ticket, outcome) => ticket.settle({ outcome, failure: outcome.failure, attempts: ticket.attempt }),
    failed: (ticket, failure) => fail(ticket, failure),
    lost: (ticket, loss) => {
      if (ticket.settled) return
      if (ticket.expired) return fail(ticket, expiry)
      if (draining) return fail(ticket, stopping)
      const next = afterLoss(
        ticket,
        loss,
        plan.chain.entries.every(({ rerun }) => rerun),
      )
      if (next.act === 'answer') return fail(ticket, next.failure)
      try {
        undoEdits(ticket.pair, ticket.pair.mark, files)
      } catch (thrown) {
        return fail(ticket, {
          kind: 'internal',
          filter: null,
          text: `edits could not be undone: ${describeThrown(thrown)}`,
        })
      }
      ticket.attempt++
      ticket.company = next.company
      // Places in the list of a lane that was replaced since mean other filters now.
      ticket.without = from === plan ? next.without : []
      log.runsAgain(ticket.id, ticket.pair.facts.id, ticket.attempt, loss.text)
      if (ticket.company === 'own-process') soloLane().submit(ticket)
      else main.submit(ticket)
    },
  })
  /** Those that serve, and those that still finish what they have. */
  const lanes = new Set<Lane>()
  const open = (name: LanePlan['name'], from: SupervisorPlan): Lane => {
    const alone = name === 'solo' ? { threads: 1, messagesPerThread: 1 } : {}
    const lane = openLane({ ...from, ...alone, name }, server, platform, log, eventsOf(from))
    lanes.add(lane)
    return lane
  }
  let main = open('main', plan)
  let solo: { readonly lane: Lane; idle: { cancel(): void } } | null = null
  const retired = new Set<Promise<void>>()
  const retire = (lane: Lane, limitMs: number): void => {
    const gone = lane.drain(limitMs).finally(() => {
      retired.delete(gone)
      lanes.delete(lane)
    })
    retired.add(gone)
  }

  function soloLane(): Lane {
    solo?.idle.cancel()
    const lane = solo?.lane ?? open('solo', plan)
    const idle = clock.after(soloIdleMs, () => {
      solo = null
      retire(lane, soloIdleMs)
    })
    solo = { lane, idle }
    return lane
  }

  function fail(ticket: Ticket, failure: Failure): void {
    ticket.settle({ outcome: null, failure, attempts: ticket.attempt })
  }

  return {
    run: (id, pair, deadlineMs) =>
      new Promise((resolve) => {
        if (main.state().kind !== 'broken' && main.waiting() >= plan.maxWaiting) {
          const text = `${main.waiting()} messages wait already`
          return resolve({ outcome: null, failure: { kind: 'overloaded', filter: null, text }, attempts: 0 })
        }
        let timer = clock.after(deadlineMs + deadlineMarginMs - clock.monotonicMs(), () => {
          ticket.expired = true
          const expire = (): void => fail(ticket, expiry)
          // A failure may pass by the mail's source; then none of the filters' code may run on, so its end is awaited.
          if ([...lanes].some((lane) => lane.expire(ticket))) timer = clock.after(expiryLimitMs, expire)
          else expire()
        })
        const ticket: Ticket = {
          ...{
            id,
            pair,
            deadlineMs,
            key: '',
            number: 0,
            attempt: 1,
            company: 'any',
            without: [],
            expired: false,
            settled: false,
          },
          settle: (result) => {
            if (ticket.settled) return
            ticket.settled = true
            timer.cancel()
            resolve(result)
          },
        }
        main.submit(ticket)
      }),
    state: () => main.state(),
    lanes: () =>
      [...lanes].map((lane) => {
        const isServing = lane === main || lane === solo?.lane
        const role = lane.state().kind === 'starting' ? 'starting' : isServing ? 'serving' : 'finishing'
        return { ...lane.report(), role }
      }),
    ready: main.ready,
    replace: async (next) => {
      if (isDraining()) return tooLate
      const lane = open('main', next)
      const state = await lane.ready
      // At a stop all lanes are drained, this one too.
      if (isDraining()) return tooLate
      if (state.kind !== 'serving') {
        lanes.delete(lane)
        return state
      }
      const old = { main, solo, plan }
      main = lane
      plan = next
      solo = null
      old.solo?.idle.cancel()
      for (const ticket of [...old.main.takeWaiting(), ...(old.solo?.lane.takeWaiting() ?? [])]) {
        ticket.without = []
        if (ticket.company === 'own-process') soloLane().submit(ticket)
        else main.submit(ticket)
      }
      retire(old.main, soloIdleMs)
      if (old.solo !== null) retire(old.solo.lane, soloIdleMs)
      return state
    },
    drain: async (limitMs) => {
      draining = true
      solo?.idle.cancel()
      for (const lane of lanes) for (const ticket of lane.takeWaiting()) fail(ticket, stopping)
      // Also those that were replaced: they may have more time left than this. One that still loads has nothing in hand.
      for (const lane of lanes) retire(lane, lane.state().kind === 'starting' ? 0 : limitMs)
      await Promise.all(retired)
    },
  }
}
