/**
 * A lane: one runner kept alive, the messages that wait for it, and the choice of a thread for each.
 *
 * It decides where and when a message runs. What becomes of one that lost its thread is decided in `ticket.ts` and
 * carried out by the supervisor.
 */
import { randomUUID } from 'node:crypto'
import type { ChainOutcome } from '../chain/chain.ts'
import type { Failure } from '../chain/failure.ts'
import type { LoadProblem } from '../chain/load-problem.ts'
import type { LoadedFilter, LoadPlan } from '../chain/loader.ts'
import type { Events } from '../observe/events.ts'
import { createFloodReport } from '../observe/flood-report.ts'
import type { Timer } from '../platform/clock.ts'
import type { Cgroups } from '../platform/cgroup.ts'
import type { Platform } from '../platform/platform.ts'
import type { Line, LineServer } from './line-server.ts'
import type { StoreDesk } from '../store/desk.ts'
import { startRunner, type Runner } from './runner.ts'
import { lossesOfRunner, lossesOfThread, type BlamedFilter, type Loss, type LostTicket } from './loss.ts'
import { createRoster, gatherMs, type Thread } from './roster.ts'
import type { Ticket } from './ticket.ts'
import { checkOutcome, isRecord, readLoadProblems, readLoadedFilters, type JobFrame } from './wire.ts'

/** What a lane runs. */
export interface LanePlan {
  readonly name: 'main' | 'solo'
  readonly threads: number
  readonly messagesPerThread: number
  readonly chain: LoadPlan
  readonly maxHeapOctets: number
  /** Of the whole runner, with all that its filters started. */
  readonly maxMemoryOctets: number
  readonly cgroups: Cgroups | null
  readonly blockedLimitMs: number
  readonly startLimitMs: number
  readonly linesPerSecond: number
  readonly faults: string
}

/** What a lane tells the supervisor. */
export interface LaneEvents {
  answered(ticket: Ticket, outcome: ChainOutcome): void
  /** The message lost its thread; none of its code runs any more. */
  lost(ticket: Ticket, loss: Loss): void
  /** It cannot be run here at all. */
  failed(ticket: Ticket, failure: Failure): void
  /** What its runner uses, looked at twice a second while there are messages. */
  memory(octets: number): void
}

/** Whether the lane's chain could be loaded. */
export type LaneState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'serving'; readonly filters: readonly LoadedFilter[] }
  | { readonly kind: 'broken'; readonly problems: readonly LoadProblem[] }

/** What can be seen of a lane, for people. */
export interface LaneReport {
  readonly name: LanePlan['name']
  /** The runner's; `null` while none runs. */
  readonly pid: number | null
  readonly threads: number
  /** Threads that may take messages now. */
  readonly serving: number
  readonly inHand: number
  readonly waiting: number
  /** Runners that took the place of one that ended. */
  readonly restarts: number
  readonly threadsLost: number
  /** What the runner and all that its filters started use; `null` where that is not known. */
  readonly memoryOctets: number | null
}

/** A lane. */
export interface Lane {
  state(): LaneState
  report(): LaneReport
  /** Resolves once the first chain is loaded, or known to be broken. */
  readonly ready: Promise<LaneState>
  waiting(): number
  submit(ticket: Ticket): void
  /** Gives up the messages that no thread has yet: another lane is to run them. */
  takeWaiting(): Ticket[]
  /**
   * The message has run out of time: the thread that has it is ended, and `lost` follows. False if no thread has it.
   */
  expire(ticket: Ticket): boolean
  /**
   * Lets the threads finish what they have; resolves when the runner has ended, at the latest after `limitMs`. Asked
   * again, the shorter limit counts.
   */
  drain(limitMs: number): Promise<void>
}

/** After a filter was given up while its code runs on, the thread's other messages get this long to end in peace. */
const closingGraceMs = 1000

/** How long, and for how many, messages wait for those that come in the same moment. */
const gather = { ms: 1, messages: 16 } as const

/** At most so many of those that wait are given to threads in one go. */
const assignedAtOnce = 1000

/** Pauses before a runner that ended is started again, growing while runners end young. */
const restart = { firstMs: 100, maxMs: 10_000, youngMs: 10_000, loads: 3 } as const

/** Opens a lane and starts its runner. */
export function openLane(
  plan: LanePlan,
  server: LineServer,
  platform: Platform,
  log: Events,
  events: LaneEvents,
  desk: StoreDesk | null = null,
): Lane {
  const { clock, faults } = platform
  let state: LaneState = { kind: 'starting' }
  let runner: Runner | null = null
  let draining: PromiseWithResolvers<null> | null = null
  let pauseMs = 0
  let failedLoads = 0
  let lastNumber = 0
  let starts = 0
  let threadsLost = 0
  let flushAsked = false
  let loadTimer: Timer | null = null
  let gatherTimer: Timer | null = null
  const queue: Ticket[] = []
  const roster = createRoster(plan.messagesPerThread)
  /** Threads whose line was gone before they were told to end. */
  const endedItself = new WeakSet<Thread>()
  const output = createFloodReport<{ readonly stream: 'stdout' | 'stderr'; readonly text: string }>(
    {
      ...{ first: plan.linesPerSecond, everyMs: 1000 },
      tell: ({ stream, text }) => log.filterOutput(plan.name, stream, text),
      tellMore: (count) => log.linesLeftOut(plan.name, count),
    },
    clock,
  )
  const { promise: ready, resolve: tellReady } = Promise.withResolvers<LaneState>()

  const start = (): void => {
    const sinceMs = clock.monotonicMs()
    starts++
    const { name, threads: count, chain, maxHeapOctets, blockedLimitMs, linesPerSecond } = plan
    runner = startRunner(
      { threads: count, chain, maxHeapOctets, blockedLimitMs, linesPerSecond, faults: plan.faults },
      { maxMemoryOctets: plan.maxMemoryOctets, cgroups: plan.cgroups },
      server,
      platform,
      {
        frame: receive,
        lineClosed: (slot, cause) => {
          const thread = roster.get(slot)
          if (thread?.closing === false) endedItself.add(thread)
          if (thread !== undefined) close(thread, 0)
          else if (draining === null && state.kind !== 'broken')
            log.strayIgnored(name, slot, `a thread that served nothing is gone: ${cause}`)
        },
        stalled: (slot, stalled) => {
          const thread = roster.get(slot)
          if (thread !== undefined) thread.stalled = stalled
          askFlush()
        },
        blocked: (slot, number, filter, afterMs) => {
          const thread = roster.get(slot)
          if (thread === undefined) return
          thread.blame = { number, filter, text: `did not give its thread back for ${Math.round(afterMs)} ms` }
          const culprit = [...thread.inHand.values()].find((ticket) => ticket.number === number)
          log.threadBlocked(name, slot, afterMs, culprit?.pair.facts.id ?? null, number === 0 ? null : aliasAt(filter))
        },
        threadGone: (slot, text, job, filter) => {
          const thread = roster.remove(slot)
          threadsLost++
          if (draining === null)
            log.threadLost(name, slot, thread?.unclean?.cause ?? thread?.blame?.text ?? text, thread?.inHand.size ?? 0)
          for (const give of thread?.owed.values() ?? []) give()
          if (thread === undefined) return
          // The code of a thread that was told to end says nothing about why it did.
          const isOwnEnd = !thread.closing || endedItself.has(thread)
          const caller = job > 0 && isOwnEnd ? { number: job, filter } : null
          lose(lossesOfThread(thread, text, filterAt, caller))
        },
        stuck: (slot) => {
          log.threadStuck(name, slot)
          runner?.kill()
        },
        output: (stream, text) => output.add({ stream, text }),
        memory: (octets) => events.memory(octets),
        ended: (cause) => loseRunner(cause, sinceMs),
        isBusy: () => state.kind === 'starting' || queue.length > 0 || roster.counts().inHand > 0,
      },
    )
    log.runnerStarted(name, runner.pid)
    if (state.kind === 'starting') {
      loadTimer = clock.after(plan.startLimitMs, () => {
        const text = `the filters were not loaded within ${plan.startLimitMs} ms`
        breakDown([{ file: listFile(), line: null, text, cure: 'see which initFilter waits' }])
      })
    }
  }

  function receive(slot: number, frame: Record<string, unknown>, line: Line): void {
    switch (frame['type']) {
      case 'loaded': {
        loadTimer?.cancel()
        failedLoads = 0
        roster.add(slot)
        if (state.kind !== 'serving') {
          state = { kind: 'serving', filters: readLoadedFilters(frame['filters']) }
          for (const warning of readLoadProblems(frame['warnings']))
            log.configurationWarning({ column: null, ...warning })
          tellReady(state)
        }
        return askFlush()
      }
      case 'broken': {
        const problems = readLoadProblems(frame['problems'])
        if (roster.size === 0) return breakDown(problems)
        // Others serve: its slot gets another thread, later and later.
        log.threadLost(plan.name, slot, `cannot load its filters: ${problems[0]?.text ?? ''}`, 0)
        runner?.endThread(slot)
        return
      }
      case 'done': {
        const results = Array.isArray(frame['results']) ? frame['results'] : []
        const thread = roster.get(slot)
        if (thread !== undefined) roster.answered(thread, results.length, clock.monotonicMs())
        for (const result of results) answer(slot, isRecord(result) ? result : {})
        return askFlush()
      }
      case 'unclean': {
        const thread = roster.get(slot)
        const cause = String(frame['cause']).slice(0, 500)
        log.threadUnclean(plan.name, slot, cause)
        if (thread === undefined || frame['mode'] === 'held') return
        thread.unclean = {
          cause: `something was left behind in its thread: ${cause}`,
          byAnswered: frame['mode'] === 'alone',
        }
        return close(thread, 0)
      }
      case 'log': {
        const { level, filter, messageId, text } = frame
        const known = level === 'warn' || level === 'error' ? level : 'info'
        return log.filterSaid(
          known,
          String(filter).slice(0, 200),
          String(messageId).slice(0, 200),
          String(text).slice(0, 2000),
        )
      }
      case 'store': {
        const origin = { line, aliasOf: aliasAt, messageOf: (key: string) => messageOf(slot, key) }
        return desk?.receive(frame, { ...origin, answer: (answer) => line.send(answer) })
      }
      default:
        log.strayIgnored(plan.name, slot, 'a frame of unknown type')
    }
  }

  /** For what its filters ask of the stores: one that is answered, or out of time, adds nothing more. */
  function messageOf(slot: number, key: string): Ticket | null {
    const ticket = roster.get(slot)?.inHand.get(key)
    return ticket === undefined || ticket.settled || ticket.expired ? null : ticket
  }

  function answer(slot: number, result: Record<string, unknown>): void {
    faults.at('runner.result-read')
    const thread = roster.get(slot)
    const ticket = typeof result['key'] === 'string' ? thread?.inHand.get(result['key']) : undefined
    // Answered twice, too late, or never asked: only the first answer to an open question counts.
    if (thread === undefined || ticket === undefined)
      return log.strayIgnored(plan.name, slot, 'an answer to no open question')
    const outcome = checkOutcome(result['outcome'])
    if (typeof outcome === 'string') {
      const text = `the thread's answer was refused: ${outcome}`
      thread.inHand.delete(ticket.key)
      thread.owed.set(ticket, () => events.failed(ticket, { kind: 'malformed', filter: null, text }))
      return close(thread, 0)
    }
    if (outcome.rerunWithout !== null) {
      // Stays in hand: only when the thread is dead can the message's files be set back.
      thread.blame = { number: ticket.number, filter: outcome.rerunWithout, text: outcome.failure?.text ?? '' }
      return close(thread, 0)
    }
    thread.inHand.delete(ticket.key)
    if (thread.inHand.size === 0) thread.exclusive = false
    if (outcome.stray) {
      thread.owed.set(ticket, () => events.answered(ticket, outcome))
      close(thread, closingGraceMs)
      return
    }
    if (thread.closing && thread.inHand.size === 0) close(thread, 0)
    events.answered(ticket, outcome)
  }

  /** Takes a thread out of service and ends it, at once or when it is empty or its grace is over. */
  function close(thread: Thread, graceMs: number): void {
    const end = (): void => {
      // By then its slot may have the next thread, which has done nothing wrong.
      if (roster.get(thread.slot) === thread) runner?.endThread(thread.slot)
    }
    if (graceMs === 0 || thread.inHand.size === 0) end()
    else if (!thread.closing) clock.after(graceMs, end)
    thread.closing = true
  }

  function lose(lost: readonly LostTicket[]): void {
    for (const [ticket, loss] of lost) events.lost(ticket, loss)
    askFlush()
  }

  function loseRunner(cause: string, sinceMs: number): void {
    const threads = roster.clear()
    for (const { owed } of threads) for (const give of owed.values()) give()
    const lost = lossesOfRunner(threads, cause, filterAt)
    loadTimer?.cancel()
    const pid = runner?.pid ?? 0
    runner = null
    if (state.kind === 'broken' && draining === null) return
    if (draining === null) log.runnerEnded(plan.name, pid, cause, lost.length)
    lose(lost)
    if (draining !== null) {
      draining.resolve(null)
      return
    }
    if (state.kind === 'starting' && ++failedLoads >= restart.loads) {
      const text = `the runner ended ${failedLoads} times while it loaded the filters: ${cause}`
      breakDown([{ file: listFile(), line: null, text, cure: 'take out filters until it loads' }])
      return
    }
    const young = clock.monotonicMs() - sinceMs < restart.youngMs
    pauseMs = young ? Math.min(restart.maxMs, Math.max(restart.firstMs, pauseMs * 2)) : 0
    clock.after(pauseMs, () => {
      if (draining === null) start()
    })
  }

  function breakDown(problems: readonly LoadProblem[]): void {
    // At a start or reload whoever asked tells; nobody asked for this.
    if (state.kind === 'serving') for (const problem of problems) log.configurationBroken({ column: null, ...problem })
    state = { kind: 'broken', problems }
    loadTimer?.cancel()
    runner?.kill()
    tellReady(state)
    for (const ticket of queue.splice(0))
      events.failed(ticket, { kind: 'broken', filter: null, text: problems[0]?.text ?? 'broken' })
  }

  function listFile(): string {
    return plan.chain.entries[0]?.file ?? 'filters.conf'
  }

  function filterAt(index: number): BlamedFilter | null {
    const alias = aliasAt(index)
    if (alias === null) return null
    const found = state.kind === 'serving' ? state.filters.find((filter) => filter.index === index) : undefined
    return { index, alias, passes: found?.onError === 'pass' || plan.chain.entries[index]?.dryRun === true }
  }

  function aliasAt(index: number): string | null {
    return plan.chain.entries[index]?.alias ?? null
  }

  /**
   * Messages that come at the same time leave together. A turn of the event loop accepts one connection, so turns are
   * counted: as long as each brings another message, and not for long, the next one is waited for.
   */
  function askFlush(): void {
    if (flushAsked || queue.length === 0) return
    flushAsked = true
    const sinceMs = clock.monotonicMs()
    let seen = queue.length
    const look = (): void => {
      const grew = queue.length > seen
      if (!grew || queue.length >= gather.messages || clock.monotonicMs() - sinceMs > gather.ms) {
        flush()
        return
      }
      seen = queue.length
      setImmediate(look)
    }
    setImmediate(look)
  }

  function flushGathered(): void {
    gatherTimer = null
    askFlush()
  }

  function flush(): void {
    flushAsked = false
    const nowMs = clock.monotonicMs()
    // Thousands may wait: those far behind are not looked at each time.
    const waiting = queue.splice(0, assignedAtOnce).filter(({ settled }) => !settled)
    const { batches, held, gathering } = roster.assign(waiting, nowMs, (thread, ticket) => {
      ticket.key = randomUUID()
      ticket.number = lastNumber = (lastNumber % 0x7fff_fffe) + 1
      thread.inHand.set(ticket.key, ticket)
    })
    queue.unshift(...held)
    if (gathering) gatherTimer ??= clock.after(gatherMs, flushGathered)
    for (const [thread, tickets] of batches) {
      runner?.send(
        thread.slot,
        tickets.map((ticket) => jobFrame(ticket, nowMs)),
      )
      faults.at('runner.job-sent')
    }
  }

  start()
  return {
    state: () => state,
    report: () => ({
      ...{ name: plan.name, pid: runner?.pid ?? null, threads: plan.threads, ...roster.counts() },
      ...{ waiting: queue.length, restarts: starts - 1, threadsLost, memoryOctets: runner?.memoryOctets ?? null },
    }),
    ready,
    waiting: () => queue.length,
    submit: (ticket) => {
      if (state.kind === 'broken') {
        return events.failed(ticket, { kind: 'broken', filter: null, text: state.problems[0]?.text ?? 'broken' })
      }
      queue.push(ticket)
      askFlush()
    },
    takeWaiting: () => queue.splice(0),
    expire: (ticket) => {
      const thread = roster.holderOf(ticket)
      if (thread !== undefined) close(thread, 0)
      return thread !== undefined
    },
    drain: async (limitMs) => {
      if (draining === null) {
        draining = Promise.withResolvers()
        // One that has ended and waits to be started again never is.
        if (runner === null) draining.resolve(null)
        else runner.leave()
      }
      const timer = clock.after(limitMs, () => runner?.kill())
      await draining.promise
      timer.cancel()
    },
  }
}

function jobFrame(ticket: Ticket, nowMs: number): JobFrame {
  const { key, number, attempt, without, pair } = ticket
  const { bodyPath, controlPaths, facts, contents, mark } = pair
  return {
    key,
    number,
    messageId: facts.id,
    bodyPath,
    controlPaths,
    attempt,
    leftMs: Math.max(0, ticket.deadlineMs - nowMs),
    without,
    contents,
    mark,
  }
}
