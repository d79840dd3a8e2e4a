/**
 * Sweeps in the background: small slices, with turns for others in between.
 *
 * Expiry is honoured on read, so nothing depends on the sweep but the size of the store. It can therefore wait when the
 * clock is in doubt: after a jump of the wall clock nothing is removed for a while, so that a clock that is wrong for
 * an hour costs no memory of months.
 */
import type { TtlClock } from './clock.ts'
import type { TtlSwept } from './table.ts'

/** How the sweep works. */
export interface SweepOptions {
  /** Between looks for what is due. */
  readonly intervalMs: number
  /** Between slices while more is due. */
  readonly breatheMs: number
  /** Places of the index in one slice: one transaction. */
  readonly slice: number
  /** A wall clock that moves by so much more or less than time goes by has jumped. */
  readonly jumpMs: number
  /** So long after a jump nothing is removed. */
  readonly holdMs: number
}

/** The settings where the caller names none. */
export const sweepDefaults: SweepOptions = {
  intervalMs: 10_000,
  breatheMs: 20,
  slice: 400,
  jumpMs: 300_000,
  holdMs: 3_600_000,
}

/** What a sweeper tells. */
export interface SweepReports {
  readonly swept?: (swept: TtlSwept) => void
  /** A slice failed; it is tried again at the next interval. */
  readonly failed?: (error: unknown) => void
  /** The wall clock jumped by so many milliseconds: the sweep waits. */
  readonly jumped?: (byMs: number) => void
}

/** Whether the wall clock can be trusted, as told by the monotonic one. */
export interface Steadiness {
  look(): {
    /** No jump was seen within the hold. */
    readonly isSteady: boolean
    /** It was watched for as long as the hold, and did not jump: times that lie ahead are wrong, and not the clock. */
    readonly isProven: boolean
  }
}

/** Starts to watch the clock; `jumped` hears of each jump. */
export function watchSteadiness(
  clock: Pick<TtlClock, 'wallMs' | 'monotonicMs'>,
  { jumpMs, holdMs }: Pick<SweepOptions, 'jumpMs' | 'holdMs'>,
  jumped: (byMs: number) => void = () => undefined,
): Steadiness {
  const startMs = clock.monotonicMs()
  let offsetMs = clock.wallMs() - startMs
  let jumpedAtMs: number | null = null
  return {
    look: () => {
      const nowMs = clock.monotonicMs()
      const byMs = clock.wallMs() - nowMs - offsetMs
      // Small differences are a clock being set right by and by: they are taken along.
      offsetMs += byMs
      if (Math.abs(byMs) >= jumpMs) {
        jumpedAtMs = nowMs
        jumped(byMs)
      }
      const isSteady = jumpedAtMs === null || nowMs - jumpedAtMs >= holdMs
      return { isSteady, isProven: isSteady && nowMs - startMs >= holdMs }
    },
  }
}

/** A running sweep. */
export interface Sweeper {
  /** Resolves when no slice is under way any more. */
  stop(): Promise<void>
}

/** Starts to sweep. `sweep` does one slice; `repairs`: also what lies further ahead than a map keeps anything. */
export function startSweeper(
  sweep: (limit: number, repairs: boolean) => Promise<TtlSwept>,
  clock: TtlClock,
  options: SweepOptions,
  reports: SweepReports,
): Sweeper {
  const steadiness = watchSteadiness(clock, options, reports.jumped)
  let isStopped = false
  let running: Promise<void> = Promise.resolve()
  let timer = clock.after(options.intervalMs, turn)

  function turn(): void {
    running = slice().then((delayMs) => {
      if (!isStopped) timer = clock.after(delayMs, turn)
    })
  }
  async function slice(): Promise<number> {
    const { isSteady, isProven } = steadiness.look()
    if (!isSteady) return options.intervalMs
    try {
      const swept = await sweep(options.slice, isProven)
      if (swept.removed + swept.moved + swept.unreadable > 0) reports.swept?.(swept)
      return swept.hasMore ? options.breatheMs : options.intervalMs
    } catch (error) {
      reports.failed?.(error)
      return options.intervalMs
    }
  }

  return {
    stop: () => {
      isStopped = true
      timer.cancel()
      return running
    },
  }
}
