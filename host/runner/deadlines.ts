/**
 * The deadlines of all messages that wait for an answer, with one timer for all of them: thousands may wait, and nearly
 * all are answered long before.
 */
import type { Clock, Timer } from '../platform/clock.ts'

/** A message that must be answered by some time. */
export interface Dated {
  /** On the monotonic clock. */
  readonly deadlineMs: number
}

/** Those whose time is not over yet. */
export interface Deadlines<Item extends Dated> {
  add(item: Item): void
  remove(item: Item): void
  /** Forgets all. */
  close(): void
}

/** A deadline that is noticed so much too late was missed because the host stood still: answers may wait to be read. */
const stoodStill = { lateMs: 1000, graceMs: 500 } as const

/**
 * Calls `expire` for each item that is still here `marginMs` after its deadline; it is then here no longer. Where it throws,
 * `failed` is told and the others have their turn all the same.
 */
export function watchDeadlines<Item extends Dated>(
  clock: Pick<Clock, 'monotonicMs' | 'after'>,
  marginMs: number,
  expire: (item: Item) => void,
  failed: (thrown: unknown) => void = () => undefined,
): Deadlines<Item> {
  const items = new Set<Item>()
  let timer: Timer | null = null
  /** When the timer is due; an item that is due later needs none of its own. */
  let timerMs = Infinity
  let isGrace = false

  const setTimer = (dueMs: number): void => {
    timer?.cancel()
    timerMs = dueMs
    timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), look)
  }
  const look = (): void => {
    timer = null
    timerMs = Infinity
    const nowMs = clock.monotonicMs()
    const due: Item[] = []
    let nextMs = Infinity
    let latestMs = 0
    for (const item of items) {
      const dueMs = item.deadlineMs + marginMs
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs)
      else {
        due.push(item)
        latestMs = Math.max(latestMs, nowMs - dueMs)
      }
    }
    if (latestMs > stoodStill.lateMs && !isGrace) {
      isGrace = true
      setTimer(nowMs + stoodStill.graceMs)
      return
    }
    isGrace = false
    for (const item of due) items.delete(item)
    if (nextMs !== Infinity) setTimer(nextMs)
    for (const item of due) {
      try {
        expire(item)
      } catch (thrown) {
        failed(thrown)
      }
    }
  }

  return {
    add: (item) => {
      items.add(item)
      const dueMs = item.deadlineMs + marginMs
      if (dueMs < timerMs) setTimer(dueMs)
    },
    remove: (item) => void items.delete(item),
    close: () => {
      timer?.cancel()
      items.clear()
    },
  }
}
