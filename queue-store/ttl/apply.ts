/** Operations carried out on tables, within one transaction. Pure but for the store. */
import { countRate, keepPace } from './counting.ts'
import {
  defaultSteps,
  type TtlAdmitted,
  type TtlChange,
  type TtlEntry,
  type TtlOperation,
  type TtlPace,
  type TtlRate,
  type TtlResult,
} from './operation.ts'
import type { TtlKind, TtlRecord, TtlValue } from './record.ts'
import type { TtlTable } from './table.ts'
import { TtlError } from './ttl-error.ts'

/**
 * Carries out one operation on `table`, the map it names; `known` is the other map of `admit`.
 * Errors: TTL_KIND, TTL_RECORD_BROKEN; the transaction is then to be undone.
 */
export function applyOperation(
  operation: TtlOperation,
  stored: Buffer,
  table: TtlTable,
  known: TtlTable | null,
): TtlResult {
  const { nowMs, ttlMs } = table
  switch (operation.op) {
    case 'get':
      return entryOf(table.find(stored))
    case 'has':
      return table.find(stored) !== null
    case 'delete':
      return table.remove(stored)
    case 'set': {
      const before = table.find(stored)
      put(table, stored, before, operation.value, operation.ttlMs)
      return entryOf(before)
    }
    case 'firstSeen': {
      const found = table.find(stored)
      if (found !== null) return { ...showEntry(found), isNew: false }
      put(table, stored, null, operation.value)
      const expiresMs = nowMs + ttlMs
      return { value: operation.value, sinceMs: nowMs, writtenMs: nowMs, expiresMs, isNew: true }
    }
    case 'increment': {
      const before = table.find(stored)
      const value = sum(before, operation.by)
      put(table, stored, before, value)
      return value
    }
    case 'rate':
      return rate(table, stored, operation.rate)
    case 'pace':
      return pace(table, stored, operation.pace)
    case 'update': {
      const before = table.find(stored)
      const { absent = 'keep', present = 'keep', aged } = operation.update
      const isAged = before !== null && aged !== undefined && nowMs - before.sinceMs >= aged.ms
      change(table, stored, before, isAged ? aged.change : before === null ? absent : present)
      return { before: entryOf(before), after: entryOf(table.find(stored)) }
    }
    case 'admit':
      if (known === null) throw new TypeError('admit needs the map of those who are known')
      return admit(table, known, stored, operation.waitMs)
    default:
      return operation satisfies never
  }
}

/** The entry as told. The octets of counters are nobody's business. */
export function showEntry({ kind, value, sinceMs, writtenMs, expiresMs }: TtlRecord): TtlEntry {
  return { value: kind === 'plain' ? value : null, sinceMs, writtenMs, expiresMs }
}

/** The entry as told, where there is one. */
export function entryOf(record: TtlRecord | null): TtlEntry | null {
  return record === null ? null : showEntry(record)
}

function put(table: TtlTable, stored: Buffer, before: TtlRecord | null, value: TtlValue, lifeMs = table.ttlMs): void {
  table.write(stored, { kind: 'plain', value, sinceMs: before?.sinceMs ?? table.nowMs, lifeMs })
}

function change(table: TtlTable, stored: Buffer, before: TtlRecord | null, asked: TtlChange): void {
  if (asked === 'keep') return
  if (asked === 'delete') {
    table.remove(stored)
  } else if (asked === 'refresh') {
    const { kind, value } = before ?? { kind: 'plain', value: null }
    table.write(stored, { kind, value, sinceMs: before?.sinceMs ?? table.nowMs, lifeMs: table.ttlMs })
  } else {
    put(table, stored, before, 'value' in asked ? asked.value : sum(before, asked.add), asked.ttlMs)
  }
}

function sum(before: TtlRecord | null, by: number): number {
  const value = before === null ? 0 : before.value
  if (typeof value !== 'number') throw new TtlError('TTL_KIND', 'the key holds no number')
  const total = value + by
  if (!Number.isFinite(total)) throw new TtlError('TTL_KIND', 'the sum is no number that can be kept')
  return total
}

/** The octets of a counter of that kind; `null` where there is none yet. */
function octetsOf(record: TtlRecord | null, kind: TtlKind): Uint8Array | null {
  if (record === null) return null
  if (record.kind !== kind || !(record.value instanceof Uint8Array)) {
    throw new TtlError('TTL_KIND', `the key holds a ${record.kind}, not a ${kind}`)
  }
  return record.value
}

function rate(table: TtlTable, stored: Buffer, asked: TtlRate): number {
  const { windowMs, steps = defaultSteps, by = 1, once = null } = asked
  const before = table.find(stored)
  const stepMs = Math.ceil(windowMs / steps)
  const { octets, total } = countRate(octetsOf(before, 'rate'), table.nowMs, { stepMs, steps, by, once })
  const sinceMs = before?.sinceMs ?? table.nowMs
  table.write(stored, { kind: 'rate', value: octets, sinceMs, lifeMs: stepMs * steps })
  return total
}

function pace(table: TtlTable, stored: Buffer, asked: TtlPace): TtlResult {
  const before = table.find(stored)
  const { octets, result } = keepPace(octetsOf(before, 'pace'), asked.atMs ?? table.nowMs, {
    ...asked,
    once: asked.once ?? null,
  })
  const sinceMs = before?.sinceMs ?? table.nowMs
  table.write(stored, { kind: 'pace', value: octets, sinceMs, lifeMs: Math.max(asked.windowMs, asked.throttleMs) })
  return result
}

/** Greylisting of one key: who waited long enough moves from the one map to the other. */
function admit(waiting: TtlTable, known: TtlTable, stored: Buffer, waitMs: number): TtlAdmitted {
  const first = waiting.find(stored)
  if (first !== null) {
    const leftMs = waitMs - (waiting.nowMs - first.sinceMs)
    if (leftMs > 0) return { state: 'waiting', leftMs }
    put(known, stored, known.find(stored), null)
    waiting.remove(stored)
    return { state: 'passed', leftMs: 0 }
  }
  const earlier = known.find(stored)
  if (earlier !== null) {
    put(known, stored, earlier, earlier.value)
    return { state: 'known', leftMs: 0 }
  }
  put(waiting, stored, null, null)
  return { state: 'new', leftMs: waitMs }
}
