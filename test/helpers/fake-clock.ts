/** A clock that stands still until a test moves it. */
import type { Clock, Timer } from '../../host/platform/clock.ts'

/** What a test does with the time. */
export interface FakeClock extends Clock {
  /** Lets time go by without firing anything, as it does for code that holds its thread. */
  pass(ms: number): void
  /** Lets time go by; due timers fire at their times, in order, and what waits for them runs in between. */
  advance(ms: number): Promise<void>
  /**
   * Lets time go by, from timer to timer, until `promise` is settled.
   * Errors: Error where it waits for something else than time.
   */
  runOut<T>(promise: Promise<T>): Promise<T>
  /** How many timers are set. */
  timers(): number
}

interface SetTimer {
  dueMs: number
  readonly everyMs: number | null
  readonly action: () => void
}

/** A fake clock that starts at `monotonicMs`; its wall clock is `wallOffsetMs` ahead of that. */
export function makeClock(monotonicMs = 1000, wallOffsetMs = 1_796_126_400_000): FakeClock {
  let nowMs = monotonicMs
  const timers = new Set<SetTimer>()

  const set = (timer: SetTimer): Timer => {
    timers.add(timer)
    return { cancel: () => void timers.delete(timer) }
  }
  /** The one that is due first; of equally due ones the one that was set first. */
  const next = (): SetTimer | null => {
    let first: SetTimer | null = null
    for (const timer of timers) if (first === null || timer.dueMs < first.dueMs) first = timer
    return first
  }
  const fire = async (timer: SetTimer): Promise<void> => {
    nowMs = Math.max(nowMs, timer.dueMs)
    if (timer.everyMs === null) timers.delete(timer)
    else timer.dueMs += timer.everyMs
    timer.action()
    await turn()
  }

  return {
    wallMs: () => wallOffsetMs + nowMs,
    monotonicMs: () => nowMs,
    after: (delayMs, action) => set({ dueMs: nowMs + Math.max(0, delayMs), everyMs: null, action }),
    every: (intervalMs, action) => set({ dueMs: nowMs + intervalMs, everyMs: intervalMs, action }),
    pass: (ms) => {
      nowMs += ms
    },
    advance: async (ms) => {
      const untilMs = nowMs + ms
      await turn()
      for (let timer = next(); timer !== null && timer.dueMs <= untilMs; timer = next()) await fire(timer)
      nowMs = Math.max(nowMs, untilMs)
    },
    runOut: async (promise) => {
      const waiting = new Set([promise])
      const settle = (): void => waiting.clear()
      promise.then(settle, settle)
      await turn()
      while (waiting.size > 0) {
        const timer = next()
        if (timer === null) throw new Error('it waits, and no timer is set')
        await fire(timer)
      }
      return promise
    },
    timers: () => timers.size,
  }
}

/** One turn of the event loop: all that was made ready by now has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
