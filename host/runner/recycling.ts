/** When a runner that serves is replaced by a fresh one: after so many messages, or when it has grown. Pure. */

/** The limits; 0 messages is no limit. */
export interface RecycleLimits {
  readonly maxMessages: number
  readonly memoryOctets: number
}

/** Why a runner is replaced. */
export type RecycleReason = 'messages' | 'memory'

/** Judges one runner after the other. */
export interface RecycleJudge {
  /** The serving runner has answered a message, and `count` in all. */
  afterMessage(count: number, nowMs: () => number): RecycleReason | null
  /** Looked at while it serves. */
  afterLook(octets: number, nowMs: number): RecycleReason | null
  /** Another runner serves now; its filters took `loadMs` to load. */
  replaced(nowMs: number, loadMs: number): void
  /** No other could be started. */
  failed(nowMs: number): void
}

/**
 * A fresh runner that is as large at its first look needs what it has: one is replaced when it has grown by half.
 * A replacement costs the processor what loading the filters costs: at most a tenth of the time is spent on that.
 */
const judged = { growth: 1.5, leastPauseMs: 2000, pausePerLoad: 10, firstRetryMs: 1000, maxRetryMs: 60_000 } as const

/** A judge for the first runner. */
export function createRecycleJudge(limits: () => RecycleLimits): RecycleJudge {
  let firstOctets: number | null = null
  let notBeforeMs = -Infinity
  let retryMs = 0
  return {
    afterMessage: (count, nowMs) => {
      const { maxMessages } = limits()
      return maxMessages > 0 && count >= maxMessages && nowMs() >= notBeforeMs ? 'messages' : null
    },
    afterLook: (octets, nowMs) => {
      firstOctets ??= octets
      const limit = Math.max(limits().memoryOctets, firstOctets * judged.growth)
      return octets > limit && nowMs >= notBeforeMs ? 'memory' : null
    },
    replaced: (nowMs, loadMs) => {
      firstOctets = null
      retryMs = 0
      notBeforeMs = nowMs + Math.max(judged.leastPauseMs, loadMs * judged.pausePerLoad)
    },
    failed: (nowMs) => {
      retryMs = Math.min(judged.maxRetryMs, Math.max(judged.firstRetryMs, retryMs * 2))
      notBeforeMs = nowMs + retryMs
    },
  }
}
