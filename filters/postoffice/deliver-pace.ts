/**
 * The question about a fast sender as one operation on a TTL map, so that all threads of the host ask it in one transaction.
 * It decides as `loop.ts` does, for messages that come in the order of their times.
 *
 * Pure: no clock, socket, file or logger.
 */
import { ttlLimits, type PaceResult, type TtlPace } from '../../queue-store/ttl/index.ts'
import type { LoopJudgement, LoopQuestion } from './loop.ts'
import type { SortingSettings } from './types.ts'

const minuteMs = 60_000

/** The average is over so many messages at the frequency that is allowed; more are too many. */
const averageOver = 4

/** The operation. `once`: names the message, so that it counts once however often it comes; `null`: each time. */
export function paceOf(question: LoopQuestion, once: string | null): TtlPace {
  const { atMs, frequency, throttleMs, isExempt } = question
  return {
    windowMs: windowOf(frequency),
    leastGapMs: isExempt ? null : leastGapOf(frequency),
    atMost: isExempt ? null : averageOver,
    throttleMs: Math.min(throttleMs, longestMs),
    atMs,
    ...(once === null ? {} : { once }),
  }
}

/** What it found, in the words of the judgement. */
export function throttleOf(
  { isThrottled, untilMs }: Pick<PaceResult, 'isThrottled' | 'untilMs'>,
  { atMs, throttleMs }: Pick<LoopQuestion, 'atMs' | 'throttleMs'>,
): LoopJudgement['throttle'] {
  if (!isThrottled) return 'none'
  return untilMs === atMs + Math.min(throttleMs, longestMs) ? 'triggered' : 'active'
}

/** How long the map has to keep what it knows of a sender. Units: ms. */
export function paceMapMs({
  loopFrequency,
  throttleMs,
}: Pick<SortingSettings, 'loopFrequency' | 'throttleMs'>): number {
  return Math.max(windowOf(loopFrequency), Math.min(throttleMs, longestMs)) + 1
}

const longestMs = ttlLimits.ttlMs - 1

function windowOf(frequency: number): number {
  return Math.max(1, Math.min(Math.floor((averageOver * minuteMs) / frequency), longestMs))
}

/** The least whole distance that is not too fast, by the comparison that `loop.ts` makes and not by one that rounds otherwise. */
function leastGapOf(frequency: number): number {
  const isFast = (gapMs: number): boolean => minuteMs / gapMs > frequency
  const about = Math.ceil(minuteMs / frequency)
  return [about - 1, about].find((gapMs) => gapMs > 0 && !isFast(gapMs)) ?? about + 1
}
