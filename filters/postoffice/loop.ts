/**
 * Does a sender write to a queue faster than people do? Then two programs may be answering each other.
 *
 * Pure: no clock, socket, file or logger; whoever asks brings what is remembered and keeps what comes back.
 * Source: spec postoffice 7.
 */

/** What is remembered of one sender in one queue, for one set of header values. */
export interface LoopRecord {
  /** When messages came, as they were recorded, the last one last. */
  readonly timesMs: readonly number[]
  /** The end of the throttle, which is still in it; `null`: none. */
  readonly throttledUntilMs: number | null
}

/** What is asked about a message. */
export interface LoopQuestion {
  /** When it came, by our own clock: a sender writes any Date. */
  readonly atMs: number
  /** Messages a minute, more than 0. */
  readonly frequency: number
  readonly throttleMs: number
  /** Sent to an address that is not in its header section: an alias of several people may get many in a moment. */
  readonly isExempt: boolean
}

/** The answer. */
export interface LoopJudgement {
  /** `active`: a throttle was set before; `triggered`: this message sets one. */
  readonly throttle: 'none' | 'active' | 'triggered'
  /** Messages a minute since the last one, and over `4 / frequency` minutes; `null` where it was not asked for. */
  readonly instantaneous: number | null
  readonly average: number | null
  /** To be kept until `keepMs` after the message came. */
  readonly record: LoopRecord
  readonly keepMs: number
}

const minuteMs = 60_000

/** The average is over the time in which so many messages are just allowed. */
const averageOver = 4

/**
 * How many times are kept. Five decide; the others are for messages that are imported out of order.
 */
const maxTimes = 32

/** Judges a message, and remembers it. */
export function judgeLoop(known: LoopRecord | null, question: LoopQuestion): LoopJudgement {
  const { atMs, frequency, throttleMs, isExempt } = question
  const intervalMs = (averageOver * minuteMs) / frequency
  const startMs = atMs - intervalMs
  const times = (known?.timesMs ?? []).filter((timeMs) => timeMs >= startMs)
  const untilMs = known?.throttledUntilMs ?? null
  const isActive = untilMs !== null && untilMs >= atMs

  const asks = !isActive && !isExempt
  const instantaneous = asks ? instantaneousOf(times, atMs) : null
  const isFast = instantaneous !== null && instantaneous > frequency
  const average = asks && !isFast ? averageOf(times, atMs, frequency) : null
  const triggers = isFast || (average !== null && average > frequency)
  const throttledUntilMs = triggers ? atMs + throttleMs : isActive ? untilMs : null
  return {
    throttle: isActive ? 'active' : triggers ? 'triggered' : 'none',
    instantaneous,
    average,
    record: { timesMs: [...times, atMs].slice(-maxTimes), throttledUntilMs },
    keepMs: Math.max(intervalMs, (throttledUntilMs ?? atMs) - atMs) + 1,
  }
}

/** 0 without an earlier message, infinite for one of the same instant, negative for one that came later. */
function instantaneousOf(times: readonly number[], atMs: number): number {
  const last = times.at(-1)
  return last === undefined ? 0 : minuteMs / (atMs - last)
}

/** Of `times` none is older than the interval. Written so that exactly `averageOver` messages give exactly `frequency`. */
function averageOf(times: readonly number[], atMs: number, frequency: number): number {
  return (times.filter((timeMs) => timeMs < atMs).length * frequency) / averageOver
}
