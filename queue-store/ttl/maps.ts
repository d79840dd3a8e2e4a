/**
 * TTL maps: what filters remember about mail, durable, and forgotten in time.
 *
 * - Each operation is one transaction and is on disk when its promise resolves. None waits for another, no lock is held
 *   between two of them: what belongs together is one operation, or one list of operations (`apply`).
 * - A key is there while its age is at most the map's time, the last millisecond included, whether swept or not.
 * - Long keys are kept as digests, values have at most `ttlLimits.valueOctets`: the cost of an operation does not grow
 *   with the number of keys but by the depth of a tree.
 *
 * Which filter needs what (map: operations):
 *
 *     greylist          greylist_NotPassed, greylist_Passed: `admit`, a list of one for each recipient
 *     comeagain         correspondents: `set`, whose result says whether the pair was there
 *     auto_whitelist    auto_whitelist: `set` for each recipient of our users' mail; `has` for each of incoming mail, or
 *                       `update` with `present: 'refresh'` where use prolongs
 *     dialback          goodsenders: `update` with `present: 'refresh'`, `set`; badsenders: `get`, `firstSeen`, which keeps
 *                       the first time; a short negative cache: `set` with `ttlMs`
 *     ratelimit, ratelimitauth   `rate` by client, network or user; `by` for recipients and octets
 *     duplicates        `firstSeen` on queue, Message-Id and recipient, which a duplicate does not prolong
 *     loops, throttles  `pace` on queue, address and loop headers: decision and record in one; a throttle that is set by
 *                       hand: `set` with `ttlMs`, and `has`
 *     counters          `increment`
 *
 * Source: spec pythonfilter 2.3, 2.5, 2.8, 2.9, 2.17, 2.18, 3.1; spec postoffice 7, 9; RFC 6647 (greylisting).
 */
import { applyOperation, entryOf } from './apply.ts'
import { machineClock, type TtlClock } from './clock.ts'
import { decodeMapRow, indexRange, mapRowRange, nameOfRowKey } from './layout.ts'
import { mapHandle, type TtlMap } from './map.ts'
import {
  checkMap,
  checkOperation,
  isReading,
  type TtlOperation,
  type TtlResult,
  type TtlResultsOf,
} from './operation.ts'
import { readStats, type TtlStats } from './paging.ts'
import type { TtlPort, TtlReading, TtlWriting } from './port.ts'
import { startSweeper, sweepDefaults, type SweepOptions, type SweepReports } from './sweeper.ts'
import { lookUp, openTable, type TtlSwept, type TtlTable } from './table.ts'
import { demand, TtlError } from './ttl-error.ts'

/** Settings of the maps of one store. */
export interface TtlMapsOptions extends SweepReports {
  readonly clock?: TtlClock
  /** How to sweep; `null`: another process does, or `sweep` is called by hand. */
  readonly sweep?: Partial<SweepOptions> | null
}

/** Settings of one map. */
export interface TtlMapOptions {
  /**
   * How long a key is kept after it was written, at most ten years. Made shorter it holds at once for what is stored; made
   * longer for what is written from then on.
   */
  readonly ttlMs: number
}

/** The TTL maps of one store. */
export interface TtlMaps {
  /**
   * A map, made when something is first written to it. Opened again with another time, that time holds.
   * Errors: TTL_ARGUMENT for a name beyond `ttlLimits.nameOctets` octets or a time that is none.
   */
  ttlMap(name: string, options: TtlMapOptions): TtlMap
  /**
   * Carries out a list of operations, at most a thousand, on maps that were opened, in one transaction.
   * Errors: TtlError; then none of them happened. What the store says of its disk: then it is unknown.
   */
  apply<const L extends readonly TtlOperation[]>(operations: L): Promise<TtlResultsOf<L>>
  /**
   * As `apply`, in a transaction that its caller has open, together with what else it writes. Nothing of it is on disk before that one is.
   * Errors: as `apply`, thrown at once; the transaction is then to be undone.
   */
  applyIn<const L extends readonly TtlOperation[]>(writing: TtlWriting, operations: L): TtlResultsOf<L>
  /** All maps of the store, those of other processes included. */
  list(): Promise<TtlStats[]>
  /** Removes at most `limit` keys whose time is over. With `repairs` also sets right what lies further ahead than it can. */
  sweep(limit?: number, repairs?: boolean): Promise<TtlSwept>
  /** Ends the sweep. The store stays open: it belongs to who opened it. */
  close(): Promise<void>
}

interface Checked {
  readonly operation: TtlOperation
  readonly stored: Buffer
}

const mostOperations = 1000
/** Thousands of years on; a map's time added to it is still a time that can be kept. */
const latestWallMs = 2 ** 47
/** Maps of one store that are listed and swept. */
const mostMaps = 10_000

/** The TTL maps of a store. */
export function openTtlMaps(port: TtlPort, options: TtlMapsOptions = {}): TtlMaps {
  const { clock = machineClock } = options
  const times = new Map<string, number>()
  // A clock before 1970 or without a number must not become a key of the index.
  const now = (): number => Math.min(Math.max(Math.floor(clock.wallMs()) || 0, 0), latestWallMs)
  const ttlOfMap = (name: string): number => {
    const ttlMs = times.get(name)
    if (ttlMs === undefined) throw new TtlError('TTL_MAP_UNKNOWN', `the map "${name}" was not opened`)
    return ttlMs
  }

  const check = (operations: readonly TtlOperation[]): Checked[] => {
    demand(operations.length <= mostOperations, `${operations.length} operations in one transaction`)
    return operations.map((operation) => ({ operation, stored: checkOperation(operation, ttlOfMap) }))
  }
  const carryOut = (writing: TtlWriting, checked: readonly Checked[]): TtlResult[] => {
    // Read in the transaction, so that the order of the clock is the order of the store.
    const nowMs = now()
    const tables = new Map<string, TtlTable>()
    const tableOf = (name: string): TtlTable => {
      const table = tables.get(name) ?? openTable(writing, name, ttlOfMap(name), nowMs)
      tables.set(name, table)
      return table
    }
    const results = checked.map(({ operation, stored }) => {
      const known = operation.op === 'admit' ? tableOf(operation.known) : null
      return applyOperation(operation, stored, tableOf(operation.map), known)
    })
    for (const table of tables.values()) table.finish()
    return results
  }
  const apply = async (operations: readonly TtlOperation[]): Promise<TtlResult[]> => {
    const checked = check(operations)
    if (operations.every(isReading)) {
      return port.read((reading) =>
        checked.map(({ operation: { op, map }, stored }) => {
          const record = lookUp(reading, map, stored, now(), ttlOfMap(map))
          return op === 'has' ? record !== null : entryOf(record)
        }),
      )
    }
    return port.write((writing) => carryOut(writing, checked))
  }

  const rows = (reading: TtlReading): { name: string; id: number; ttlMs: number }[] =>
    reading.range(...mapRowRange, mostMaps).map(({ key, value }) => {
      const { id, ttlMs } = decodeMapRow(value)
      const name = nameOfRowKey(key)
      return { name, id, ttlMs: times.get(name) ?? ttlMs }
    })
  const isDue = (reading: TtlReading, id: number, fromMs: number, toMs: number | null): boolean =>
    reading.range(...indexRange(id, fromMs, toMs), 1).length > 0
  let turns = 0

  const sweep = async (limit = sweepDefaults.slice, repairs = false): Promise<TtlSwept> => {
    demand(Number.isSafeInteger(limit) && limit >= 1, `a sweep of ${limit}`)
    // Looked up without writing: where nothing is due, the disk is left alone.
    const due = await port.read((reading) => {
      const nowMs = now()
      return rows(reading).filter(
        ({ id, ttlMs }) => isDue(reading, id, 0, nowMs) || (repairs && isDue(reading, id, nowMs + ttlMs + 1, null)),
      )
    })
    if (due.length === 0) return { removed: 0, moved: 0, unreadable: 0, hasMore: false }
    // Another map first each time: one with millions due does not keep the others waiting.
    const first = turns++ % due.length
    const order = [...due.slice(first), ...due.slice(0, first)]
    return port.write((writing) => {
      const nowMs = now()
      const total = { removed: 0, moved: 0, unreadable: 0, hasMore: false }
      let left = limit
      for (const { name, ttlMs } of order) {
        if (left <= 0) return { ...total, hasMore: true }
        const table = openTable(writing, name, ttlMs, nowMs)
        const swept = table.sweep(left, repairs)
        table.finish()
        left -= swept.removed + swept.moved + swept.unreadable
        total.removed += swept.removed
        total.moved += swept.moved
        total.unreadable += swept.unreadable
        total.hasMore ||= swept.hasMore
      }
      return total
    })
  }

  const sweeper =
    options.sweep === null ? null : startSweeper(sweep, clock, { ...sweepDefaults, ...options.sweep }, options)

  return {
    ttlMap: (name, { ttlMs }) => {
      checkMap(name, ttlMs)
      times.set(name, ttlMs)
      return mapHandle({ name, ttlOfMap, port, apply, now })
    },
    apply: (operations) => apply(operations) as Promise<TtlResultsOf<typeof operations>>,
    applyIn: (writing, operations) => carryOut(writing, check(operations)) as TtlResultsOf<typeof operations>,
    list: () => port.read((reading) => rows(reading).map((row) => readStats(reading, row))),
    sweep,
    close: async () => {
      await sweeper?.stop()
    },
  }
}
