/** One map within one transaction: records, their places in the time index, and the count, kept together. Pure but for its store. */
import {
  decodeMapRow,
  encodeMapRow,
  indexKey,
  indexRange,
  latestMs,
  mapRowKey,
  nextIdKey,
  readIndexKey,
  recordKey,
  viewOf,
  type MapRow,
} from './layout.ts'
import type { TtlReading, TtlWriting } from './port.ts'
import { decodeRecord, encodeRecord, settleRecord, type TtlKind, type TtlRecord, type TtlValue } from './record.ts'

/** What the operations write. */
export interface NewRecord {
  readonly kind: TtlKind
  readonly value: TtlValue
  readonly sinceMs: number
  /** How long it is kept from now on, when less than the map's time. */
  readonly lifeMs: number
}

/** A map that can be changed until `finish`. */
export interface TtlTable {
  readonly ttlMs: number
  readonly nowMs: number
  /** The record that counts now. Times that lie ahead, since the clock went back, are set right in the store, too. */
  find(stored: Uint8Array): TtlRecord | null
  write(stored: Uint8Array, record: NewRecord): void
  /** Takes a record over from elsewhere, with its times. */
  restore(stored: Uint8Array, record: Omit<TtlRecord, 'indexedMs'>): void
  /** Whether there was one that counted. */
  remove(stored: Uint8Array): boolean
  /** Removes or moves what is due: `sweepTable`. */
  sweep(limit: number, repairs: boolean): TtlSwept
  /** Writes what changed in the map's row. To be called once, as the last thing. */
  finish(): void
}

/** What a sweep did; `hasMore`: it stopped at its limit. */
export interface TtlSwept {
  readonly removed: number
  /** Places in the index that were moved: their keys were written again meanwhile. */
  readonly moved: number
  /** Records that cannot be read. They are kept for the map's time once more, then removed. */
  readonly unreadable: number
  readonly hasMore: boolean
}

/** What lies at a place of the index. */
const marks = { record: Uint8Array.of(1), unreadable: Uint8Array.of(2) } as const

/** The row of a map; `null` where nothing was ever written to it. */
export function readMapRow(reading: TtlReading, name: string): MapRow | null {
  const stored = reading.get(mapRowKey(name))
  return stored === null ? null : decodeMapRow(stored)
}

/** The record that counts at `nowMs`, looked up without writing. */
export function lookUp(
  reading: TtlReading,
  name: string,
  stored: Uint8Array,
  nowMs: number,
  ttlMs: number,
): TtlRecord | null {
  const row = readMapRow(reading, name)
  const octets = row === null ? null : reading.get(recordKey(row.id, stored))
  return octets === null ? null : settleRecord(decodeRecord(octets), nowMs, ttlMs)
}

/** The map of that name, made where it is missing. `ttlMs` is remembered for the sweep. */
export function openTable(writing: TtlWriting, name: string, ttlMs: number, nowMs: number): TtlTable {
  const known = readMapRow(writing, name)
  const row = known ?? newRow(writing, ttlMs)
  let isChanged = known === null || row.ttlMs !== ttlMs
  row.ttlMs = ttlMs

  const read = (stored: Uint8Array): TtlRecord | null => {
    const octets = writing.get(recordKey(row.id, stored))
    return octets === null ? null : decodeRecord(octets)
  }
  const place = (stored: Uint8Array, indexedMs: number): void =>
    writing.put(indexKey(row.id, indexedMs, stored), marks.record)
  const displace = (stored: Uint8Array, indexedMs: number): void => writing.remove(indexKey(row.id, indexedMs, stored))
  const drop = (stored: Uint8Array, indexedMs: number): void => {
    displace(stored, indexedMs)
    writing.remove(recordKey(row.id, stored))
    row.entries--
    isChanged = true
  }
  /** Writes a record with its place; `old` is what lies there now. */
  const store = (stored: Uint8Array, record: TtlRecord, old: TtlRecord | null): void => {
    // A place that is still ahead may stay where it is: the sweep moves it when it comes there.
    const isKept = old !== null && old.indexedMs >= nowMs && old.indexedMs <= record.expiresMs
    const indexedMs = isKept ? old.indexedMs : record.expiresMs
    if (old?.indexedMs !== indexedMs) {
      if (old !== null) displace(stored, old.indexedMs)
      place(stored, indexedMs)
    }
    writing.put(recordKey(row.id, stored), encodeRecord({ ...record, indexedMs }))
    if (old !== null) return
    row.entries++
    isChanged = true
  }

  /** Looks at one place of the index whose time has come; what became of it. */
  const sweepPlace = (stored: Uint8Array, timeMs: number, mark: Uint8Array): 'removed' | 'moved' | 'unreadable' => {
    let record: TtlRecord | null
    try {
      record = read(stored)
    } catch {
      // Its time may not be over, or a newer release wrote it: only after the map's time nothing can be lost any more.
      if (mark[0] === marks.unreadable[0]) {
        drop(stored, timeMs)
        return 'removed'
      }
      displace(stored, timeMs)
      writing.put(indexKey(row.id, nowMs + ttlMs, stored), marks.unreadable)
      return 'unreadable'
    }
    if (record?.indexedMs !== timeMs) {
      displace(stored, timeMs)
      if (record !== null) place(stored, record.indexedMs)
      return 'moved'
    }
    const settled = settleRecord(record, nowMs, ttlMs)
    if (settled === null) drop(stored, timeMs)
    else store(stored, settled, record)
    return settled === null ? 'removed' : 'moved'
  }

  return {
    ttlMs,
    nowMs,
    find: (stored) => {
      const record = read(stored)
      const settled = record === null ? null : settleRecord(record, nowMs, ttlMs)
      if (settled !== null && settled !== record) store(stored, settled, record)
      return settled
    },
    write: (stored, { kind, value, sinceMs, lifeMs }) => {
      const expiresMs = Math.min(nowMs + Math.min(lifeMs, ttlMs), latestMs)
      store(stored, { kind, value, sinceMs, writtenMs: nowMs, expiresMs, indexedMs: expiresMs }, read(stored))
    },
    restore: (stored, record) => store(stored, { ...record, indexedMs: record.expiresMs }, read(stored)),
    remove: (stored) => {
      const record = read(stored)
      if (record === null) return false
      drop(stored, record.indexedMs)
      return settleRecord(record, nowMs, ttlMs) !== null
    },
    sweep: (limit, repairs) => {
      const due = writing.range(...indexRange(row.id, 0, nowMs), limit)
      // Places beyond the map's own time were written when the clock was ahead, or the map's time longer.
      const ahead = repairs ? writing.range(...indexRange(row.id, nowMs + ttlMs + 1, null), limit - due.length) : []
      const swept = { removed: 0, moved: 0, unreadable: 0 }
      for (const { key, value } of [...due, ...ahead]) {
        const { timeMs, stored } = readIndexKey(key)
        swept[sweepPlace(stored, timeMs, value)]++
      }
      return { ...swept, hasMore: due.length + ahead.length >= limit }
    },
    finish: () => {
      if (isChanged) writing.put(mapRowKey(name), encodeMapRow(row))
    },
  }
}

function newRow(writing: TtlWriting, ttlMs: number): MapRow {
  const last = writing.get(nextIdKey)
  const id = last === null ? 1 : viewOf(last).readUInt32BE()
  const next = Buffer.allocUnsafe(4)
  next.writeUInt32BE(id + 1)
  writing.put(nextIdKey, next)
  return { id, ttlMs, entries: 0 }
}
