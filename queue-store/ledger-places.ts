/** Where an entry is: in which indexes, and in which of its queue's numbers. ledger.ts moves entries from one place to another. */
import type { EntryState } from './depot-types.ts'
import type { WriteView } from './environment.ts'
import { digestOf, inQueue, inQueueBy, numberIn, numberKey, startingWith } from './keys.ts'
import { readEntry, writeEntry, type EntryRecord, type QueueRecord, type Tables } from './tables.ts'

/** What the steps need to know, and whom they tell. */
export interface Books {
  readonly tables: Tables
  readonly maxOctets: number
  /** A queue has something to take that it had not. */
  readonly ring: (queue: number) => void
  /** A large content is no longer named: its file may go. */
  readonly discard: (file: string) => void
  /** Errors: where a file is not there: then no entry may name it. */
  readonly checkFile: (file: string) => void
}

/** A queue within a transaction. What changes `owner` is written by whoever opened it. */
export interface OpenQueue {
  readonly view: WriteView
  readonly books: Books
  readonly queue: number
  readonly owner: QueueRecord
}

/** The value where a key says all. */
export const nothing = Buffer.alloc(0)
/** Kinds of entries that are aside, as numbers in keys. */
export const kindOf = { buried: 0, dead: 1 } as const

/** Where the ids of entries that are aside begin, of one kind. */
export function asidePrefix(queue: number, what: 'buried' | 'dead'): Buffer {
  return inQueue(queue, kindOf[what])
}

/** At its position in line, ready unless it waits for its chain. It was counted as held. */
export function enterLine(at: OpenQueue, id: number, entry: EntryRecord): void {
  const { view, queue, owner } = at
  const { tables } = at.books
  view.put(tables.line, inQueue(queue, entry.position), numberKey(id))
  if (entry.chain === null) {
    owner.held--
    enterReady(at, id, entry)
    return
  }
  const chain = Buffer.from(entry.chain, 'hex')
  const isFirst = view.keys(tables.chains, { ...startingWith(inQueueBy(queue, chain)), limit: 1 }).length === 0
  view.put(tables.chains, inQueueBy(queue, chain, entry.position), numberKey(id))
  if (isFirst) {
    owner.held--
    enterReady(at, id, entry)
  } else writeEntry(view, tables, queue, id, entry)
}

/** Out of line, chain and state; the next of its chain is ready then. */
export function leaveLine(at: OpenQueue, id: number, entry: EntryRecord): void {
  const { view, books, queue, owner } = at
  const { tables } = books
  leaveState(at, id, entry)
  view.remove(tables.line, inQueue(queue, entry.position))
  // The next of a strict queue may be taken now.
  if (owner.order === 'strict') view.afterCommit(() => books.ring(queue))
  if (entry.chain === null) return
  const chain = inQueueBy(queue, Buffer.from(entry.chain, 'hex'))
  view.remove(tables.chains, Buffer.concat([chain, numberKey(entry.position)]))
  const [next] = view.rows(tables.chains, { ...startingWith(chain), limit: 1 })
  if (next === undefined) return
  const nextId = numberIn(next.value)
  const follower = readEntry(view, tables, queue, nextId)
  if (follower?.state !== 'held') return
  owner.held--
  enterReady(at, nextId, follower)
}

/** May be taken. */
export function enterReady(at: OpenQueue, id: number, entry: EntryRecord): void {
  const { view, books, queue, owner } = at
  entry.state = 'ready'
  entry.dueMs = null
  owner.ready++
  view.put(books.tables.ready, inQueue(queue, entry.position), numberKey(id))
  writeEntry(view, books.tables, queue, id, entry)
  view.afterCommit(() => books.ring(queue))
}

/** May be taken, or taken again, later. */
export function enterLater(
  at: OpenQueue,
  id: number,
  entry: EntryRecord,
  state: 'delayed' | 'leased',
  dueMs: number,
): void {
  const { view, books, queue, owner } = at
  entry.state = state
  entry.dueMs = Math.ceil(dueMs)
  owner[state]++
  view.put(books.tables.later, inQueue(queue, entry.dueMs, id), nothing)
  writeEntry(view, books.tables, queue, id, entry)
  if (state === 'delayed') view.afterCommit(() => books.ring(queue))
}

/** Not live: kept for a person. */
export function enterAside(
  at: OpenQueue,
  id: number,
  entry: EntryRecord,
  state: 'buried' | 'dead',
  reason: string,
): void {
  const { view, books, queue, owner } = at
  entry.state = state
  entry.dueMs = null
  entry.reason = reason
  owner[state]++
  view.put(books.tables.aside, inQueue(queue, kindOf[state], id), nothing)
  writeEntry(view, books.tables, queue, id, entry)
}

/** Takes an entry out of the index of its state, and out of the numbers. */
export function leaveState(at: OpenQueue, id: number, entry: EntryRecord): void {
  const { view, queue, owner } = at
  const { tables } = at.books
  owner[entry.state]--
  const { state } = entry
  if (state === 'ready') view.remove(tables.ready, inQueue(queue, entry.position))
  else if (state === 'leased' || state === 'delayed') view.remove(tables.later, inQueue(queue, entry.dueMs ?? 0, id))
  else if (state !== 'held') view.remove(tables.aside, inQueue(queue, kindOf[state], id))
}

/** Whether it is in line. */
export function isLive(state: EntryState): boolean {
  return state !== 'buried' && state !== 'dead'
}

/** What stands for an ordering key. */
export function chainOf(key: string): string {
  return digestOf(key).subarray(0, 16).toString('hex')
}
