/**
 * One record of a TTL map: its times, and a small value. Pure.
 *
 * Shape: kind(1) sinceMs(6) writtenMs(6) expiresMs(6) indexedMs(6) value. A record of another kind than those below was
 *        written by a newer release.
 */
import { ttlLimits, viewOf } from './layout.ts'
import { demand, TtlError } from './ttl-error.ts'

/** What a key may hold; `null` where the time is all there is to know. */
export type TtlValue = null | number | string | Uint8Array

/** `plain` is a value; `rate` and `pace` are the counters of these operations, their octets are nobody else's. */
export type TtlKind = 'plain' | 'rate' | 'pace'

/** A record. Times are milliseconds since the epoch by the wall clock. */
export interface TtlRecord {
  readonly kind: TtlKind
  readonly value: TtlValue
  /** Since when the key is known without a gap. */
  readonly sinceMs: number
  readonly writtenMs: number
  /** The last millisecond at which it is there. */
  readonly expiresMs: number
  /** Its place in the time index: never later than `expiresMs`. */
  readonly indexedMs: number
}

const marks = { absent: 1, number: 2, text: 3, octets: 4, rate: 5, pace: 6 } as const
const headOctets = 25

/**
 * The record as stored.
 * Errors: TTL_ARGUMENT as `checkValue`.
 */
export function encodeRecord(record: TtlRecord): Buffer {
  const value = valueOctets(record.value)
  const octets = Buffer.allocUnsafe(headOctets + value.length)
  octets[0] = markOf(record)
  octets.writeUIntBE(record.sinceMs, 1, 6)
  octets.writeUIntBE(record.writtenMs, 7, 6)
  octets.writeUIntBE(record.expiresMs, 13, 6)
  octets.writeUIntBE(record.indexedMs, 19, 6)
  octets.set(value, headOctets)
  return octets
}

/** Errors: TTL_RECORD_BROKEN. */
export function decodeRecord(stored: Uint8Array): TtlRecord {
  if (stored.length < headOctets) throw new TtlError('TTL_RECORD_BROKEN', `a record of ${stored.length} octets`)
  const octets = viewOf(stored)
  const { kind, value } = readValue(octets[0] ?? 0, octets.subarray(headOctets))
  return {
    kind,
    value,
    sinceMs: octets.readUIntBE(1, 6),
    writtenMs: octets.readUIntBE(7, 6),
    expiresMs: octets.readUIntBE(13, 6),
    indexedMs: octets.readUIntBE(19, 6),
  }
}

/** Throws TTL_ARGUMENT for a value that is too long or no number that can be kept. */
export function checkValue(value: unknown): asserts value is TtlValue {
  if (value === null) return
  if (typeof value === 'number') return demand(Number.isFinite(value), `the number ${value} as a value`)
  if (value instanceof Uint8Array) return demandLength(value.length)
  demand(typeof value === 'string', `a value of type ${typeof value}`)
  const text = value as string
  // Measured in characters first: a text of megabytes must not be gone through to be refused.
  demandLength(text.length)
  demandLength(Buffer.byteLength(text))
}

function demandLength(length: number): void {
  demand(length <= ttlLimits.valueOctets, `a value of ${length} octets, at most ${ttlLimits.valueOctets} are kept`)
}

function markOf({ kind, value }: TtlRecord): number {
  if (kind !== 'plain') return marks[kind]
  if (value === null) return marks.absent
  return typeof value === 'number' ? marks.number : typeof value === 'string' ? marks.text : marks.octets
}

function valueOctets(value: TtlValue): Uint8Array {
  if (value === null) return Buffer.alloc(0)
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  if (typeof value !== 'number') return value
  const octets = Buffer.allocUnsafe(8)
  octets.writeDoubleBE(value)
  return octets
}

function readValue(mark: number, octets: Buffer): { kind: TtlKind; value: TtlValue } {
  switch (mark) {
    case marks.absent:
      return { kind: 'plain', value: null }
    case marks.number:
      if (octets.length !== 8) throw new TtlError('TTL_RECORD_BROKEN', 'a number that is none')
      return { kind: 'plain', value: octets.readDoubleBE() }
    case marks.text:
      return { kind: 'plain', value: octets.toString('utf8') }
    case marks.octets:
      return { kind: 'plain', value: Uint8Array.from(octets) }
    case marks.rate:
      return { kind: 'rate', value: Uint8Array.from(octets) }
    case marks.pace:
      return { kind: 'pace', value: Uint8Array.from(octets) }
    default:
      throw new TtlError('TTL_RECORD_BROKEN', `a record of kind ${mark}`)
  }
}

/**
 * The record as it counts at `nowMs` in a map that keeps for `ttlMs`: `null` when its time is over.
 *
 * A key is there while its age is at most `ttlMs`, the last millisecond included. Where the clock went back, times that
 * lie ahead count as now, so that nothing stays for ever; where the map's time was made shorter, it counts at once.
 */
export function settleRecord(record: TtlRecord, nowMs: number, ttlMs: number): TtlRecord | null {
  const { sinceMs, writtenMs, expiresMs } = record
  if (nowMs > expiresMs || nowMs > writtenMs + ttlMs) return null
  if (writtenMs <= nowMs && sinceMs <= nowMs && expiresMs <= writtenMs + ttlMs) return record
  const settledMs = Math.min(writtenMs, nowMs)
  return {
    ...record,
    sinceMs: Math.min(sinceMs, nowMs),
    writtenMs: settledMs,
    // What had left to live at its writing it may live from now on.
    expiresMs: Math.min(settledMs + Math.min(expiresMs - writtenMs, ttlMs), expiresMs),
  }
}
