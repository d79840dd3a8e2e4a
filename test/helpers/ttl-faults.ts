/** Whether what lies in a store of TTL maps fits together. */
import { ttlLimits, type TtlPair } from '../../queue-store/ttl/index.ts'
import { decodeMapRow, keyOfRecordKey, readIndexKey } from '../../queue-store/ttl/layout.ts'
import { decodeRecord } from '../../queue-store/ttl/record.ts'

/** What is wrong: every record has one place in the index, not after its expiry, and rows count the records. */
export function faultsOf(pairs: readonly TtlPair[]): string[] {
  const faults: string[] = []
  const places = new Map<string, number>()
  const entries = new Map<number, number>()
  const idOf = (key: Uint8Array): number => Buffer.from(key).readUInt32BE(1)
  for (const { key } of pairs.filter(({ key }) => key[0] === 3)) {
    const { timeMs, stored } = readIndexKey(key)
    const name = `${idOf(key)} ${stored.toString('hex')}`
    if (places.has(name)) faults.push(`${name} has two places`)
    places.set(name, timeMs)
  }
  for (const { key, value } of pairs.filter(({ key }) => key[0] === 2)) {
    const name = `${idOf(key)} ${keyOfRecordKey(key).toString('hex')}`
    const { indexedMs, expiresMs } = decodeRecord(value)
    if (places.get(name) !== indexedMs) faults.push(`${name} is not where it says`)
    if (indexedMs > expiresMs) faults.push(`${name} is looked for too late`)
    if (value.length > ttlLimits.recordOctets) faults.push(`${name} has ${value.length} octets`)
    places.delete(name)
    entries.set(idOf(key), (entries.get(idOf(key)) ?? 0) + 1)
  }
  for (const name of places.keys()) faults.push(`${name} has a place and no record`)
  for (const { value } of pairs.filter(({ key }) => key[0] === 1)) {
    const row = decodeMapRow(value)
    if (row.entries !== (entries.get(row.id) ?? 0)) faults.push(`map ${row.id} counts ${row.entries}`)
  }
  return faults
}
