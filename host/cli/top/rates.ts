/** What happened between two looks at a host. Pure. */
import type { HostStatus } from '../../control/status.ts'
import type { FilterTally, Spread } from '../../observe/tally.ts'

/** From one look to the next, or from the start of the host. */
export interface Interval {
  readonly seconds: number
  readonly isSinceStart: boolean
  /** The earlier look; `null` stands for a host that has done nothing yet. */
  readonly before: HostStatus | null
}

/** The interval that ends with `now`. An earlier look at another host, or at one that was started anew, does not count. */
export function intervalOf(now: HostStatus, earlier: HostStatus | null): Interval {
  const before = earlier?.instance === now.instance && earlier.uptimeMs < now.uptimeMs ? earlier : null
  return { seconds: (now.uptimeMs - (before?.uptimeMs ?? 0)) / 1000, isSinceStart: before === null, before }
}

/** How many more a second. */
export function perSecond(now: number, before: number | undefined, { seconds }: Interval): number {
  return seconds <= 0 ? 0 : Math.max(0, now - (before ?? 0)) / seconds
}

/** What was added to a spread. Its `maxMs` is that since the start. */
export function spreadSince(now: Spread, before: Spread | undefined): Spread {
  if (before === undefined) return now
  return {
    ...{ count: now.count - before.count, totalMs: now.totalMs - before.totalMs, maxMs: now.maxMs },
    buckets: now.buckets.map((count, at) => count - (before.buckets[at] ?? 0)),
  }
}

/**
 * The time that a share of all stayed below, as far as the buckets tell: evenly spread within each.
 * Errors: `null` where there is nothing.
 */
export function quantileMs(
  share: number,
  { count, buckets, maxMs }: Spread,
  boundsMs: readonly number[],
): number | null {
  if (count <= 0) return null
  let below = 0
  for (const [at, inBucket] of buckets.entries()) {
    if (inBucket > 0 && below + inBucket >= share * count) {
      const lower = boundsMs[at - 1] ?? 0
      const upper = Math.max(lower, Math.min(boundsMs[at] ?? maxMs, maxMs))
      return lower + ((share * count - below) / inBucket) * (upper - lower)
    }
    below += inBucket
  }
  return maxMs
}

/** One filter during an interval. */
export interface FilterRates {
  readonly filter: string
  readonly runs: number
  readonly runsPerSecond: number
  /** Rejected or deferred by it. */
  readonly refusedPerSecond: number
  readonly failedPerSecond: number
  /** `null` where it did not run. */
  readonly meanMs: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** Since the start. */
  readonly maxMs: number
}

/** The filters, the slowest one first, those that did not run last. */
export function filterRates(now: HostStatus, interval: Interval): FilterRates[] {
  const earlier = new Map(interval.before?.tally.filters.map((filter) => [filter.filter, filter]))
  const { boundsMs } = now.tally
  const counted = now.tally.filters.map((filter): FilterRates => {
    const before = earlier.get(filter.filter)
    const spread = spreadSince(filter.wall, before?.wall)
    const rate = (...outcomes: readonly string[]): number =>
      perSecond(sumOf(filter, outcomes), before === undefined ? 0 : sumOf(before, outcomes), interval)
    return {
      ...{ filter: filter.filter, runs: spread.count },
      runsPerSecond: perSecond(spread.count, 0, interval),
      ...{ refusedPerSecond: rate('reject', 'defer'), failedPerSecond: rate('failed') },
      meanMs: spread.count === 0 ? null : spread.totalMs / spread.count,
      p50Ms: quantileMs(0.5, spread, boundsMs),
      ...{ p99Ms: quantileMs(0.99, spread, boundsMs), maxMs: filter.wall.maxMs },
    }
  })
  return counted.sort((a, b) => (b.meanMs ?? -1) - (a.meanMs ?? -1))
}

function sumOf({ outcomes }: FilterTally, kinds: readonly string[]): number {
  return kinds.reduce((sum, kind) => sum + (outcomes[kind] ?? 0), 0)
}
