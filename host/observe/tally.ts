/**
 * What happened since the start, in numbers: fed with the summary of each message, read by `nodefilter status`.
 *
 * Pure: plain counters that only grow, of a bounded number, so that any format of metrics can be made of them.
 */
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
export const spreadBoundsMs: readonly number[] = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000],
]

/** One door, by its name. */
export interface DoorTally {
  readonly door: string
  /** Messages by what was answered. */
  readonly verdicts: Readonly<Record<string, number>>
}

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
  /** By what was answered, through all doors. */
  readonly verdicts: Readonly<Record<string, number>>
  readonly doors: readonly DoorTally[]
  /** Answers that nobody waited for any more. */
  readonly unheard: number
  /** Messages that could not be decided, by the kind of failure. */
  readonly failures: Readonly<Record<string, number>>
  /** Those among them that were accepted all the same, as `on_failure...` and `when_broken` say. */
  readonly failuresPassed: number
  /** Messages that ran more than once, since a thread or a runner was lost under them. */
  readonly ranAgain: number
  /** The upper bounds of the buckets of every spread here. */
  readonly boundsMs: readonly number[]
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
const maxFilters = 300

/** Under this name what is beyond the bounds is counted together. It cannot be an alias. */
export const beyond = '(others)'

/** Doors, verdicts, outcomes and kinds of failure are a handful each. */
const maxKinds = 50

/** Counters at zero. Their cost falls on every message: no allocation, one look-up for each thing counted. */
export function createTally(): Tally {
  let unheard = 0
  let failuresPassed = 0
  let ranAgain = 0
  const failures = createCounts()
  const wall = createSpread()
  const doors = new Map<string, Counts>()
  const filters = new Map<string, FilterCounters>()

  return {
    settled: (summary) => {
      const { errorCode, trail } = summary
      const comma = summary.verdict.indexOf(',')
      const verdict = comma === -1 ? summary.verdict : summary.verdict.slice(0, comma)
      if (comma !== -1) unheard++
      addTo(doors.get(summary.door) ?? enter(doors, summary.door, maxKinds, createCounts), verdict)
      wall.add(summary.ms)
      if (errorCode !== null) {
        addTo(failures, errorCode)
        if (verdict === 'accept' || verdict === 'pass') failuresPassed++
      }
      if (summary.attempts > 1) ranAgain++
      for (const step of trail) {
        const counters = filters.get(step.filter) ?? enter(filters, step.filter, maxFilters, createFilter)
        addTo(counters.outcomes, step.outcome)
        counters.wall.add(step.wallMs)
        if (step.dryRun) counters.onTrial++
        else if (step.outcome === 'failed' && (errorCode === null || step.filter !== summary.filter))
          counters.failuresPassed++
      }
    },
    snapshot: () => {
      const perDoor = [...doors].map(([door, counts]) => ({ door, verdicts: readCounts(counts) }))
      const verdicts: Record<string, number> = {}
      for (const door of perDoor)
        for (const [kind, count] of Object.entries(door.verdicts)) verdicts[kind] = (verdicts[kind] ?? 0) + count
      return {
        ...{ messages: wall.read().count, unheard, failuresPassed, ranAgain, verdicts, doors: perDoor },
        ...{ failures: readCounts(failures), boundsMs: spreadBoundsMs, wall: wall.read() },
        filters: [...filters].map(([filter, counters]) => ({
          ...{ filter, outcomes: readCounts(counters.outcomes), onTrial: counters.onTrial },
          ...{ failuresPassed: counters.failuresPassed, wall: counters.wall.read() },
        })),
      }
    },
  }
}

interface FilterCounters {
  readonly outcomes: Counts
  readonly wall: ReturnType<typeof createSpread>
  onTrial: number
  failuresPassed: number
}

function createFilter(): FilterCounters {
  return { outcomes: createCounts(), wall: createSpread(), onTrial: 0, failuresPassed: 0 }
}

/** Counts by kind, each in a box of its own, so that one look-up finds and changes it. */
type Counts = Map<string, { count: number }>

function createCounts(): Counts {
  return new Map()
}

function addTo(counts: Counts, kind: string): void {
  const box = counts.get(kind) ?? enter(counts, kind, maxKinds, createBox)
  box.count++
}

function createBox(): { count: number } {
  return { count: 0 }
}

function readCounts(counts: Counts): Record<string, number> {
  return Object.fromEntries([...counts].map(([kind, { count }]) => [kind, count]))
}

/** What stands under a name that is not known yet: something new, or what is beyond the bound. */
function enter<Value>(known: Map<string, Value>, name: string, max: number, create: () => Value): Value {
  const place = known.size < max ? name : beyond
  const value = known.get(place) ?? create()
  known.set(place, value)
  return value
}

function createSpread() {
  let count = 0
  let totalMs = 0
  let maxMs = 0
  const last = spreadBoundsMs.length
  const buckets = new Float64Array(last + 1)
  return {
    add: (ms: number): void => {
      count++
      totalMs += ms
      if (ms > maxMs) maxMs = ms
      let at = 0
      while (at < last && ms > (spreadBoundsMs[at] ?? Infinity)) at++
      buckets[at] = (buckets[at] ?? 0) + 1
    },
    read: (): Spread => ({ count, totalMs, maxMs, buckets: [...buckets] }),
  }
}
