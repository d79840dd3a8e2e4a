/** Time as the TTL maps see it, handed in so that tests can move it. */

/** The host's clock is one of these. */
export interface TtlClock {
  /** Milliseconds since the epoch: what expiry goes by, since it holds across restarts. */
  wallMs(): number
  /** Milliseconds since some fixed moment; never goes back: what tells a jump of the wall clock from time going by. */
  monotonicMs(): number
  after(delayMs: number, action: () => void): { cancel(): void }
}

/** The machine's clock; its timers keep no process alive. */
export const machineClock: TtlClock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
