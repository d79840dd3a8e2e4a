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
import { createGroupOpener, endLeftOvers } from './left-behind.ts'
import type { LineServer } from './line-server.ts'
import { afterLoss, isKiller, type Loss } from './loss.ts'
import { createPoisonGuard, type PoisonPlan } from './poison-guard.ts'
import { watchDeadlines } from './deadlines.ts'
import { createRecycleJudge, type RecycleLimits, type RecycleReason } from './recycling.ts'
import { createSoloLanes, type SoloLanes } from './solo.ts'
import { createDesk } from '../store/desk.ts'
import { noStores, type Stores } from '../store/stores.ts'
import { Ticket, type RunResult } from './ticket.ts'

/** What runs, and its limits. */
export interface SupervisorPlan {
  readonly chain: LoadPlan
  readonly threads: number
  readonly messagesPerThread: number
  readonly maxHeapOctets: number
  /** Of each runner, with all that its filters started. */
  readonly maxMemoryOctets: number
  readonly cgroup: 'auto' | 'off'
  readonly recycle: RecycleLimits
  readonly poison: PoisonPlan
  readonly blockedLimitMs: number
  readonly startLimitMs: number
  readonly linesPerSecond: number
  /** Messages that may wait for a thread; one more is turned away. */
  readonly maxWaiting: number
  readonly faults: string
}

/**
 * A lane, and what it is there for: one that was replaced finishes what it has; one that is `down` has loaded its filters
 * before, but its runner has ended or none of its threads can take messages now.
 */
export interface LaneStatus extends LaneReport {
  readonly role: 'starting' | 'serving' | 'down' | 'finishing'
  /** Messages that it has answered. */
  readonly answered: number
  /** How often the runner of this name was replaced by a fresh one. */
  readonly recycled: Readonly<Record<RecycleReason, number>>
}

/** The runners, seen from intake. */
export interface Supervisor {
  /** Runs the chain over a message. Always calls `settle`, once, soon after `deadlineMs` (monotonic) at the latest. */
  run(id: string, pair: OpenedPair, deadlineMs: number, settle: (result: RunResult) => void): void
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

/** Starts the runners of a plan. */
export function startSupervisor(
  first: SupervisorPlan,
  server: LineServer,
  platform: Platform,
  log: Events,
  stores: Stores = noStores,
): Supervisor {
  const { clock, files, faults } = platform
  const desk = createDesk(stores, faults)
  let plan = first
  let draining = false
  const isDraining = (): boolean => draining
  const poison = createPoisonGuard(() => plan.poison, platform, log)
  const judge = createRecycleJudge(() => plan.recycle)
  const recycled: Record<RecycleReason, number> = { messages: 0, memory: 0 }
  let isRecycling = false
  let isFailureTold = false
  let lastDeadlineMs = -Infinity

  endLeftOvers(server.path, platform)
  const groupsFor = createGroupOpener(server.path, platform, log)
  const nowMs = (): number => clock.monotonicMs()

  /** Those that serve, and those that still finish what they have; and how many messages each has answered. */
  const lanes = new Map<Lane, { answered: number }>()
  const deadlines = watchDeadlines(clock, deadlineMarginMs, expire, (thrown) =>
    log.bug('deadlines', thrown instanceof Error ? (thrown.stack ?? thrown.message) : describeThrown(thrown)),
  )
  /** `freed` is told of each message that the lane is done with. */
  const open = (name: LanePlan['name'], from: SupervisorPlan, freed: (hasEnded: boolean) => void): Lane => {
    const alone = name === 'solo' ? { threads: 1, messagesPerThread: 1 } : {}
    const count = { answered: 0 }
    const events: LaneEvents = {
      answered: (ticket, outcome) => {
        count.answered++
        if (ticket.digest !== null) poison.survived(ticket)
        settle(ticket, { outcome, failure: outcome.failure, attempts: ticket.attempt })
        freed(false)
        if (lane !== main) return
        const reason = judge.afterMessage(count.answered, nowMs)
        if (reason !== null) void recycle(reason)
      },
      failed: (ticket, failure) => {
        fail(ticket, failure)
        freed(false)
      },
      lost: (ticket, loss) => {
        lost(ticket, loss, from)
        freed(loss.how === 'runner-lost')
      },
      memory: (octets) => {
        if (lane !== main || main.state().kind !== 'serving') return
        const reason = judge.afterLook(octets, nowMs())
        if (reason !== null) void recycle(reason)
      },
    }
    const lane = openLane(
      { ...from, ...alone, name, cgroups: groupsFor(from.cgroup) },
      server,
      platform,
      log,
      events,
      desk,
    )
    lanes.set(lane, count)
    return lane
  }
  const openMain = (from: SupervisorPlan): Lane => open('main', from, () => undefined)
  const openSolo = (from: SupervisorPlan): SoloLanes =>
    createSoloLanes({ open: (freed) => open('solo', from, freed), retire: (lane) => retire(lane), clock })
  const retired = new Set<Promise<void>>()
  /** By default it may take until the last deadline of all. */
  function retire(lane: Lane, limitMs = Math.max(0, lastDeadlineMs - nowMs()) + expiryLimitMs): void {
    const gone = lane.drain(limitMs).finally(() => {
      retired.delete(gone)
      lanes.delete(lane)
    })
    retired.add(gone)
  }
  let main = openMain(plan)
  let solo = openSolo(plan)

  function lost(ticket: Ticket, loss: Loss, from: SupervisorPlan): void {
    if (ticket.settled) return
    if (ticket.expired) return failExpired(ticket)
    if (draining) return fail(ticket, stopping)
    const next = afterLoss(
      ticket,
      loss,
      plan.chain.entries.every(({ rerun }) => rerun),
    )
    if (next.act === 'answer') {
      if (isKiller(ticket, loss)) poison.killed(ticket, loss)
      else if (loss.role === 'suspect') poison.suspected(ticket)
      return fail(ticket, next.failure)
    }
    dropStaged(ticket)
    try {
      undoEdits(ticket.pair, ticket.pair.mark, files)
    } catch (thrown) {
      const text = `edits could not be undone: ${describeThrown(thrown)}`
      return fail(ticket, { kind: 'internal', filter: null, text })
    }
    if (loss.role === 'suspect') ticket.suspicions++
    ticket.attempt++
    ticket.company = next.company
    // Places in the list of a lane that was replaced since mean other filters now.
    ticket.without = from === plan ? next.without : []
    log.runsAgain(ticket.id, ticket.pair.facts.id, ticket.attempt, loss.text)
    submit(ticket)
  }

  function submit(ticket: Ticket): void {
    if (ticket.company === 'own-process') solo.submit(ticket)
    else main.submit(ticket)
  }

  /** The lane's chain is loaded: it gets all that comes from now on, and what no thread has yet. */
  function takeOver(lane: Lane): void {
    const old = main
    main = lane
    for (const ticket of old.takeWaiting()) submit(ticket)
    retire(old)
  }

  /** As at a reload, but with the same plan. What cannot be started changes nothing, and is tried again later. */
  async function recycle(reason: RecycleReason): Promise<void> {
    if (isRecycling || draining) return
    isRecycling = true
    const [from, old, sinceMs] = [plan, main, nowMs()]
    const lane = openMain(from)
    const state = await lane.ready
    isRecycling = false
    if (isDraining()) return
    if (main !== old || plan !== from) {
      retire(lane, 0)
      return
    }
    if (state.kind !== 'serving') {
      lanes.delete(lane)
      judge.failed(nowMs())
      const cause = state.kind === 'broken' ? (state.problems[0]?.text ?? '') : state.kind
      if (!isFailureTold) log.recycleFailed('main', reason, `${cause}; the old runner goes on, and this is tried again`)
      isFailureTold = true
      return
    }
    isFailureTold = false
    recycled[reason]++
    judge.replaced(nowMs(), nowMs() - sinceMs)
    const { pid, memoryOctets } = old.report()
    log.runnerRecycled('main', pid ?? 0, reason, lanes.get(old)?.answered ?? 0, memoryOctets)
    takeOver(lane)
  }

  function roleOf(lane: Lane, { serving }: LaneReport): LaneStatus['role'] {
    if (lane.state().kind === 'starting') return 'starting'
    if (lane !== main && !solo.has(lane)) return 'finishing'
    return serving > 0 || lane.state().kind === 'broken' ? 'serving' : 'down'
  }

  /** None of its code runs. If it takes its time to kill, it never gets to be found out alone: it begins alone next time. */
  function failExpired(ticket: Ticket): void {
    if (ticket.company === 'own-process') poison.suspected(ticket)
    fail(ticket, expiry)
  }

  function fail(ticket: Ticket, failure: Failure): void {
    settle(ticket, { outcome: null, failure, attempts: ticket.attempt })
  }

  function settle(ticket: Ticket, result: RunResult): void {
    if (ticket.settled) return
    ticket.settled = true
    deadlines.remove(ticket)
    const { staging } = ticket
    const { outcome, failure } = result
    const isAccepted = failure === null && (outcome?.verdict?.kind === 'pass' || outcome?.verdict?.kind === 'accept')
    if (!isAccepted) dropStaged(ticket)
    try {
      ticket.tell(staging === null || !isAccepted ? result : { ...result, staging })
    } catch (thrown) {
      // It runs within the reading of a thread's line, whose other messages have nothing to do with it.
      log.bug('supervisor', thrown instanceof Error ? (thrown.stack ?? thrown.message) : describeThrown(thrown))
      staging?.drop()
      tellFailure(ticket, describeThrown(thrown))
    }
  }

  function tellFailure(ticket: Ticket, text: string): void {
    try {
      ticket.tell({ outcome: null, failure: { kind: 'internal', filter: null, text }, attempts: ticket.attempt })
    } catch (thrown) {
      log.bug('supervisor', describeThrown(thrown))
    }
  }

  function dropStaged(ticket: Ticket): void {
    ticket.staging?.drop()
    ticket.staging = null
  }

  function expire(ticket: Ticket): void {
    ticket.expired = true
    // A failure may pass by the mail's source; then none of the filters' code may run on, so its end is awaited.
    if ([...lanes.keys()].some((lane) => lane.expire(ticket))) clock.after(expiryLimitMs, () => fail(ticket, expiry))
    else failExpired(ticket)
  }

  return {
    run: (id, pair, deadlineMs, settle) => {
      const isBroken = main.state().kind === 'broken'
      const waiting = main.waiting() + solo.waiting()
      if (!isBroken && waiting >= plan.maxWaiting) {
        const text = `${waiting} messages wait already`
        settle({ outcome: null, failure: { kind: 'overloaded', filter: null, text }, attempts: 0 })
        return
      }
      const met = isBroken ? null : poison.meet(pair)
      const refusal = met === null ? null : poison.refuse(id, pair, met.entry)
      if (refusal !== null) {
        settle(refusal)
        return
      }
      if (deadlineMs > lastDeadlineMs) lastDeadlineMs = deadlineMs
      const ticket = new Ticket(id, pair, deadlineMs, met?.digest ?? null, settle)
      deadlines.add(ticket)
      submit(ticket)
    },
    state: () => main.state(),
    lanes: () =>
      [...lanes].map(([lane, { answered }]) => {
        const report = lane.report()
        return { ...report, role: roleOf(lane, report), answered, recycled: { ...recycled } }
      }),
    ready: main.ready,
    replace: async (next) => {
      if (isDraining()) return tooLate
      const lane = openMain(next)
      const state = await lane.ready
      // At a stop all lanes are drained, this one too.
      if (isDraining()) return tooLate
      if (state.kind !== 'serving') {
        lanes.delete(lane)
        return state
      }
      plan = next
      const old = { main, solo }
      main = lane
      solo = openSolo(next)
      for (const ticket of [...old.main.takeWaiting(), ...old.solo.takeWaiting()]) {
        ticket.without = []
        submit(ticket)
      }
      retire(old.main)
      old.solo.retireAll()
      judge.replaced(nowMs(), 0)
      return state
    },
    drain: async (limitMs) => {
      draining = true
      for (const ticket of [...solo.takeWaiting(), ...[...lanes.keys()].flatMap((lane) => lane.takeWaiting())]) {
        fail(ticket, stopping)
      }
      solo.retireAll()
      // Also those that were replaced: they may have more time left than this. One that still loads has nothing in hand.
      for (const lane of lanes.keys()) retire(lane, lane.state().kind === 'starting' ? 0 : limitMs)
      await Promise.all(retired)
      deadlines.close()
    },
  }
}
