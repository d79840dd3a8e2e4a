/**
 * The book of the queues: each function is one step of a transaction, from one consistent state of the tables to the next.
 *
 * Every step costs the same whatever number of messages wait: it reads and writes a fixed number of keys.
 *
 * Shape: a live entry is in `line`, and in `ready` (state ready) or `later` (delayed, leased), or waits for its chain (held);
 *        an entry that is not live is in `aside`. In `order = key` only the first of a chain is anything but held.
 */
import type { ReadView, WriteView } from './environment.ts'
import { DepotError } from './errors.ts'
import type { Added, EntryState, Settled } from './depot-types.ts'
import { inQueue, inQueueBy, numberIn, numberKey, queueKey, startingWith } from './keys.ts'
import {
  chainOf,
  enterAside,
  enterLater,
  enterLine,
  enterReady,
  isLive,
  kindOf,
  leaveLine,
  leaveState,
  nothing,
  type Books,
  type OpenQueue,
} from './ledger-places.ts'
import { retryDelayMs } from './queue-settings.ts'
import {
  changeHead,
  joinMessage,
  readEntry,
  readHead,
  readQueue,
  recorded,
  record,
  splitMessage,
  writeQueue,
  type EntryNotes,
  type EntryRecord,
  type QueueRecord,
  type Tables,
} from './tables.ts'

/** A message whose content is known and, where large, on disk. */
export interface PreparedEntry {
  readonly notes: EntryNotes
  /** `null` where it is in a file. */
  readonly content: Buffer | null
  readonly file: string | null
  readonly octets: number
  readonly digest: string
  readonly idempotency: string | null
}

/** An entry as it was taken. */
export interface Taken {
  readonly id: number
  readonly entry: EntryRecord
  readonly notes: EntryNotes
  readonly content: Buffer
}

/** What names a lease within its queue. */
export interface Lease {
  readonly id: number
  readonly token: number
}

/** What an idempotency key stands for, and until when at least. */
interface KeyRecord {
  readonly id: number
  readonly untilMs: number
}

/** The last time seen is noted as often as this. */
const noteMs = 60_000
/** So many delayed entries are looked at before each take. */
const promotions = 64
/** So many old idempotency keys are forgotten at one add of so many: twice what comes. */
const forgettings = 32
const addsToForget = 16

/** Adds a message at the end of a queue. Errors: QUEUE_UNKNOWN, DEPOT_FULL. */
export function add(view: WriteView, books: Books, queue: number, entry: PreparedEntry, nowMs: number): Added {
  const { tables } = books
  const at = open(view, books, queue)
  const { owner } = at
  const key = entry.idempotency === null ? null : inQueueBy(queue, Buffer.from(entry.idempotency, 'hex'))
  if (key !== null) {
    const known = record(view.get(tables.keys, key)) as KeyRecord | null
    if (known !== null && (known.untilMs > nowMs || readEntry(view, tables, queue, known.id) !== null)) {
      return { id: String(known.id), isNew: false }
    }
    if (known !== null) view.remove(tables.keysByTime, Buffer.concat([numberKey(known.untilMs), key]))
  }
  const octets = readHead(view, tables)?.octets ?? 0
  if (octets + entry.octets > books.maxOctets) {
    throw new DepotError('DEPOT_FULL', `${octets} octets, ${entry.octets} more would be over ${books.maxOctets}`)
  }
  if (entry.file !== null) books.checkFile(entry.file)
  const id = changeHead(view, tables, (head) => {
    head.octets += entry.octets
    head.lastMs = Math.max(head.lastMs, nowMs)
    return head.nextId++
  })
  if (key !== null) {
    const untilMs = nowMs + owner.rememberSeconds * 1000
    view.put(tables.keys, key, recorded({ id, untilMs }))
    view.put(tables.keysByTime, Buffer.concat([numberKey(untilMs), key]), nothing)
    if (id % addsToForget === 0) forget(view, books, nowMs)
  }
  const added: EntryRecord = {
    state: 'held',
    position: id,
    chain: owner.order === 'key' && entry.notes.key !== null ? chainOf(entry.notes.key) : null,
    idempotency: entry.idempotency,
    file: entry.file,
    octets: entry.octets,
    digest: entry.digest,
    addedMs: nowMs,
    deliveries: 0,
    dueMs: null,
    token: 0,
    reason: null,
  }
  view.put(tables.messages, inQueue(queue, id), joinMessage(entry.notes, entry.content))
  if (entry.file !== null) view.put(tables.files, Buffer.from(entry.file), inQueue(queue, id))
  owner.octets += entry.octets
  owner.held++
  enterLine(at, id, added)
  writeQueue(view, tables, queue, owner)
  return { id: String(id), isNew: true }
}

/** Whether a take may find something: `null`, or how long until something may be due; `Infinity` where nothing will be. */
export function nextDueMs(view: ReadView, { tables }: Books, queue: number, nowMs: number): number | null {
  const owner = readQueue(view, tables, queue)
  if (owner === null) throw new DepotError('QUEUE_UNKNOWN')
  const [due] = view.keys(tables.later, { ...startingWith(queueKey(queue)), limit: 1 })
  const dueMs = due === undefined ? Infinity : numberIn(due, 4)
  if (dueMs <= nowMs || hasReady(view, tables, queue, owner)) return null
  return dueMs - nowMs
}

/** Takes up to `max` entries that may be taken, leased until `untilMs`. */
export function take(
  view: WriteView,
  books: Books,
  queue: number,
  max: number,
  nowMs: number,
  untilMs: number,
): Taken[] {
  const { tables } = books
  const at = open(view, books, queue)
  const { owner } = at
  promote(at, nowMs)
  const taken: Taken[] = []
  // One after the other: the second of a strict queue is not taken while the first is out.
  const most = owner.order === 'strict' ? (hasReady(view, tables, queue, owner) ? 1 : 0) : max
  for (const row of most === 0 ? [] : view.rows(tables.ready, { ...startingWith(queueKey(queue)), limit: most })) {
    const id = numberIn(row.value)
    const entry = readEntry(view, tables, queue, id)
    const message = view.get(tables.messages, inQueue(queue, id))
    if (entry === null || message === null) throw new DepotError('DEPOT_DAMAGED', `entry ${id} of ${owner.name}`)
    leaveState(at, id, entry)
    entry.deliveries++
    entry.token = ++owner.tokens
    enterLater(at, id, entry, 'leased', untilMs)
    taken.push({ id, entry, ...splitMessage(message) })
  }
  writeQueue(view, tables, queue, owner)
  if (taken.length > 0) noteTime(view, tables, nowMs)
  return taken
}

/** Ends a lease with success: the entry is gone. */
export function ack(view: WriteView, books: Books, queue: number, lease: Lease): Settled {
  const at = open(view, books, queue)
  const entry = leased(view, books, queue, lease, [])
  if (typeof entry === 'string') return entry
  erase(at, lease.id, entry)
  return 'done'
}

/** Moves an entry with its content to the end of another queue. Errors: QUEUE_UNKNOWN, as those of `add`. */
export function move(
  view: WriteView,
  books: Books,
  [from, to]: readonly [from: number, to: number],
  lease: Lease,
  facts: EntryNotes['facts'],
  nowMs: number,
): Settled {
  const { tables } = books
  const at = open(view, books, from)
  const { owner } = at
  const { id } = lease
  const entry = leased(view, books, from, lease, [])
  if (typeof entry === 'string') return entry
  const message = view.get(tables.messages, inQueue(from, id))
  if (message === null) throw new DepotError('DEPOT_DAMAGED', `entry ${id} of ${owner.name}`)
  const { notes, content } = splitMessage(message)
  const { file, octets, digest } = entry
  erase(at, id, { ...entry, file: null })
  add(
    view,
    books,
    to,
    {
      notes: { ...notes, facts: { ...notes.facts, ...facts } },
      content: file === null ? content : null,
      file,
      octets,
      digest,
      idempotency: null,
    },
    nowMs,
  )
  return 'done'
}

/** Ends a lease with failure; `delayMs` is the queue's growing delay where it is `null`. */
export function nack(
  view: WriteView,
  books: Books,
  queue: number,
  lease: Lease,
  { delayMs, reason }: { readonly delayMs: number | null; readonly reason: string | null },
  nowMs: number,
): Settled {
  const at = open(view, books, queue)
  const { owner } = at
  const entry = leased(view, books, queue, lease, ['ready', 'held', 'delayed', 'dead'])
  if (typeof entry === 'string') return entry
  entry.reason = reason ?? entry.reason
  release(at, lease.id, entry, delayMs ?? retryDelayMs(owner, entry.deliveries), nowMs)
  writeQueue(view, books.tables, queue, owner)
  return 'done'
}

/** Makes a lease end at another time. Errors: LEASE_LOST. */
export function extend(
  view: WriteView,
  books: Books,
  queue: number,
  lease: Lease,
  nowMs: number,
  untilMs: number,
): void {
  const at = open(view, books, queue)
  const { owner } = at
  noteTime(view, books.tables, nowMs)
  const { id } = lease
  const entry = leased(view, books, queue, lease, [])
  if (typeof entry === 'string') throw new DepotError('LEASE_LOST', `message ${id}`)
  leaveState(at, id, entry)
  enterLater(at, id, entry, 'leased', untilMs)
  writeQueue(view, books.tables, queue, owner)
}

/**
 * Keeps the last time seen near to the times that are written: the clock never goes back behind it, so that what is due later
 * is due soon, however wrong the wall clock was when the machine was started.
 */
function noteTime(view: WriteView, tables: Tables, nowMs: number): void {
  if (nowMs - (readHead(view, tables)?.lastMs ?? 0) < noteMs) return
  changeHead(view, tables, (head) => {
    head.lastMs = Math.max(head.lastMs, nowMs)
  })
}

/** Puts an entry under lease aside. */
export function bury(view: WriteView, books: Books, queue: number, lease: Lease, reason: string): Settled {
  const at = open(view, books, queue)
  const { owner } = at
  const { id } = lease
  const entry = leased(view, books, queue, lease, ['buried'])
  if (typeof entry === 'string') return entry
  leaveLine(at, id, entry)
  enterAside(at, id, entry, 'buried', reason)
  writeQueue(view, books.tables, queue, owner)
  return 'done'
}

/** Puts an entry that nobody has leased aside; whether it did. Errors: ENTRY_UNKNOWN. */
export function setAside(view: WriteView, books: Books, queue: number, id: number, reason: string): boolean {
  const at = open(view, books, queue)
  const { owner } = at
  const entry = known(view, books, queue, id)
  if (entry.state === 'leased' || entry.state === 'buried' || entry.state === 'dead') return false
  leaveLine(at, id, entry)
  enterAside(at, id, entry, 'buried', reason)
  writeQueue(view, books.tables, queue, owner)
  return true
}

/** Puts an entry that was aside at the end of the queue, with no deliveries behind it. Errors: ENTRY_UNKNOWN. */
export function requeue(view: WriteView, books: Books, queue: number, id: number): boolean {
  const { tables } = books
  const at = open(view, books, queue)
  const { owner } = at
  const entry = known(view, books, queue, id)
  if (entry.state !== 'buried' && entry.state !== 'dead') return false
  view.remove(tables.aside, Buffer.concat([inQueue(queue, kindOf[entry.state], id)]))
  owner[entry.state]--
  owner.held++
  entry.state = 'held'
  entry.position = changeHead(view, tables, (head) => head.nextId++)
  entry.deliveries = 0
  enterLine(at, id, entry)
  writeQueue(view, tables, queue, owner)
  return true
}

/** Removes an entry, whatever its state. Errors: ENTRY_UNKNOWN. */
export function remove(view: WriteView, books: Books, queue: number, id: number): void {
  erase(open(view, books, queue), id, known(view, books, queue, id))
}

/** A queue within a transaction. Errors: QUEUE_UNKNOWN. */
function open(view: WriteView, books: Books, queue: number): OpenQueue {
  return { view, books, queue, owner: ownerOf(view, books, queue) }
}

/** The record of a queue. Errors: QUEUE_UNKNOWN. */
export function ownerOf(view: ReadView, { tables }: Books, queue: number): QueueRecord {
  const owner = readQueue(view, tables, queue)
  if (owner === null) throw new DepotError('QUEUE_UNKNOWN')
  return owner
}

function known(view: ReadView, { tables }: Books, queue: number, id: number): EntryRecord {
  const entry = readEntry(view, tables, queue, id)
  if (entry === null) throw new DepotError('ENTRY_UNKNOWN', `message ${id}`)
  return entry
}

/**
 * The entry of a lease that holds, or what became of it: `done` where the same lease has brought it into one of these states before,
 * since a call whose outcome was unknown is made again. Errors: LEASE_LOST where another has it, or may have it.
 */
function leased(
  view: ReadView,
  { tables }: Books,
  queue: number,
  { id, token }: Lease,
  ended: readonly EntryState[],
): EntryRecord | Settled {
  const entry = readEntry(view, tables, queue, id)
  if (entry === null) return 'gone'
  if (entry.token === token) {
    if (entry.state === 'leased') return entry
    if (ended.includes(entry.state)) return 'done'
  }
  throw new DepotError('LEASE_LOST', `message ${id}`)
}

/** Ends leases that ran out, and delays. */
function promote(at: OpenQueue, nowMs: number): void {
  const { view, books, queue, owner } = at
  const { from } = startingWith(queueKey(queue))
  const due = { from, before: inQueue(queue, nowMs + 1), limit: promotions }
  for (const key of view.keys(books.tables.later, due)) {
    const id = numberIn(key, 12)
    const entry = readEntry(view, books.tables, queue, id)
    if (entry === null) throw new DepotError('DEPOT_DAMAGED', `entry ${id} of ${owner.name}`)
    const isLease = entry.state === 'leased'
    if (isLease) {
      entry.reason ??= 'its lease ran out'
      // What its consumer may still say is too late.
      entry.token = ++owner.tokens
    }
    release(at, id, entry, 0, nowMs, isLease)
  }
}

/** Out of lease or delay, back into its place, at once or later, or to the dead letters. */
function release(at: OpenQueue, id: number, entry: EntryRecord, delayMs: number, nowMs: number, wasTried = true): void {
  if (wasTried && entry.deliveries >= at.owner.maxDeliveries) {
    leaveLine(at, id, entry)
    enterAside(at, id, entry, 'dead', entry.reason ?? 'delivered too often')
    return
  }
  leaveState(at, id, entry)
  if (delayMs > 0) enterLater(at, id, entry, 'delayed', nowMs + delayMs)
  else enterReady(at, id, entry)
}

/** A strict queue has something to take only while its first entry may be taken. */
function hasReady(view: ReadView, tables: Tables, queue: number, owner: QueueRecord): boolean {
  const span = { ...startingWith(queueKey(queue)), limit: 1 }
  const [ready] = view.keys(tables.ready, span)
  if (ready === undefined || owner.order !== 'strict') return ready !== undefined
  return view.keys(tables.line, span)[0]?.equals(ready) === true
}

function erase(at: OpenQueue, id: number, entry: EntryRecord): void {
  const { view, books, queue, owner } = at
  const { tables } = books
  const { file, octets } = entry
  if (isLive(entry.state)) leaveLine(at, id, entry)
  else leaveState(at, id, entry)
  view.remove(tables.entries, inQueue(queue, id))
  view.remove(tables.messages, inQueue(queue, id))
  owner.octets -= octets
  writeQueue(view, tables, queue, owner)
  changeHead(view, tables, (head) => {
    head.octets -= octets
  })
  if (file === null) return
  view.remove(tables.files, Buffer.from(file))
  view.afterCommit(() => books.discard(file))
}

/** Forgets a few idempotency keys whose time is over and whose entry is gone. */
function forget(view: WriteView, { tables }: Books, nowMs: number): void {
  const old = { from: numberKey(0), before: numberKey(nowMs), limit: forgettings }
  for (const timeKey of view.keys(tables.keysByTime, old)) {
    view.remove(tables.keysByTime, timeKey)
    const key = timeKey.subarray(8)
    const known = record(view.get(tables.keys, key)) as KeyRecord | null
    if (known?.untilMs !== numberIn(timeKey)) continue
    const queue = key.readUInt32BE(0)
    if (readEntry(view, tables, queue, known.id) === null) {
      view.remove(tables.keys, key)
      continue
    }
    // Its message is still there: the key holds as long.
    const untilMs = nowMs + 3_600_000
    view.put(tables.keys, key, recorded({ id: known.id, untilMs }))
    view.put(tables.keysByTime, Buffer.concat([numberKey(untilMs), key]), nothing)
  }
}
