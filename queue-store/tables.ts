/**
 * The depot's tables, and the records in them.
 *
 * | table | key | value |
 * |---|---|---|
 * | head | `head` | next id, next queue, octets in all; the clock |
 * | names | name of a queue | its number |
 * | queues | queue | name, settings, numbers of messages |
 * | entries | queue, id | state, lease, deliveries: small, written again at every step |
 * | messages | queue, id | length of the notes, envelope and facts (the notes), the content unless it has a file |
 * | line | queue, position | id: all that are live, in order |
 * | ready | queue, position | id: what may be taken now |
 * | later | queue, due, id | delayed and leased ones |
 * | chains | queue, digest of the key, position | id: live ones of a key |
 * | aside | queue, kind, id | buried (0) and dead (1) ones |
 * | keys, keysByTime | queue, digest; time, queue, digest | idempotency keys and when they may be forgotten |
 * | files | name | queue, id: large contents |
 *
 * A position is an id or, after a requeue, a number from the same sequence: no number is used twice.
 */
import type { Environment, ReadView, Table, WriteView } from './environment.ts'
import type { EntryState, Envelope, Json, QueueCounts, QueueSettings } from './depot-types.ts'
import { inQueue, queueKey } from './keys.ts'

const names = [
  'head',
  'names',
  'queues',
  'entries',
  'messages',
  'line',
  'ready',
  'later',
  'chains',
  'aside',
  'keys',
  'keysByTime',
  'files',
] as const

/** The tables. */
export type Tables = Readonly<Record<(typeof names)[number], Table>>

/** Opens them, made where missing. */
export function openTables(environment: Environment): Tables {
  return Object.fromEntries(names.map((name) => [name, environment.table(`queue-${name}`)])) as Tables
}

/** The format of all this: a depot with another one is refused. */
export const format = 1

/** What the depot as a whole remembers. */
export interface HeadRecord {
  readonly format: number
  nextId: number
  nextQueue: number
  octets: number
  /** The clock: which boot of the machine it belongs to, its distance from that boot's, and the last time seen. */
  boot: string | null
  offsetMs: number
  lastMs: number
}

/** A queue. */
export interface QueueRecord extends QueueSettings, Record<EntryState, number> {
  name: string
  octets: number
  /** Deliveries ever: the next token. */
  tokens: number
}

/** An entry's part that changes. */
export interface EntryRecord {
  state: EntryState
  position: number
  /** Digest of its ordering key, in hexadecimal digits. */
  readonly chain: string | null
  /** Digest of its idempotency key. */
  readonly idempotency: string | null
  readonly file: string | null
  readonly octets: number
  readonly digest: string
  readonly addedMs: number
  deliveries: number
  dueMs: number | null
  token: number
  reason: string | null
}

/** An entry's part that stays. */
export interface EntryNotes {
  readonly key: string | null
  readonly envelope: Envelope | null
  readonly facts: { readonly [name: string]: Json }
}

/** A record from its table, of the type that the table holds. */
export function record(value: Buffer | null): unknown {
  return value === null ? null : JSON.parse(value.toString())
}

/** A record for its table. */
export function recorded(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

const headKey = Buffer.from('head')

/** The head; `null` in a new depot. */
export function readHead(view: ReadView, tables: Tables): HeadRecord | null {
  return shared(view, tables.head, headKey) as HeadRecord | null
}

/** Reads the head, changes it, writes it; gives what `change` gives. */
export function changeHead<T>(view: WriteView, tables: Tables, change: (head: HeadRecord) => T): T {
  const head = readHead(view, tables) ?? {
    format,
    nextId: 1,
    nextQueue: 1,
    octets: 0,
    boot: null,
    offsetMs: 0,
    lastMs: 0,
  }
  const result = change(head)
  view.keep(tables.head, headKey, head, recorded)
  return result
}

/** A queue's record; `null` where it was removed. */
export function readQueue(view: ReadView, tables: Tables, queue: number): QueueRecord | null {
  return shared(view, tables.queues, queueKey(queue)) as QueueRecord | null
}

/** Writes it. */
export function writeQueue(view: WriteView, tables: Tables, queue: number, changed: QueueRecord): void {
  view.keep(tables.queues, queueKey(queue), { ...changed }, recorded)
}

/** A record of its reader's own: one that throws has changed nothing for those after it. */
function shared(view: ReadView, table: Table, key: Uint8Array): object | null {
  const kept = view.kept(table, key)
  return kept === undefined ? (record(view.get(table, key)) as object | null) : { ...kept }
}

/** An entry's record. */
export function readEntry(view: ReadView, tables: Tables, queue: number, id: number): EntryRecord | null {
  return record(view.get(tables.entries, inQueue(queue, id))) as EntryRecord | null
}

/** Writes it. */
export function writeEntry(view: WriteView, tables: Tables, queue: number, id: number, changed: EntryRecord): void {
  view.put(tables.entries, inQueue(queue, id), recorded(changed))
}

/** Notes and content of an entry, as one value. */
export function joinMessage(notes: EntryNotes, content: Uint8Array | null): Buffer {
  const text = recorded(notes)
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat(content === null ? [length, text] : [length, text, content])
}

/** The two again. */
export function splitMessage(value: Buffer): { readonly notes: EntryNotes; readonly content: Buffer } {
  const end = 4 + value.readUInt32BE(0)
  return { notes: JSON.parse(value.toString('utf8', 4, end)) as EntryNotes, content: value.subarray(end) }
}

/** What is told of a queue's numbers. */
export function countsOf(queue: QueueRecord, oldestMs: number | null): QueueCounts {
  const { ready, held, delayed, leased, buried, dead, octets } = queue
  return { ready, held, delayed, leased, buried, dead, octets, oldestMs }
}
