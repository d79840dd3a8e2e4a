/** Answers that may be given again for a while. Pure but for the clock that it is handed. */

/** How long answers are kept, and how many. */
export interface CacheLimits {
  /** 0: not at all. */
  readonly foundMs: number
  readonly unknownMs: number
  readonly entries: number
}

/** A bounded map whose entries run out; the one that was put in first goes first. */
export interface AnswerCache<Value> {
  get(key: string): { readonly value: Value | null } | null
  put(key: string, value: Value | null): void
}

/** Opens an empty one; `nowMs` never goes back. */
export function openAnswerCache<Value>(limits: CacheLimits, nowMs: () => number): AnswerCache<Value> {
  const kept = new Map<string, { readonly value: Value | null; readonly untilMs: number }>()
  return {
    get: (key) => {
      const entry = kept.get(key)
      if (entry === undefined) return null
      if (entry.untilMs > nowMs()) return entry
      kept.delete(key)
      return null
    },
    put: (key, value) => {
      const forMs = value === null ? limits.unknownMs : limits.foundMs
      kept.delete(key)
      if (forMs <= 0 || limits.entries <= 0) return
      const [oldest] = kept.keys()
      if (kept.size >= limits.entries && oldest !== undefined) kept.delete(oldest)
      kept.set(key, { value, untilMs: nowMs() + forMs })
    },
  }
}
