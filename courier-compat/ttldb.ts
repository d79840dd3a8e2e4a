/**
 * Tokens with a time, kept for a while: the TtlDb of pythonfilter, on the stores of this program.
 *
 *     const seen = openTtlDb('correspondents', 30 * 86_400, 43_200, setup.stores)
 *     if (await seen.has(key)) ...
 *     await seen.set(key)
 *
 * For filters that come from pythonfilter. A new one is better served by the maps themselves (`context.ttl`), which decide
 * and remember in one step.
 *
 * Source: spec pythonfilter 3.1.
 */
import type { TtlMap, TtlMaps } from '../queue-store/ttl/index.ts'
import type { FilterTtlMaps } from './stores.ts'

/** Where tokens are kept: the stores of a filter (`setup.stores`, `context.stores`), or TTL maps that a program has opened. */
export type TtlDbStores = Pick<FilterTtlMaps, 'ttl'> | Pick<TtlMaps, 'ttlMap' | 'sweep'>

/** Tokens with a time. Units: whole seconds since the epoch, a fraction is cut off. Errors: those of the store. */
export interface TtlDb {
  readonly name: string
  /** Whether a token is there, its time not over. */
  has(key: string): Promise<boolean>
  /** Its time; `null` where it is not there. */
  get(key: string): Promise<number | null>
  /** Keeps it, with the time now or another one. Errors: TypeError for what is no time. */
  set(key: string, seconds?: number): Promise<void>
  /** Whether it was there. */
  delete(key: string): Promise<boolean>
  /**
   * May be called once a message, as filters of pythonfilter do; nothing depends on it. A token whose time is over is not there,
   * removed or not, and the host removes such tokens by itself. With maps of a program's own it removes some of them, at
   * most once in the purge interval.
   */
  purge(): Promise<void>
  /**
   * Does nothing. Each call is one transaction, which needs no lock, and a lock held between two messages to the store would
   * stop all other threads. What belongs together is one operation of the maps: `firstSeen`, `update`, `admit`.
   */
  lock(): Promise<void>
  /** Does nothing: see `lock`. */
  unlock(): Promise<void>
  /** The old name of `has`. */
  has_key(key: string): Promise<boolean>
}

/** Settings besides those of pythonfilter. */
export interface TtlDbOptions {
  /** The time, handed in by tests: milliseconds since the epoch. It should be that of the store. */
  readonly nowMs?: () => number
}

/** So many tokens at most are removed by one `purge`. */
const purgedAtOnce = 400

/**
 * Opens the tokens of this name; nothing is written before the first `set`.
 *
 * A token is there while its time is at most `ttlSeconds` ago, as it is asked for: pythonfilter kept one that was over until it
 * happened to be purged. One with a time that lies ahead goes `ttlSeconds` after it was written.
 * Errors: RangeError for times that are none; those of the store for a name that it does not take.
 */
export function openTtlDb(
  name: string,
  ttlSeconds: number,
  purgeIntervalSeconds: number,
  where: TtlDbStores,
  { nowMs = Date.now }: TtlDbOptions = {},
): TtlDb {
  const ttlMs = Math.round(1000 * ttlSeconds)
  if (!(ttlMs >= 1)) throw new RangeError(`tokens of ${name} cannot be kept for ${ttlSeconds} s`)
  if (!(purgeIntervalSeconds >= 0)) throw new RangeError(`${name} cannot be purged every ${purgeIntervalSeconds} s`)
  const map: Pick<TtlMap, 'get' | 'set' | 'has' | 'delete'> =
    'ttl' in where ? where.ttl(name, { ttlMs }) : where.ttlMap(name, { ttlMs })
  let purgedMs = -Infinity

  return {
    name,
    has: (key) => map.has(key),
    has_key: (key) => map.has(key),
    get: async (key) => {
      const entry = await map.get(key)
      if (entry === null) return null
      // Tokens that were taken over from pythonfilter, and those that greylisting keeps, have no value but their time.
      return typeof entry.value === 'number' ? entry.value : Math.floor(entry.writtenMs / 1000)
    },
    set: async (key, seconds) => {
      const atMs = Math.floor(nowMs())
      const value = Math.trunc(seconds ?? atMs / 1000)
      if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${String(seconds)} is no time of a token`)
      // Its time counts, not when it was written.
      const lifeMs = Math.min(value * 1000 + ttlMs - atMs, ttlMs)
      if (lifeMs < 1) await map.delete(key)
      else await map.set(key, value, { ttlMs: lifeMs })
    },
    delete: (key) => map.delete(key),
    purge: async () => {
      if (!('sweep' in where)) return
      const atMs = nowMs()
      if (atMs <= purgedMs + 1000 * purgeIntervalSeconds) return
      purgedMs = atMs
      await where.sweep(purgedAtOnce)
    },
    lock: () => Promise.resolve(),
    unlock: () => Promise.resolve(),
  }
}
