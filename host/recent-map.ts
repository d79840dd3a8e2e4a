/** What was found a moment ago and may be taken for true without another look. Pure but for the clock handed in. */
import type { Clock } from './platform/clock.ts'

/** A map whose entries leave it by themselves. */
export interface RecentMap {
  get(key: string): string | undefined
  set(key: string, value: string): void
}

/** Beyond this many the map is emptied: it saves time, and must not cost memory. */
const maxEntries = 1000

/** A map that is emptied `keptMs` milliseconds after its first entry. */
export function createRecentMap(keptMs: number, clock: Pick<Clock, 'monotonicMs'>): RecentMap {
  const entries = new Map<string, string>()
  let untilMs = 0
  return {
    get: (key) => (clock.monotonicMs() < untilMs ? entries.get(key) : undefined),
    set: (key, value) => {
      const nowMs = clock.monotonicMs()
      if (nowMs >= untilMs || entries.size >= maxEntries) {
        entries.clear()
        untilMs = nowMs + keptMs
      }
      entries.set(key, value)
    },
  }
}
