/**
 * What happened since the start, in numbers: fed with the summary of each message, read by `nodefilter status`.
 *
 * Pure: plain counters that only grow, of a bounded number, so that any format of metrics can be made of them.
 */
import type { TrailStep } from '../chain/chain.ts'
import type { Summary } from './events.ts'

/** How long something took, over many times. */
export interface Spread {
  readonly count: number
  readonly totalMs: number
  readonly maxMs: number
  /** How many took at most the bound at the same place in `spreadBoundsMs`; one more for those that took longer. */
  readonly buckets: readonly number[]
}

/** The upper bounds of a spread's buckets. */
export const spreadBoundsMs: readonly number[] = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000]

/** One filter, by its alias. */
export interface FilterTally {
  readonly filter: string
  /** Runs by what it said: `pass`, `accept`, `defer`, `reject`, `failed`; those on trial are among them. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Runs on trial (`dry_run`), whose outcome changed nothing. */
  readonly onTrial: number
  /** Failures that the chain passed over (`on_error = pass`). */
  readonly failuresPassed: number
  readonly wall: Spread
}

/** All numbers at one moment; later changes do not show in it. */
export interface TallySnapshot {
  readonly messages: number
  /** By what was answered. */
  readonly verdicts: Readonly<Record<string, number>>
  /** Answers that nobody waited for any more. */
  readonly unheard: number
  /** Messages that could not be decided, by the kind of failure. */
  readonly failures: Readonly<Record<string, number>>
  /** Those among them that were accepted all the same, as `on_failure...` and `when_broken` say. */
  readonly failuresPassed: number
  /** Messages that ran more than once, since a thread or a runner was lost under them. */
  readonly ranAgain: number
  /** From the moment the message came in to its answer. */
  readonly wall: Spread
  /** In the order in which they were first seen. */
  readonly filters: readonly FilterTally[]
}

/** The counters. */
export interface Tally {
  settled(summary: Summary): void
  snapshot(): TallySnapshot
}

/** A list of filters is shorter. What comes beyond, over many reloads, is counted together. */
const maxFilters = 500
const beyond = '(others)'

/** Verdicts, outcomes and kinds of failure are a handful each. */
const maxKinds = 50

/** Counters at zero. */
export function createTally(): Tally {
  let messages = 0
  let unheard = 0
  let failuresPassed = 0
  let ranAgain = 0
  const verdicts = createCounts()
  const failures = createCounts()
  const wall = createSpread()
  const filters = new Map<string, ReturnType<typeof createFilter>>()

  const ofFilter = (alias: string): ReturnType<typeof createFilter> => {
    const name = filters.has(alias) || filters.size < maxFilters ? alias : beyond
    const known = filters.get(name) ?? createFilter()
    filters.set(name, known)
    return known
  }

  return {
    settled: (summary) => {
      const [verdict = '', fate] = summary.verdict.split(',')
      const isFailed = summary.errorCode !== null
      messages++
      verdicts.add(verdict)
      wall.add(summary.ms)
      if (fate !== undefined) unheard++
      if (summary.errorCode !== null) failures.add(summary.errorCode)
      if (isFailed && (verdict === 'accept' || verdict === 'pass')) failuresPassed++
      if (summary.attempts > 1) ranAgain++
      for (const step of summary.trail) {
        const isCause = isFailed && step.filter === summary.filter
        ofFilter(step.filter).add(step, step.outcome === 'failed' && !step.dryRun && !isCause)
      }
    },
    snapshot: () => ({
      ...{ messages, unheard, failuresPassed, ranAgain },
      ...{ verdicts: verdicts.read(), failures: failures.read(), wall: wall.read() },
      filters: [...filters].map(([filter, counters]) => ({ filter, ...counters.read() })),
    }),
  }
}

function createFilter() {
  const outcomes = createCounts()
  const wall = createSpread()
  let onTrial = 0
  let failuresPassed = 0
  return {
    add: (step: TrailStep, isPassed: boolean): void => {
      outcomes.add(step.outcome)
      wall.add(step.wallMs)
      if (step.dryRun) onTrial++
      if (isPassed) failuresPassed++
    },
    read: () => ({ outcomes: outcomes.read(), onTrial, failuresPassed, wall: wall.read() }),
  }
}

function createCounts() {
  const counts = new Map<string, number>()
  return {
    add: (kind: string): void => {
      const name = counts.has(kind) || counts.size < maxKinds ? kind : beyond
      counts.set(name, (counts.get(name) ?? 0) + 1)
    },
    read: (): Record<string, number> => Object.fromEntries(counts),
  }
}

function createSpread() {
  let count = 0
  let totalMs = 0
  let maxMs = 0
  const buckets = Array.from({ length: spreadBoundsMs.length + 1 }, () => 0)
  return {
    add: (ms: number): void => {
      count++
      totalMs += ms
      maxMs = Math.max(maxMs, ms)
      const place = spreadBoundsMs.findIndex((bound) => ms <= bound)
      const at = place === -1 ? spreadBoundsMs.length : place
      buckets[at] = (buckets[at] ?? 0) + 1
    },
    read: (): Spread => ({ count, totalMs, maxMs, buckets: [...buckets] }),
  }
}
