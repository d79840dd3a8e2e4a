/** Many keys at once: listed in pages, taken in in slices; no transaction is longer than one of these. */
import {
  encodeKey,
  indexRange,
  keyOfRecordKey,
  keyOfShown,
  readIndexKey,
  recordKey,
  recordRange,
  showKey,
  ttlLimits,
  type KeyForm,
} from './layout.ts'
import type { TtlPort, TtlReading } from './port.ts'
import { checkValue, decodeRecord, settleRecord, type TtlKind, type TtlRecord, type TtlValue } from './record.ts'
import { openTable, readMapRow } from './table.ts'
import { demand } from './ttl-error.ts'

/** A key as listed and exported: data that JSON can carry. */
export interface TtlListed {
  /** The text; for `octets` and `digest` hexadecimal. A `digest` stands for a key that was too long to be kept. */
  readonly key: string
  readonly form: KeyForm
  readonly kind: TtlKind
  readonly value: null | number | string | { readonly octets: string }
  readonly sinceMs: number
  readonly writtenMs: number
  readonly expiresMs: number
}

/** Some keys of a map, in the order of the store. */
export interface TtlPage {
  /** May be fewer than asked for, even none: keys past their time are left out. */
  readonly entries: readonly TtlListed[]
  /** Where the next page begins; `null` after the last. */
  readonly next: string | null
}

/** What a map holds. */
export interface TtlStats {
  readonly name: string
  readonly ttlMs: number
  /** Keys, those that are past their time but not swept yet included. */
  readonly entries: number
  /** When the sweep has to look at this map next; in the past where it lags behind. */
  readonly sweepDueMs: number | null
}

/** What became of what was imported. */
export interface TtlImportReport {
  readonly imported: number
  /** Past their time already. */
  readonly expired: number
  /** The map had something newer for that key. */
  readonly older: number
  /** No key, time or value that can be kept. */
  readonly malformed: number
}

/**
 * Something to take in: a key with the second it was last written at, as courier-pythonfilter kept them, or what was
 * exported from a TTL map.
 */
export type TtlImportable = readonly [key: string, seconds: number] | TtlListed

/** Keys of one import transaction. */
const sliceKeys = 400

/** What a record leaves for a counter, which may be larger than a value. */
const counterOctets = ttlLimits.recordOctets - 25

/** What one look at a map needs to know. */
export interface MapView {
  readonly name: string
  readonly ttlMs: number
}

/** One page of a map. Errors: TTL_ARGUMENT for a place that no page gave. */
export function readPage(
  reading: TtlReading,
  map: MapView,
  after: string | null,
  limit: number,
  nowMs: number,
): TtlPage {
  demand(Number.isSafeInteger(limit) && limit >= 1 && limit <= 1000, `a page of ${limit}`)
  const last = after === null ? null : Buffer.from(after, 'base64url')
  demand(last === null || (last.length > 1 && last.length <= 160), 'a place that no page gave')
  const row = readMapRow(reading, map.name)
  if (row === null) return { entries: [], next: null }
  const [first, end] = recordRange(row.id)
  // The key that follows the last one in the order of octets is the last one with a zero behind it.
  const from = last === null ? first : Buffer.concat([recordKey(row.id, last), Buffer.of(0)])
  const pairs = reading.range(from, end, limit)
  const entries: TtlListed[] = []
  for (const { key, value } of pairs) {
    const record = settleRecord(decodeRecord(value), nowMs, map.ttlMs)
    if (record !== null) entries.push({ ...showKey(keyOfRecordKey(key)), ...listed(record) })
  }
  const tail = pairs.length < limit ? undefined : pairs.at(-1)
  return { entries, next: tail === undefined ? null : keyOfRecordKey(tail.key).toString('base64url') }
}

/** The figures of a map, from its row and the first place of its index: as quick for millions as for one. */
export function readStats(reading: TtlReading, map: MapView): TtlStats {
  const row = readMapRow(reading, map.name)
  const [due] = row === null ? [] : reading.range(...indexRange(row.id, 0, null), 1)
  const sweepDueMs = due === undefined ? null : readIndexKey(due.key).timeMs
  return { name: map.name, ttlMs: map.ttlMs, entries: row?.entries ?? 0, sweepDueMs }
}

/**
 * Takes entries in, slice by slice: what was taken in before an error stays, and doing it again does no harm.
 * Times that lie ahead count as now. A key that the map has written since keeps what it has.
 */
export async function importEntries(
  port: TtlPort,
  map: MapView,
  entries: Iterable<TtlImportable> | AsyncIterable<TtlImportable>,
  now: () => number,
): Promise<TtlImportReport> {
  const report = { imported: 0, expired: 0, older: 0, malformed: 0 }
  let slice: Incoming[] = []
  const flush = async (): Promise<void> => {
    const done = await port.write((writing) => {
      const nowMs = now()
      const table = openTable(writing, map.name, map.ttlMs, nowMs)
      const counts = { imported: 0, expired: 0, older: 0 }
      for (const { stored, record } of slice) {
        const settled = settleRecord(record, nowMs, map.ttlMs)
        const present = settled === null ? null : table.find(stored)
        if (settled === null) counts.expired++
        else if (present !== null && present.writtenMs > settled.writtenMs) counts.older++
        else {
          table.restore(stored, settled)
          counts.imported++
        }
      }
      table.finish()
      return counts
    })
    report.imported += done.imported
    report.expired += done.expired
    report.older += done.older
    slice = []
  }
  for await (const entry of entries) {
    const incoming = read(entry, map.ttlMs)
    if (incoming === null) report.malformed++
    else slice.push(incoming)
    if (slice.length >= sliceKeys) await flush()
  }
  if (slice.length > 0) await flush()
  return report
}

/** Removes all keys of a map, slice by slice; how many records there were. */
export async function clearMap(port: TtlPort, map: MapView, now: () => number): Promise<number> {
  let removed = 0
  for (;;) {
    const step = await port.write((writing) => {
      const row = readMapRow(writing, map.name)
      if (row === null) return 0
      const table = openTable(writing, map.name, map.ttlMs, now())
      const pairs = writing.range(...recordRange(row.id), sliceKeys)
      for (const { key } of pairs) table.remove(keyOfRecordKey(key))
      table.finish()
      return pairs.length
    })
    removed += step
    if (step < sliceKeys) return removed
  }
}

interface Incoming {
  readonly stored: Buffer
  readonly record: TtlRecord
}

function listed({ kind, value, sinceMs, writtenMs, expiresMs }: TtlRecord): Omit<TtlListed, 'key' | 'form'> {
  const shown = value instanceof Uint8Array ? { octets: Buffer.from(value).toString('hex') } : value
  return { kind, value: shown, sinceMs, writtenMs, expiresMs }
}

/** `null` for what cannot be kept: one bad line of millions must not end the import. */
function read(entry: TtlImportable, ttlMs: number): Incoming | null {
  try {
    if (isPair(entry)) {
      const timeMs = whole(Math.floor(entry[1] * 1000))
      const times = { sinceMs: timeMs, writtenMs: timeMs, expiresMs: timeMs + ttlMs, indexedMs: 0 }
      // The time is all that such an entry says, and the record has it.
      return { stored: encodeKey(entry[0]), record: { kind: 'plain', value: null, ...times } }
    }
    const { kind, sinceMs, writtenMs, expiresMs } = entry
    const times = { sinceMs: whole(sinceMs), writtenMs: whole(writtenMs), expiresMs: whole(expiresMs), indexedMs: 0 }
    const value = valueOf(entry.value)
    demand(expiresMs >= writtenMs && (kind === 'plain') !== (kind === 'rate' || kind === 'pace'), 'an entry')
    demand(kind === 'plain' || value instanceof Uint8Array, 'a counter')
    return { stored: keyOfShown(entry), record: { kind, value, ...times } }
  } catch {
    return null
  }
}

function isPair(entry: TtlImportable): entry is readonly [string, number] {
  return Array.isArray(entry)
}

function whole(timeMs: number): number {
  demand(Number.isSafeInteger(timeMs) && timeMs >= 0 && timeMs < 2 ** 47, `the time ${timeMs}`)
  return timeMs
}

function valueOf(shown: TtlListed['value']): TtlValue {
  const value = shown !== null && typeof shown === 'object' ? Uint8Array.from(Buffer.from(shown.octets, 'hex')) : shown
  if (!(value instanceof Uint8Array && value.length <= counterOctets)) checkValue(value)
  return value
}
