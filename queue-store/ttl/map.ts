/** One TTL map as its user holds it: a name for each operation. */
import type { PaceResult } from './counting.ts'
import type {
  FirstSeen,
  TtlAdmitted,
  TtlEntry,
  TtlKey,
  TtlOperation,
  TtlPace,
  TtlRate,
  TtlResult,
  TtlUpdate,
  TtlUpdated,
  TtlWriteOptions,
} from './operation.ts'
import { mapMethods } from './map-methods.ts'
import {
  clearMap,
  importEntries,
  readPage,
  readStats,
  type MapView,
  type TtlImportable,
  type TtlImportReport,
  type TtlListed,
  type TtlPage,
  type TtlStats,
} from './paging.ts'
import type { TtlPort } from './port.ts'
import type { TtlValue } from './record.ts'

/**
 * A TTL map. Each method is one transaction, on disk when its promise resolves, but for `export`, `import` and `clear`,
 * which are many short ones.
 *
 * Errors: TTL_ARGUMENT for a key, value or time that cannot be kept; TTL_KIND where the key holds something else; TTL_RECORD_BROKEN;
 *         what the store says of its disk, and then it is unknown whether the operation happened: all may be done again,
 *         `rate` and `pace` with `once`, and only `increment` then counts twice.
 */
export interface TtlMap {
  readonly name: string
  get(key: TtlKey): Promise<TtlEntry | null>
  has(key: TtlKey): Promise<boolean>
  /** Writes a value, and says what was there. Since when the key is known stays, if it was there. */
  set(key: TtlKey, value?: TtlValue, options?: TtlWriteOptions): Promise<TtlEntry | null>
  /** Whether it was there. */
  delete(key: TtlKey): Promise<boolean>
  /** The entry as it is, which is not prolonged; or a new one with `value`, or with nothing but its time. */
  firstSeen(key: TtlKey, value?: TtlValue): Promise<FirstSeen>
  /** Adds to a number, which is 0 at first; gives the sum. Each one prolongs the key: for windows use `rate`. */
  increment(key: TtlKey, by?: number): Promise<number>
  /** Counts into a window that slides by steps; gives how many it holds. */
  rate(key: TtlKey, rate: TtlRate): Promise<number>
  /** Remembers when something happened, and says whether it happens too fast. */
  pace(key: TtlKey, pace: TtlPace): Promise<PaceResult>
  /** A change that depends on what is there. */
  update(key: TtlKey, update: TtlUpdate): Promise<TtlUpdated>
  /**
   * Greylisting: this map holds those who wait, `known` those who waited. A new key begins to wait; who comes back
   * sooner goes on waiting, and its time is not begun anew; who comes back after `waitMs` is moved to `known`, where each
   * visit prolongs.
   */
  admit(key: TtlKey, known: TtlMap, waitMs: number): Promise<TtlAdmitted>
  /** A page of the keys, at most `limit` (100, at most 1000), from where another page says the next begins. */
  entries(after?: string | null, limit?: number): Promise<TtlPage>
  /** All keys, page by page: those that are there all the time are in it once, what changes meanwhile may be. */
  export(): AsyncGenerator<TtlListed, void, undefined>
  /**
   * Takes keys in, with the seconds at which they were written (courier-pythonfilter's databases) or as exported. It can
   * be repeated: what the map has written since is kept.
   */
  import(entries: Iterable<TtlImportable> | AsyncIterable<TtlImportable>): Promise<TtlImportReport>
  /** Removes everything; how many keys there were. */
  clear(): Promise<number>
  stats(): Promise<TtlStats>
}

/** What a handle needs of the maps it belongs to. */
export interface HandleParts {
  readonly name: string
  readonly ttlOfMap: (name: string) => number
  readonly port: TtlPort
  readonly apply: (operations: readonly TtlOperation[]) => Promise<TtlResult[]>
  readonly now: () => number
}

/** The handle of a map that was opened. */
export function mapHandle({ name, ttlOfMap, port, apply, now }: HandleParts): TtlMap {
  // The time may be changed by opening the map again: it is asked for each time.
  const view = (): MapView => ({ name, ttlMs: ttlOfMap(name) })
  const page = (after: string | null, limit: number): Promise<TtlPage> =>
    port.read((reading) => readPage(reading, view(), after, limit, now()))

  return {
    ...mapMethods(name, apply),
    entries: (after = null, limit = 100) => page(after, limit),
    export: async function* () {
      for (let after: string | null = null; ;) {
        const { entries, next }: TtlPage = await page(after, 500)
        yield* entries
        if (next === null) return
        after = next
      }
    },
    import: (entries) => importEntries(port, view(), entries, now),
    clear: () => clearMap(port, view(), now),
    stats: () => port.read((reading) => readStats(reading, view())),
  }
}
