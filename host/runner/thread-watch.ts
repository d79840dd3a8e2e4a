/** Tells from their pulses which threads stand still. Pure: time and pulses are handed in. */
import type { Pulse } from './pulse.ts'

/** How often the pulses are looked at. */
export const watchIntervalMs = 50

/** From this on a thread gets no new message. */
export const stallLimitMs = 250

/** Told of what the watch sees. */
export interface ThreadWatchEvents {
  stalled(slot: number, stalled: boolean): void
  blocked(slot: number, pulse: Pulse, afterMs: number): void
}

/** Looks at one slot at a time. */
export interface ThreadWatch {
  look(slot: number, pulse: Pulse, nowMs: number): void
  /** The slot's thread is gone: what was seen of it no longer counts. */
  reset(slot: number): void
}

interface Seen {
  beat: number
  sinceMs: number
  lookedMs: number
  stalled: boolean
  blocked: boolean
}

/** A watch over `slots` threads. A thread counts from its first beat, which it gives once its filters are loaded. */
export function createThreadWatch(slots: number, blockedLimitMs: number, events: ThreadWatchEvents): ThreadWatch {
  const seen: (Seen | null)[] = Array.from({ length: slots }, () => null)
  return {
    look: (slot, pulse, nowMs) => {
      if (pulse.beat === 0) return
      const last = seen[slot] ?? null
      // A gap between two looks means that this process stood still itself, not the thread.
      const blind = last !== null && nowMs - last.lookedMs > stallLimitMs
      if (last === null || last.beat !== pulse.beat || blind) {
        if (last?.stalled === true) events.stalled(slot, false)
        seen[slot] = { beat: pulse.beat, sinceMs: nowMs, lookedMs: nowMs, stalled: false, blocked: false }
        return
      }
      last.lookedMs = nowMs
      const stillMs = nowMs - last.sinceMs
      if (stillMs >= stallLimitMs && !last.stalled) {
        last.stalled = true
        events.stalled(slot, true)
      }
      if (stillMs >= blockedLimitMs && !last.blocked) {
        last.blocked = true
        events.blocked(slot, pulse, stillMs)
      }
    },
    reset: (slot) => {
      seen[slot] = null
    },
  }
}
