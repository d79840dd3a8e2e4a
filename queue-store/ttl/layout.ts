/**
 * The keys of the TTL maps, as they lie in the store. Pure.
 *
 * Shape: numbers are big-endian, so that the order of octets is the order of numbers; times are milliseconds since the
 *        epoch in 6 octets.
 *
 *     00                         -> id of the next new map, 4 octets
 *     01 name                    -> row of a map: 01 id(4) ttlMs(6) entries(6)
 *     02 id(4) key               -> record (record.ts)
 *     03 id(4) timeMs(6) key     -> 01: the record's place in the time index; 02: the record could not be read when its
 *                                   time came
 *
 * A `key` here is one octet of form and the key's own octets, or their digest where they are many.
 * Each record has exactly one place in the index, at a time not later than its expiry: refreshing a key leaves the place
 * where it is, and the sweep moves it on when it comes there. So a refresh writes one record and not three.
 */
import { createHash } from 'node:crypto'

import { demand, TtlError } from './ttl-error.ts'

/** Bounds of what a map takes. */
export const ttlLimits = {
  /** Longer keys are kept as their SHA-256: they cannot be listed, only asked for. */
  keyOctets: 128,
  /** A key beyond this is a mistake, not a key: it is refused before it is hashed. */
  longestKeyOctets: 65_536,
  valueOctets: 1024,
  /** A record with its times; counters of rates stay below it, too. */
  recordOctets: 1280,
  nameOctets: 100,
  /** Ten years. */
  ttlMs: 315_576_000_000,
} as const

/** The last moment that fits into 6 octets. */
export const latestMs = 2 ** 48 - 1

const forms = { text: 1, octets: 2, digest: 3 } as const

/** How a key is kept: as its text, as its octets, or (where it is long) only as a digest. */
export type KeyForm = keyof typeof forms

/** A key as told to people and exports: `octets` and `digest` in hexadecimal. */
export interface ShownKey {
  readonly form: KeyForm
  readonly key: string
}

/**
 * The key as stored.
 * Errors: TTL_ARGUMENT for more than `ttlLimits.longestKeyOctets`.
 */
export function encodeKey(key: string | Uint8Array): Buffer {
  const isText = typeof key === 'string'
  demand(key.length <= ttlLimits.longestKeyOctets, `a key of ${key.length} octets`)
  if (!isText) {
    return key.length > ttlLimits.keyOctets ? digestOf(forms.octets, key) : tagged(forms.octets, key)
  }
  // UTF-8 makes one character of all halves of surrogate pairs: two such keys must not become one.
  if (!key.isWellFormed()) return digestOf(0, Buffer.from(key, 'utf16le'))
  const octets = Buffer.from(key, 'utf8')
  return octets.length > ttlLimits.keyOctets ? digestOf(forms.text, octets) : tagged(forms.text, octets)
}

/** The stored key in words. Errors: TTL_RECORD_BROKEN for a form of no known release. */
export function showKey(stored: Uint8Array): ShownKey {
  const octets = Buffer.from(stored.buffer, stored.byteOffset + 1, stored.byteLength - 1)
  switch (stored[0] ?? 0) {
    case forms.text:
      return { form: 'text', key: octets.toString('utf8') }
    case forms.octets:
      return { form: 'octets', key: octets.toString('hex') }
    case forms.digest:
      return { form: 'digest', key: octets.toString('hex') }
    default:
      throw new TtlError('TTL_RECORD_BROKEN', `a key of form ${stored[0] ?? 'none'}`)
  }
}

/** The stored key of a shown one. Errors: TTL_ARGUMENT where it is no key of that form. */
export function keyOfShown(shown: ShownKey): Buffer {
  if (shown.form === 'text') return encodeKey(shown.key)
  const octets = Buffer.from(shown.key, 'hex')
  const isHex = octets.length * 2 === shown.key.length
  const fits = shown.form === 'digest' ? octets.length === 32 : octets.length <= ttlLimits.keyOctets
  demand(isHex && fits, `"${shown.key.slice(0, 80)}" is no key of the form ${shown.form}`)
  return tagged(forms[shown.form], octets)
}

function tagged(form: number, octets: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(1 + octets.length)
  stored[0] = form
  stored.set(octets, 1)
  return stored
}

function digestOf(form: number, octets: Uint8Array): Buffer {
  const digest = createHash('sha256').update(Uint8Array.of(form)).update(octets).digest()
  return tagged(forms.digest, digest)
}

/** Where the id of the next map lies. */
export const nextIdKey = Buffer.of(0)

/** Where the row of a map lies. */
export function mapRowKey(name: string): Buffer {
  return tagged(1, Buffer.from(name, 'utf8'))
}

/** The rows of all maps lie from the first of these up to the second. */
export const mapRowRange: readonly [Buffer, Buffer] = [Buffer.of(1), Buffer.of(2)]

/** The name in a map row's key. */
export function nameOfRowKey(key: Uint8Array): string {
  return Buffer.from(key).toString('utf8', 1)
}

/** What is kept about a map. */
export interface MapRow {
  readonly id: number
  ttlMs: number
  /** Records, those that are past their time but not swept yet included. */
  entries: number
}

const rowOctets = 17

/** The row as stored. */
export function encodeMapRow(row: MapRow): Buffer {
  const octets = Buffer.allocUnsafe(rowOctets)
  octets[0] = 1
  octets.writeUInt32BE(row.id, 1)
  octets.writeUIntBE(row.ttlMs, 5, 6)
  octets.writeUIntBE(row.entries, 11, 6)
  return octets
}

/** Errors: TTL_RECORD_BROKEN. */
export function decodeMapRow(stored: Uint8Array): MapRow {
  if (stored[0] !== 1 || stored.length !== rowOctets) throw new TtlError('TTL_RECORD_BROKEN', 'the row of a map')
  const octets = viewOf(stored)
  return { id: octets.readUInt32BE(1), ttlMs: octets.readUIntBE(5, 6), entries: octets.readUIntBE(11, 6) }
}

/** Where the record of a key lies. */
export function recordKey(id: number, stored: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(5 + stored.length)
  key[0] = 2
  key.writeUInt32BE(id, 1)
  key.set(stored, 5)
  return key
}

/** The records of a map: from the first of these up to the second. */
export function recordRange(id: number): [Buffer, Buffer] {
  return [recordKey(id, Buffer.alloc(0)), recordKey(id + 1, Buffer.alloc(0))]
}

/** The stored key in a record's key. */
export function keyOfRecordKey(key: Uint8Array): Buffer {
  return viewOf(key).subarray(5)
}

/** Where the place of a key in the time index lies. */
export function indexKey(id: number, timeMs: number, stored: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(11 + stored.length)
  key[0] = 3
  key.writeUInt32BE(id, 1)
  key.writeUIntBE(timeMs, 5, 6)
  key.set(stored, 11)
  return key
}

/** The places of a map with a time from `fromMs` up to, but without, `toMs`; `null`: all up to the end. */
export function indexRange(id: number, fromMs: number, toMs: number | null): [Buffer, Buffer] {
  const from = indexKey(id, Math.min(fromMs, latestMs), Buffer.alloc(0))
  const to =
    toMs === null ? indexKey(id + 1, 0, Buffer.alloc(0)) : indexKey(id, Math.min(toMs, latestMs), Buffer.alloc(0))
  return [from, to]
}

/** What an index key says. */
export function readIndexKey(key: Uint8Array): { readonly timeMs: number; readonly stored: Buffer } {
  const octets = viewOf(key)
  return { timeMs: octets.readUIntBE(5, 6), stored: octets.subarray(11) }
}

/** The same octets as a Buffer, without a copy. */
export function viewOf(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
}
