/**
 * What happened to runners and their threads since the start, in numbers: counted from the events about them, since a
 * runner that was replaced takes its own counts along.
 */
import type { RecycleReason } from '../runner/recycling.ts'
import type { Events } from './events.ts'

/** Everything that ever ran under one name, `main` or `solo`. */
export interface RunnerTally {
  readonly runner: string
  /** Processes that were started: at the start, at reloads, and in place of lost or recycled ones. */
  readonly starts: number
  /** Processes that ended unasked, each with its messages. */
  readonly lost: number
  /** Processes that were replaced by a fresh one, by the reason. */
  readonly recycled: Readonly<Record<string, number>>
  /** Times that the fresh one could not be started. */
  readonly recycleFailures: number
  readonly threadsLost: number
  /** Threads that a filter blocked beyond the limit. */
  readonly threadsBlocked: number
  /** Lines of filters' output that were left out of the log. */
  readonly linesLeftOut: number
}

interface Counters {
  starts: number
  lost: number
  readonly recycled: Record<string, number>
  recycleFailures: number
  threadsLost: number
  threadsBlocked: number
  linesLeftOut: number
}

/** The events, and what was counted of them so far. */
export interface CountedEvents {
  readonly events: Events
  readonly snapshot: () => readonly RunnerTally[]
  /** Alerts about messages that end threads or runners again and again. */
  readonly poisonAlerts: () => number
}

/** Events that are counted and then told as before. */
export function countRunnerEvents(events: Events): CountedEvents {
  let poisonAlerts = 0
  const runners = new Map<string, Counters>()
  const of = (runner: string): Counters => {
    const known = runners.get(runner) ?? createCounters()
    runners.set(runner, known)
    return known
  }
  // A counter that is there from the start shows its first step.
  of('main')
  return {
    events: {
      ...events,
      runnerStarted: (lane, ...more) => {
        of(lane).starts++
        events.runnerStarted(lane, ...more)
      },
      runnerEnded: (lane, ...more) => {
        of(lane).lost++
        events.runnerEnded(lane, ...more)
      },
      runnerRecycled: (lane, pid, reason, ...more) => {
        const { recycled } = of(lane)
        recycled[reason] = (recycled[reason] ?? 0) + 1
        events.runnerRecycled(lane, pid, reason, ...more)
      },
      recycleFailed: (lane, ...more) => {
        of(lane).recycleFailures++
        events.recycleFailed(lane, ...more)
      },
      poisonMessage: (...message) => {
        poisonAlerts++
        events.poisonMessage(...message)
      },
      threadLost: (lane, ...more) => {
        of(lane).threadsLost++
        events.threadLost(lane, ...more)
      },
      threadBlocked: (lane, ...more) => {
        of(lane).threadsBlocked++
        events.threadBlocked(lane, ...more)
      },
      linesLeftOut: (lane, lines) => {
        of(lane).linesLeftOut += lines
        events.linesLeftOut(lane, lines)
      },
    },
    snapshot: () =>
      [...runners].map(([runner, counters]) => ({ runner, ...counters, recycled: { ...counters.recycled } })),
    poisonAlerts: () => poisonAlerts,
  }
}

function createCounters(): Counters {
  const recycled: Record<RecycleReason, number> = { messages: 0, memory: 0 }
  return { starts: 0, lost: 0, recycled, recycleFailures: 0, threadsLost: 0, threadsBlocked: 0, linesLeftOut: 0 }
}
