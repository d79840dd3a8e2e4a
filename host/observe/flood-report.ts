/**
 * Tells of what may come as a flood: the first ones in each period one by one and at once, the others by their number at
 * its end. Pure but for the clock handed in.
 */
import type { Clock, Timer } from '../platform/clock.ts'

/** Takes what is to be told. */
export interface FloodReport<Item> {
  add(item: Item): void
  /** Tells the number that is untold, and leaves no timer behind. */
  close(): void
}

/** What is told, and how much of it. */
export interface FloodReportOptions<Item> {
  /** So many are told one by one in each period. */
  readonly first: number
  /** A period begins with the first one after a quiet time. */
  readonly everyMs: number
  readonly tell: (item: Item) => void
  readonly tellMore: (count: number) => void
}

/** A report. While nothing comes no timer runs. */
export function createFloodReport<Item>(options: FloodReportOptions<Item>, clock: Clock): FloodReport<Item> {
  const { first, everyMs, tell, tellMore } = options
  let timer: Timer | null = null
  let told = 0
  let untold = 0

  const tellUntold = (): void => {
    if (untold > 0) tellMore(untold)
    untold = 0
  }
  const endPeriod = (): void => {
    timer = untold > 0 ? clock.after(everyMs, endPeriod) : null
    told = 0
    tellUntold()
  }
  return {
    add: (item) => {
      timer ??= clock.after(everyMs, endPeriod)
      if (told < first) {
        told++
        tell(item)
      } else untold++
    },
    close: () => {
      timer?.cancel()
      timer = null
      tellUntold()
    },
  }
}
