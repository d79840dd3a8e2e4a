/** Time as the host sees it, handed in so that tests can move it. */

/** A timer that was set; cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/** Wall clock for what people read, monotonic clock for every limit (a wall clock may jump by days). */
export interface Clock {
  /** Milliseconds since the epoch. */
  wallMs(): number
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number
  readonly after: (delayMs: number, action: () => void) => Timer
  every(intervalMs: number, action: () => void): Timer
}

// As they are before a thread's timers are watched (host/runner/timer-watch.ts): the host's own belong to no message.
const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis

/** The machine's clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  every: (intervalMs, action) => {
    const timer = setInterval(action, intervalMs)
    return { cancel: () => clearInterval(timer) }
  },
}
