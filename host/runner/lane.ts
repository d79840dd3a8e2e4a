/**
 * A lane: one runner kept alive, the messages that wait for it, and the choice of a thread for each.
 *
 * It decides where and when a message runs. What becomes of one that lost its thread is decided in `ticket.ts` and
 * carried out by the supervisor.
 */
import { randomBytes } from 'node:crypto'
import type { ChainOutcome } from '../chain/chain.ts'
import type { Failure } from '../chain/failure.ts'
import type { LoadProblem } from '../chain/load-problem.ts'
import type { LoadedFilter, LoadPlan } from '../chain/loader.ts'
import type { Events } from '../observe/events.ts'
import { createRateLimit } from '../observe/rate-limit.ts'
import type { Timer } from '../platform/clock.ts'
import type { Platform } from '../platform/platform.ts'
import type { LineServer } from './line-server.ts'
import { startRunner, type Runner } from './runner.ts'
import type { Loss, Ticket } from './ticket.ts'
import { checkOutcome, isRecord, type JobFrame } from './wire.ts'

/** What a lane runs. */
export interface LanePlan {
  readonly name: 'main' | 'solo'
  readonly threads: number
  readonly messagesPerThread: number
  readonly chain: LoadPlan
  readonly maxHeapOctets: number
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
}

/** Whether the lane's chain could be loaded. */
export type LaneState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'serving'; readonly filters: readonly LoadedFilter[] }
  | { readonly kind: 'broken'; readonly problems: readonly LoadProblem[] }

/** A lane. */
export interface Lane {
  state(): LaneState
  /** Resolves once the first chain is loaded, or known to be broken. */
  readonly ready: Promise<LaneState>
  waiting(): number
  submit(ticket: Ticket): void
  /** The message has run out of time: what still runs of it is ended. */
  expire(ticket: Ticket): void
  /** Lets the threads finish what they have; resolves when the runner has ended, at the latest after `limitMs`. */
  drain(limitMs: number): Promise<void>
}

/** A thread that takes messages. `closing`: it takes no more, and is ended when it is empty or its time is over. */
interface Thread {
  readonly slot: number
  readonly inHand: Map<string, Ticket>
  exclusive: boolean
  stalled: boolean
  closing: Timer | null
  /** The number of the message whose filter stopped the thread, once that is known. */
  blame: { readonly number: number; readonly filter: number; readonly text: string } | null
}

/** After a filter was given up while its code runs on, the thread's other messages get this long to end in peace. */
const closingGraceMs = 1000

/** Pauses before a runner that ended is started again, growing while runners end young. */
const restart = { firstMs: 100, maxMs: 10_000, youngMs: 10_000, loads: 3 } as const

/** Opens a lane and starts its runner. */
export function openLane(plan: LanePlan, server: LineServer, platform: Platform, log: Events, events: LaneEvents): Lane {
  const { clock, faults } = platform
  let state: LaneState = { kind: 'starting' }
  let runner: Runner | null = null
  let draining: (() => void) | null = null
  let pauseMs = 0
  let failedLoads = 0
  let lastNumber = 0
  let flushAsked = false
  let loadTimer: Timer | null = null
  const queue: Ticket[] = []
  const threads = new Map<number, Thread>()
  const output = createRateLimit(plan.linesPerSecond, () => clock.monotonicMs())
  const { promise: ready, resolve: tellReady } = Promise.withResolvers<LaneState>()

  const start = (): void => {
    const sinceMs = clock.monotonicMs()
    const { name, threads: count, chain, maxHeapOctets, blockedLimitMs, linesPerSecond } = plan
    runner = startRunner(
      { threads: count, chain, maxHeapOctets, blockedLimitMs, linesPerSecond, faults: plan.faults },
      server,
      platform,
      {
        frame: receive,
        lineClosed: (slot, cause) => {
          const thread = threads.get(slot)
          if (thread !== undefined) close(thread, 0)
          else if (draining === null) log.strayIgnored(name, slot, `a thread that served nothing is gone: ${cause}`)
        },
        stalled: (slot, stalled) => {
          const thread = threads.get(slot)
          if (thread !== undefined) thread.stalled = stalled
          askFlush()
        },
        blocked: (slot, number, filter, afterMs) => {
          const thread = threads.get(slot)
          if (thread === undefined) return
          thread.blame = { number, filter, text: `did not give its thread back for ${Math.round(afterMs)} ms` }
          const culprit = [...thread.inHand.values()].find((ticket) => ticket.number === number)
          log.threadBlocked(name, slot, afterMs, culprit?.pair.facts.id ?? null, number === 0 ? null : aliasAt(filter))
        },
        threadGone: (slot, text) => {
          const thread = threads.get(slot)
          threads.delete(slot)
          if (draining === null) log.threadLost(name, slot, thread?.blame?.text ?? text, thread?.inHand.size ?? 0)
          if (thread !== undefined) loseThread(thread, text)
        },
        stuck: (slot) => {
          log.threadStuck(name, slot)
          runner?.kill()
        },
        output: (stream, text) => {
          if (output.allow()) log.filterOutput(name, stream, text)
          const leftOut = output.takeRefused()
          if (leftOut > 0) log.linesLeftOut(name, leftOut)
        },
        ended: (cause) => loseRunner(cause, sinceMs),
      },
    )
    log.runnerStarted(name, runner.pid)
    if (state.kind === 'starting') {
      loadTimer = clock.after(plan.startLimitMs, () => {
        const text = `the filters were not loaded within ${plan.startLimitMs} ms`
        breakDown([{ file: chain.entries[0]?.file ?? 'filters.conf', line: null, text, cure: 'see which initFilter waits' }])
      })
    }
  }

  function receive(slot: number, frame: Record<string, unknown>): void {
    switch (frame['type']) {
      case 'loaded': {
        loadTimer?.cancel()
        failedLoads = 0
        threads.set(slot, { slot, inHand: new Map(), exclusive: false, stalled: false, closing: null, blame: null })
        if (state.kind !== 'serving') {
          state = { kind: 'serving', filters: loadedFilters(frame['filters']) }
          for (const warning of loadProblems(frame['warnings'])) log.configurationWarning({ ...warning, column: null })
          tellReady(state)
        }
        return askFlush()
      }
      case 'broken':
        // A replacement thread that cannot load while others serve comes again by itself.
        if (threads.size === 0) breakDown(loadProblems(frame['problems']))
        else log.threadLost(plan.name, slot, `cannot load its filters: ${loadProblems(frame['problems'])[0]?.text ?? ''}`, 0)
        return
      case 'done': {
        const results = Array.isArray(frame['results']) ? frame['results'] : []
        for (const result of results) answer(slot, isRecord(result) ? result : {})
        return askFlush()
      }
      case 'log': {
        const { level, filter, messageId, text } = frame
        const known = level === 'warn' || level === 'error' ? level : 'info'
        return log.filterSaid(known, String(filter), String(messageId), String(text).slice(0, 2000))
      }
      default:
        log.strayIgnored(plan.name, slot, 'a frame of unknown type')
    }
  }

  function answer(slot: number, result: Record<string, unknown>): void {
    faults.at('runner.result-read')
    const thread = threads.get(slot)
    const ticket = typeof result['key'] === 'string' ? thread?.inHand.get(result['key']) : undefined
    // Answered twice, too late, or never asked: only the first answer to an open question counts.
    if (thread === undefined || ticket === undefined) return log.strayIgnored(plan.name, slot, 'an answer to no open question')
    const outcome = checkOutcome(result['outcome'])
    if (typeof outcome === 'string') {
      thread.inHand.delete(ticket.key)
      close(thread, 0)
      return events.failed(ticket, { kind: 'malformed', filter: null, text: `the thread's answer was refused: ${outcome}` })
    }
    if (outcome.rerunWithout !== null) {
      // Stays in hand: only when the thread is dead can the message's files be set back.
      thread.blame = { number: ticket.number, filter: outcome.rerunWithout, text: outcome.failure?.text ?? '' }
      return close(thread, 0)
    }
    thread.inHand.delete(ticket.key)
    if (thread.inHand.size === 0) thread.exclusive = false
    if (outcome.stray) close(thread, closingGraceMs)
    else if (thread.closing !== null && thread.inHand.size === 0) close(thread, 0)
    events.answered(ticket, outcome)
  }

  /** Takes a thread out of service and ends it, at once or when it is empty. */
  function close(thread: Thread, graceMs: number): void {
    thread.closing?.cancel()
    const end = (): void => runner?.endThread(thread.slot)
    if (graceMs === 0 || thread.inHand.size === 0) {
      thread.closing = { cancel: () => undefined }
      end()
    } else {
      thread.closing = clock.after(graceMs, end)
    }
  }

  function loseThread(thread: Thread, text: string): void {
    const { blame } = thread
    const tickets = [...thread.inHand.values()]
    const known = blame !== null && tickets.some(({ number }) => number === blame.number)
    for (const ticket of tickets) {
      const guilty = known && ticket.number === blame.number
      // Alone in its thread, it can have been nobody else.
      const role = guilty || (tickets.length === 1 && blame !== null) ? 'culprit' : known ? 'innocent' : 'suspect'
      const filter = guilty ? filterAt(blame.filter) : null
      events.lost(ticket, { how: blame === null ? 'thread-lost' : 'blocked', role, filter, text: blame?.text ?? text })
    }
    askFlush()
  }

  function loseRunner(cause: string, sinceMs: number): void {
    const lost = [...threads.values()]
    threads.clear()
    loadTimer?.cancel()
    const pid = runner?.pid ?? 0
    runner = null
    const inHand = lost.reduce((sum, thread) => sum + thread.inHand.size, 0)
    if (draining !== null) {
      for (const thread of lost) loseThreadToRunner(thread, cause, 'innocent')
      return draining()
    }
    if (state.kind === 'broken') return
    log.runnerEnded(plan.name, pid, cause, inHand)
    // Where one thread is known to be why, the others' messages are innocent.
    const blamed = lost.some(({ blame }) => blame !== null)
    for (const thread of lost) {
      if (thread.blame !== null) loseThread(thread, cause)
      else loseThreadToRunner(thread, cause, blamed ? 'innocent' : 'suspect')
    }
    if (state.kind === 'starting' && ++failedLoads >= restart.loads) {
      const text = `the runner ended ${failedLoads} times while it loaded the filters: ${cause}`
      return breakDown([{ file: plan.chain.entries[0]?.file ?? 'filters.conf', line: null, text, cure: 'take out filters until it loads' }])
    }
    const young = clock.monotonicMs() - sinceMs < restart.youngMs
    pauseMs = young ? Math.min(restart.maxMs, Math.max(restart.firstMs, pauseMs * 2)) : 0
    clock.after(pauseMs, () => {
      if (draining === null) start()
    })
  }

  function loseThreadToRunner(thread: Thread, text: string, role: Loss['role']): void {
    for (const ticket of thread.inHand.values()) events.lost(ticket, { how: 'runner-lost', role, filter: null, text })
  }

  function breakDown(problems: readonly LoadProblem[]): void {
    state = { kind: 'broken', problems }
    loadTimer?.cancel()
    runner?.kill()
    tellReady(state)
    for (const ticket of queue.splice(0)) events.failed(ticket, { kind: 'broken', filter: null, text: problems[0]?.text ?? 'broken' })
  }

  function filterAt(index: number): Loss['filter'] {
    const alias = aliasAt(index)
    if (alias === null) return null
    const found = state.kind === 'serving' ? state.filters.find((filter) => filter.index === index) : undefined
    return { index, alias, passes: found?.onError === 'pass' || plan.chain.entries[index]?.dryRun === true }
  }

  function aliasAt(index: number): string | null {
    return plan.chain.entries[index]?.alias ?? null
  }

  /** Messages that came in the same turn of the event loop leave together, in one write a thread. */
  function askFlush(): void {
    if (flushAsked || queue.length === 0) return
    flushAsked = true
    setImmediate(flush)
  }

  function flush(): void {
    flushAsked = false
    const batches = new Map<Thread, JobFrame[]>()
    const nowMs = clock.monotonicMs()
    const held: Ticket[] = []
    let reserved: Thread | null = null
    for (const ticket of queue.splice(0)) {
      if (ticket.settled) continue
      const alone = ticket.company !== 'any'
      const thread = pick(alone, reserved)
      if (thread === null || (alone && thread.inHand.size > 0)) {
        // A message that must be alone keeps one thread from filling up again.
        reserved ??= alone ? thread : null
        held.push(ticket)
        continue
      }
      thread.exclusive = alone
      ticket.key = randomBytes(12).toString('base64url')
      ticket.number = lastNumber = (lastNumber % 0x7fff_fffe) + 1
      thread.inHand.set(ticket.key, ticket)
      const batch = batches.get(thread)
      if (batch === undefined) batches.set(thread, [jobFrame(ticket, nowMs)])
      else batch.push(jobFrame(ticket, nowMs))
    }
    queue.push(...held)
    for (const [thread, jobs] of batches) {
      runner?.send(thread.slot, jobs)
      faults.at('runner.job-sent')
    }
  }

  /** The thread with the fewest messages that may take one; for a message that must be alone, the emptiest of all. */
  function pick(alone: boolean, reserved: Thread | null): Thread | null {
    let best: Thread | null = null
    for (const thread of threads.values()) {
      if (thread.exclusive || thread.stalled || thread.closing !== null || thread === reserved) continue
      if (!alone && thread.inHand.size >= plan.messagesPerThread) continue
      if (best === null || thread.inHand.size < best.inHand.size) best = thread
    }
    return best
  }

  start()
  return {
    state: () => state,
    ready,
    waiting: () => queue.length,
    submit: (ticket) => {
      if (state.kind === 'broken') {
        return events.failed(ticket, { kind: 'broken', filter: null, text: state.problems[0]?.text ?? 'broken' })
      }
      queue.push(ticket)
      askFlush()
    },
    expire: (ticket) => {
      for (const thread of threads.values()) if (thread.inHand.has(ticket.key)) close(thread, 0)
    },
    drain: async (limitMs) => {
      if (runner === null) return
      const { promise: ended, resolve } = Promise.withResolvers<void>()
      draining = resolve
      runner.leave()
      const timer = clock.after(limitMs, () => runner?.kill())
      await ended
      timer.cancel()
    },
  }
}

function jobFrame(ticket: Ticket, nowMs: number): JobFrame {
  const { key, number, attempt, without, pair } = ticket
  const { bodyPath, controlPaths, facts } = pair
  return { key, number, messageId: facts.id, bodyPath, controlPaths, attempt, leftMs: Math.max(0, ticket.deadlineMs - nowMs), without }
}

/** What a thread says of its filters, taken over only in the expected shape: it comes from the filters' process. */
function loadedFilters(value: unknown): LoadedFilter[] {
  if (!Array.isArray(value)) return []
  return value.filter(isRecord).map(({ index, alias, name, file, onError }) => ({
    index: Number(index),
    alias: String(alias),
    name: String(name),
    file: String(file),
    onError: onError === 'pass' ? 'pass' : 'defer',
  }))
}

function loadProblems(value: unknown): LoadProblem[] {
  if (!Array.isArray(value)) return []
  return value
    .filter(isRecord)
    .slice(0, 1000)
    .map(({ file, line, text, cure }) => ({
      file: String(file),
      line: typeof line === 'number' ? line : null,
      text: String(text).slice(0, 2000),
      cure: typeof cure === 'string' ? cure.slice(0, 500) : null,
    }))
}
