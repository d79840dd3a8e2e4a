/**
 * What can be asked of TTL maps, as plain data: each operation is a whole transaction, and several can be one.
 *
 * Nothing here is a function, so that an operation can be sent to the thread that owns the store.
 */
import { countingLimits } from './counting.ts'
import { encodeKey, ttlLimits } from './layout.ts'
import type { PaceResult } from './counting.ts'
import { checkValue, type TtlValue } from './record.ts'
import { demand } from './ttl-error.ts'

/** A key: text, or octets. The two are never equal. Long ones are kept as a digest. */
export type TtlKey = string | Uint8Array

/** A key that is there, as seen at one moment. Times: milliseconds since the epoch. */
export interface TtlEntry {
  readonly value: TtlValue
  /** Since when it is known without a gap; refreshing does not change it. */
  readonly sinceMs: number
  readonly writtenMs: number
  /** The last millisecond at which it is there. */
  readonly expiresMs: number
}

/** What `firstSeen` found. */
export interface FirstSeen extends TtlEntry {
  /** This call was the first. */
  readonly isNew: boolean
}

/**
 * What to do with an entry.
 *
 * `refresh`: written now, value and `sinceMs` as they were. `value`: another value, written now. `add`: a number
 * more, written now. Of an absent key `refresh` makes one without a value.
 */
export type TtlChange =
  | 'keep'
  | 'delete'
  | 'refresh'
  | { readonly value: TtlValue; readonly ttlMs?: number }
  | { readonly add: number; readonly ttlMs?: number }

/**
 * A change that depends on what is there. `aged` comes first where the key is known for at least `ms`. What is not given
 * is `keep`.
 */
export interface TtlUpdate {
  readonly absent?: TtlChange
  readonly present?: TtlChange
  readonly aged?: { readonly ms: number; readonly change: TtlChange }
}

/** What an update found and left. */
export interface TtlUpdated {
  readonly before: TtlEntry | null
  readonly after: TtlEntry | null
}

/** A window to count in. */
export interface TtlRate {
  readonly windowMs: number
  /** Parts of the window, aligned with the clock; 60. A window of minutes in steps of one minute counts calendar minutes. */
  readonly steps?: number
  /** How many: 1; for octets or recipients their number. */
  readonly by?: number
  /** The message that counts: counted once, however often it runs. */
  readonly once?: string
}

/**
 * When a sender is too fast: nearer than `leastGapMs` to another event, or more than `atMost` earlier ones within `windowMs`.
 * Who is too fast once is so for `throttleMs`, whatever comes then; a throttle is not prolonged while it holds.
 */
export interface TtlPace {
  readonly windowMs: number
  /** `null`: not looked at. */
  readonly leastGapMs: number | null
  /** `null`: not looked at. Less than `countingLimits.events`, which is how many are remembered. */
  readonly atMost: number | null
  readonly throttleMs: number
  /** When it happened, where that is not now: a message's arrival. */
  readonly atMs?: number
  /** The message: it is not its own neighbour when it runs again. */
  readonly once?: string
}

/** How greylisting found a key: see `TtlMap.admit`. */
export interface TtlAdmitted {
  /** `passed`: it waited long enough, just now; `known`: it did so earlier. */
  readonly state: 'new' | 'waiting' | 'passed' | 'known'
  /** What it has to wait still. */
  readonly leftMs: number
}

/** Settings of one write. */
export interface TtlWriteOptions {
  /** Kept for less than the map's time. */
  readonly ttlMs?: number
}

interface On {
  readonly map: string
  readonly key: TtlKey
}

/** An operation on the key of a map. */
export type TtlOperation =
  | (On & { readonly op: 'get' | 'has' | 'delete' })
  | (On & { readonly op: 'set'; readonly value: TtlValue; readonly ttlMs?: number })
  | (On & { readonly op: 'firstSeen'; readonly value: TtlValue })
  | (On & { readonly op: 'increment'; readonly by: number })
  | (On & { readonly op: 'rate'; readonly rate: TtlRate })
  | (On & { readonly op: 'pace'; readonly pace: TtlPace })
  | (On & { readonly op: 'update'; readonly update: TtlUpdate })
  | (On & { readonly op: 'admit'; readonly known: string; readonly waitMs: number })

/** What each operation gives. */
export interface TtlResults {
  readonly get: TtlEntry | null
  readonly has: boolean
  readonly delete: boolean
  /** What was there before. */
  readonly set: TtlEntry | null
  readonly firstSeen: FirstSeen
  /** The new number. */
  readonly increment: number
  /** How many the window holds, this one counted. */
  readonly rate: number
  readonly pace: PaceResult
  readonly update: TtlUpdated
  readonly admit: TtlAdmitted
}

/** The result of one operation. */
export type TtlResult<O extends TtlOperation = TtlOperation> = TtlResults[O['op']]

/** The results of a list of operations, in their order. */
export type TtlResultsOf<L extends readonly TtlOperation[]> = { -readonly [I in keyof L]: TtlResult<L[I]> }

/** Operations that write nothing. */
export function isReading(operation: TtlOperation): operation is Extract<TtlOperation, { op: 'get' | 'has' }> {
  return operation.op === 'get' || operation.op === 'has'
}

/** The time a map keeps, by its name. Errors: TTL_MAP_UNKNOWN. */
export type TtlOfMap = (map: string) => number

/**
 * Looks at everything about an operation that can be wrong before a transaction is begun, and gives its key as stored.
 * Errors: TTL_ARGUMENT, TTL_MAP_UNKNOWN.
 */
export function checkOperation(operation: TtlOperation, ttlOfMap: TtlOfMap): Buffer {
  const ttlMs = ttlOfMap(operation.map)
  const within = (ms: unknown, what: string, leastMs: number): void =>
    demand(isWhole(ms, leastMs) && (ms as number) <= ttlMs, `${what} of ${String(ms)} ms in a map of ${ttlMs} ms`)
  switch (operation.op) {
    case 'set':
      checkValue(operation.value)
      if (operation.ttlMs !== undefined) within(operation.ttlMs, 'a time to live', 1)
      break
    case 'firstSeen':
      checkValue(operation.value)
      break
    case 'increment':
      demand(Number.isFinite(operation.by), `an increment by ${operation.by}`)
      break
    case 'rate': {
      const { windowMs, steps = defaultSteps, by = 1 } = operation.rate
      within(windowMs, 'a window', 1)
      demand(isWhole(steps, 1) && steps <= countingLimits.steps, `a window of ${steps} steps`)
      demand(windowMs >= steps, `a window of ${windowMs} ms in ${steps} steps`)
      demand(Number.isFinite(by) && by >= 0, `a rate by ${by}`)
      break
    }
    case 'pace': {
      const { windowMs, throttleMs, leastGapMs, atMost, atMs } = operation.pace
      within(windowMs, 'a window', 1)
      within(throttleMs, 'a throttle', 0)
      demand(leastGapMs === null || leastGapMs >= 0, `a gap of ${leastGapMs ?? 0} ms`)
      demand(atMost === null || (atMost >= 0 && atMost < countingLimits.events), `at most ${atMost ?? 0} events`)
      demand(atMs === undefined || isWhole(atMs, 0), `an event at ${String(atMs)}`)
      break
    }
    case 'update': {
      const { absent, present, aged } = operation.update
      for (const change of [absent, present, aged?.change]) {
        if (typeof change !== 'object') continue
        if ('value' in change) checkValue(change.value)
        else demand(Number.isFinite(change.add), `an addition of ${change.add}`)
        if (change.ttlMs !== undefined) within(change.ttlMs, 'a time to live', 1)
      }
      demand(aged === undefined || aged.ms >= 0, `an age of ${aged?.ms ?? 0} ms`)
      break
    }
    case 'admit':
      ttlOfMap(operation.known)
      demand(operation.known !== operation.map, 'one map for those who wait and those who are known')
      within(operation.waitMs, 'a wait', 0)
      break
    case 'get':
    case 'has':
    case 'delete':
      break
    default:
      operation satisfies never
  }
  return encodeKey(operation.key)
}

/** Parts of a window where the caller names no number. */
export const defaultSteps = 60

/** Errors: TTL_ARGUMENT for a name or a time that no map can have. */
export function checkMap(name: string, ttlMs: number): void {
  const isNamed = name.length > 0 && Buffer.byteLength(name) <= ttlLimits.nameOctets && name.isWellFormed()
  demand(isNamed, `"${name.slice(0, 80)}" as the name of a map`)
  demand(isWhole(ttlMs, 1) && ttlMs <= ttlLimits.ttlMs, `a map of ${ttlMs} ms`)
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) < 2 ** 48
}
