/** Time that stands still until a test moves it, for code that asks `Date` and sets timers. */
import { mock } from 'node:test'
import { parseDuration } from '../units.ts'

/** The clock. There is one at a time in a process. */
export interface FakeClock {
  /** Ms since the epoch, as `Date.now()` says. */
  now(): number
  /**
   * Lets time go by: `'5m'`, or ms. Timers that become due run in their order; what waits for them has run when the promise
   * resolves, and a timer that it sets counts from the new time.
   * Errors: RangeError for what is no length of time.
   */
  advance(time: string | number): Promise<void>
  /** Sets the date, in ms or as text that `Date` reads; no timers run. It may go back. */
  set(date: string | number): void
  /** Gives the machine its own clock again. */
  close(): void
}

/**
 * Stops `Date`, `setTimeout` and `setInterval` of this process, Node's timers included (`node:timers/promises` only where
 * it is imported whole: `timers.setTimeout`). `performance.now()` and `AbortSignal.timeout` go on.
 *
 * Errors: RangeError for what is no date; Error where there is such a clock already.
 */
export function fakeClock(start: string | number = '2026-12-01T12:00:00Z'): FakeClock {
  mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: msOf(start) })
  return {
    now: () => Date.now(),
    advance: async (time) => {
      const ms = typeof time === 'number' ? time : parseDuration(time)
      if (ms === null || !(ms >= 0)) throw new RangeError(`${JSON.stringify(time)} is no length of time`)
      mock.timers.tick(ms)
      await turn()
    },
    set: (date) => mock.timers.setTime(msOf(date)),
    close: () => mock.timers.reset(),
  }
}

function msOf(date: string | number): number {
  const ms = new Date(date).getTime()
  if (Number.isNaN(ms)) throw new RangeError(`${JSON.stringify(date)} is no date`)
  return ms
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
