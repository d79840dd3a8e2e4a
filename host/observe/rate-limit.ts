/** Bounds a flood of log lines: at most so many a second, the rest counted. Pure but for the clock handed in. */

/** Asks and counts. */
export interface RateLimit {
  /** True if this one may pass. */
  allow(): boolean
  /** How many were refused since this was last asked; asking resets the count. */
  takeRefused(): number
}

/** A limit of `perSecond` in each second of `nowMs`. */
export function createRateLimit(perSecond: number, nowMs: () => number): RateLimit {
  let second = -1
  let used = 0
  let refused = 0
  return {
    allow: () => {
      const now = Math.floor(nowMs() / 1000)
      if (now !== second) {
        second = now
        used = 0
      }
      if (used < perSecond) {
        used++
        return true
      }
      refused++
      return false
    },
    takeRefused: () => {
      const count = refused
      refused = 0
      return count
    },
  }
}
