/**
 * What a depot is, in types: durable queues of messages, from which applications take.
 *
 * Nothing here says how it is kept. Every call that writes is asynchronous and resolves once the write is safe; an engine whose
 * transactions a caller can own adds an option to `ack`, and nothing else changes.
 *
 * Errors: DepotError (errors.ts), by its `code`. After DEPOT_WRITE_FAILED it is unknown whether the write was made: the same
 *         call may be made again, since each is recognised: an add by its `idempotencyKey`, the end of a delivery by its lease.
 */
import type { Readable } from 'node:stream'
import type { TtlMaps } from './ttl/maps.ts'
import type { TtlOperation, TtlResultsOf } from './ttl/operation.ts'

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Sender and recipients. The null sender is `null`. */
export interface Envelope {
  readonly sender: string | null
  readonly recipients: readonly string[]
}

/** Where a message's octets come from; a file is copied, and left where it is. */
export type Content = { readonly path: string } | Readable | Uint8Array

/** A message to be added. */
export interface NewEntry {
  readonly message: Content
  readonly envelope?: Envelope | null
  /** What is known about it; goes with it unchanged. */
  readonly facts?: { readonly [name: string]: Json }
  /** In a queue with `order = key`: messages of one key are delivered one after the other. */
  readonly key?: string | null
  /** An add with a key that was used in this queue before, and is still remembered, adds nothing. */
  readonly idempotencyKey?: string | null
}

/** What became of an add. */
export interface Added {
  readonly id: string
  /** `false` where the idempotency key was known: the id is that of the message then added. */
  readonly isNew: boolean
}

/** A message ready to be added, its large content on disk already. It must be published or dropped. */
export interface Staged {
  readonly queue: string
  readonly octets: number
  /** SHA-256 of the octets, in hexadecimal digits. */
  readonly digest: string
}

/** How the messages of a queue follow each other. */
export interface QueueSettings {
  /** `strict`: one after the other, a failing one stops all; `key`: so within each key; `none`: a failing one stops none. */
  readonly order: 'strict' | 'key' | 'none'
  /** After so many deliveries that failed a message is put with the dead letters. */
  readonly maxDeliveries: number
  /** The delay after the first failure, its growth with each further one, and where that ends. */
  readonly firstRetrySeconds: number
  readonly retryFactor: number
  readonly maxRetrySeconds: number
  /** How long idempotency keys are remembered, at least. */
  readonly rememberSeconds: number
}

/** What a message is doing. `held` waits for an earlier one of its key. */
export type EntryState = 'ready' | 'held' | 'delayed' | 'leased' | 'buried' | 'dead'

/** What is known about a message in a queue. Units: times are ms since the epoch, of the depot's clock. */
export interface Entry {
  readonly id: string
  readonly state: EntryState
  readonly key: string | null
  readonly envelope: Envelope | null
  readonly facts: { readonly [name: string]: Json }
  readonly octets: number
  readonly digest: string
  readonly addedMs: number
  /** How often it was delivered since it was added or last requeued. */
  readonly deliveries: number
  /** When a lease or a delay ends; `null` where there is none. */
  readonly dueMs: number | null
  /** What was last said about a failure. */
  readonly reason: string | null
}

/** A message's octets. */
export interface StoredMessage {
  readonly octets: number
  readonly digest: string
  /** The file that holds it, for reading only; `null` where it is not in a file of its own. */
  readonly path: string | null
  readonly stream: () => Readable
  /** The whole of it. Errors: MESSAGE_UNREADABLE where it is longer than `maxOctets` (by default 16 MiB). */
  readonly bytes: (maxOctets?: number) => Promise<Buffer>
}

/** What names a lease: enough to settle a message from another process. */
export interface Receipt {
  readonly queue: string
  readonly id: string
  /** Grows with every delivery of the queue: of two that hold the same message the one with the lower is late. */
  readonly token: number
}

/** `done`: this call, or an earlier one with the same lease, did it. `gone`: the message is no longer in the queue. */
export type Settled = 'done' | 'gone'

/** A message taken out under a lease. */
export interface Delivery extends Entry, Receipt {
  readonly message: StoredMessage
  /** Aborted when the lease is found to be lost while it is renewed. */
  readonly signal: AbortSignal
  readonly ack: (options?: AckOptions) => Promise<Settled>
  readonly nack: (options?: NackOptions) => Promise<Settled>
  readonly bury: (reason: string) => Promise<Settled>
  /** Makes the lease end so many seconds from now. Errors: LEASE_LOST. */
  readonly extend: (leaseSeconds?: number) => Promise<void>
}

/** How a message is acknowledged. */
export interface AckOptions {
  /** Added in the same transaction; where the message is gone nothing is added. */
  readonly add?: readonly (NewEntry & { readonly queue: string })[]
  /** The message goes on into another queue, with its content, in the same transaction. */
  readonly moveTo?: { readonly queue: string; readonly facts?: { readonly [name: string]: Json } } | null
}

/** How a message is let go. */
export interface NackOptions {
  /** Otherwise the queue's growing delay. */
  readonly delaySeconds?: number | null
  readonly reason?: string | null
}

/** How messages are asked for. */
export interface ReceiveOptions {
  /** At most so many; 1. */
  readonly max?: number
  /** So long nobody else gets them; 60. */
  readonly leaseSeconds?: number
  /** So long to wait for the first; 0. `Infinity` waits until the signal. */
  readonly waitSeconds?: number
  readonly signal?: AbortSignal | null
}

/** How a queue is consumed. */
export interface ConsumeOptions {
  readonly leaseSeconds?: number
  readonly signal?: AbortSignal | null
}

/** How a queue is consumed by a handler. */
export interface ProcessOptions extends ConsumeOptions {
  /** Messages in hand at the same time; 1. */
  readonly concurrency?: number
  /** Told what the handler threw, and what the depot refused. */
  readonly onError?: (error: unknown, entry: Entry | null) => void
}

/** Numbers of messages by state, and octets; kept, not counted. */
export interface QueueCounts {
  readonly ready: number
  readonly held: number
  readonly delayed: number
  readonly leased: number
  readonly buried: number
  readonly dead: number
  readonly octets: number
  /** Age of the oldest message that is not buried or dead; `null` where there is none. */
  readonly oldestMs: number | null
}

/** What to list. */
export interface PeekOptions {
  /** `live`: in the order of the queue. `buried` and `dead`: by id. */
  readonly what?: 'live' | 'buried' | 'dead'
  readonly max?: number
  /** Goes on after the entry of this id. */
  readonly after?: string | null
}

/** A queue. */
export interface Queue {
  readonly name: string
  readonly settings: () => QueueSettings
  /** Resolves when the message is on disk. Errors: DEPOT_FULL, DEPOT_WRITE_FAILED. */
  readonly add: (entry: NewEntry) => Promise<Added>
  /** Takes the next messages. Errors: the signal's reason where it is aborted while none came. */
  readonly receive: (options?: ReceiveOptions) => Promise<Delivery[]>
  readonly ack: (receipt: Pick<Receipt, 'id' | 'token'>, options?: AckOptions) => Promise<Settled>
  readonly nack: (receipt: Pick<Receipt, 'id' | 'token'>, options?: NackOptions) => Promise<Settled>
  readonly bury: (receipt: Pick<Receipt, 'id' | 'token'>, reason: string) => Promise<Settled>
  readonly extend: (receipt: Pick<Receipt, 'id' | 'token'>, leaseSeconds: number) => Promise<void>
  /**
   * Deliveries, one after the other, each leased for as long as the loop's body works on it. A delivery that the body has not
   * settled is acknowledged when the body ends, and let go where the loop is left.
   */
  readonly deliveries: (options?: ConsumeOptions) => AsyncGenerator<Delivery, void, undefined>
  /** The same, with a function: what it throws lets the message go with that reason. Resolves when the signal came. */
  readonly process: (handler: (delivery: Delivery) => unknown, options?: ProcessOptions) => Promise<void>
  readonly peek: (options?: PeekOptions) => Promise<Entry[]>
  /** An entry and its content, whatever its state. Errors: ENTRY_ID, ENTRY_UNKNOWN. */
  readonly open: (id: string) => Promise<{ readonly entry: Entry; readonly message: StoredMessage }>
  /** Puts a buried or dead message at the end of the queue; `false` where it is neither. Errors: ENTRY_ID, ENTRY_UNKNOWN. */
  readonly requeue: (id: string) => Promise<boolean>
  /** All of one kind, by id; how many. */
  readonly requeueAll: (what: 'buried' | 'dead') => Promise<number>
  /** Buries a message that nobody has leased; `false` where one has. Errors: ENTRY_ID, ENTRY_UNKNOWN. */
  readonly setAside: (id: string, reason: string) => Promise<boolean>
  /** Removes a message for good, whatever its state. Errors: ENTRY_ID, ENTRY_UNKNOWN. */
  readonly remove: (id: string) => Promise<void>
  readonly counts: () => Promise<QueueCounts>
}

/** Carries TTL operations out inside the transaction that decides. Errors: TtlError; what is thrown on undoes everything. */
export type ApplyTtl = <const L extends readonly TtlOperation[]>(operations: L) => TtlResultsOf<L>

/** What becomes of a staged message: it is added with these facts, or, where it is `null`, not at all. */
export type Decision = { readonly facts: { readonly [name: string]: Json } } | null

/**
 * Decides about staged messages, one after the other, within the transaction that adds them.
 * It may run more than once, and changes nothing but what it writes through `apply`. Errors: what it throws undoes everything.
 */
export type Decide = (apply: ApplyTtl) => readonly Decision[]

/** A depot. */
export interface Depot {
  readonly directory: string
  /** Errors: QUEUE_UNKNOWN. */
  readonly queue: (name: string) => Promise<Queue>
  /** Makes a queue, or changes the settings of the one there is; its order only while it is empty (QUEUE_NOT_EMPTY). */
  readonly makeQueue: (name: string, settings?: Partial<QueueSettings>) => Promise<Queue>
  readonly queues: () => Promise<string[]>
  /** Errors: QUEUE_UNKNOWN, QUEUE_EXISTS. Open queues go on under the new name. */
  readonly renameQueue: (name: string, newName: string) => Promise<void>
  /** Errors: QUEUE_UNKNOWN; QUEUE_NOT_EMPTY where it holds any message, in whatever state, unless these are to go too. */
  readonly removeQueue: (name: string, options?: { readonly withMessages?: boolean }) => Promise<void>
  /** Writes the content of a message, to be added later: at once then, and with others. */
  readonly stage: (entry: NewEntry & { readonly queue: string }) => Promise<Staged>
  /** Adds staged messages, all in one transaction or none. */
  readonly publish: (staged: readonly Staged[]) => Promise<Added[]>
  /**
   * As `publish`, with TTL maps of this depot asked and written in the same transaction; `null` for what was not added, whose content is gone.
   * Without staged messages it is a transaction on the maps alone.
   */
  readonly publishWith: (staged: readonly Staged[], maps: TtlMaps, decide: Decide) => Promise<(Added | null)[]>
  readonly drop: (staged: Staged) => Promise<void>
  /** Removes files that no message names, left behind by processes that died; how many. Also done at opening. */
  readonly sweep: () => Promise<number>
  /** Ends waiting receivers (they get nothing), waits for writes, closes. */
  readonly close: () => Promise<void>
}

/** Settings of a depot. */
export interface DepotOptions {
  /** Messages of all queues together, in octets; more are refused with DEPOT_FULL. Without a limit by default. */
  readonly maxBytes?: number
  /** Messages of up to so many octets are kept inside the store, longer ones in files; 64 KiB. */
  readonly insideOctets?: number
  /** Number of the group whose members share the depot; otherwise it is its owner's alone. For a new depot. */
  readonly group?: number | null
  /**
   * Of the files of a new depot: 0o660 shares it with the group, and without `group` with the one that new files in its folder get;
   * 0o600 keeps it to its owner. Without it as `group` says. Other modes make no sense: whoever reads a depot writes to it.
   */
  readonly mode?: 0o600 | 0o660 | null
  /** Looked for work so often where nobody rings; 5. */
  readonly pollSeconds?: number
  /** Handed in by tests; ms since the epoch. Otherwise a clock that does not jump. */
  readonly now?: (() => number) | null
}
