/**
 * The stores as a filter has them: durable queues and TTL maps, kept by the host in a thread that nothing ends.
 *
 * What a filter adds to a queue is staged: it is in the queue once the message is accepted, before the mail server hears so,
 * and nowhere where the message is refused, fails, or the filter runs dry. What it remembers in a TTL map is remembered at once.
 */
import type { Json, NewEntry, QueueSettings } from '../queue-store/depot-types.ts'
import type { TtlAdmitted, TtlKey, TtlMap, TtlOperation, TtlResultsOf } from '../queue-store/ttl/index.ts'

/**
 * A TTL map, with the operations that are one transaction each.
 * Errors: as `TtlMap`, by their code; and Error with code `STORE_LOST` where the store cannot be reached, `STORE_BUSY` where
 *         too much was asked of it at once.
 */
export interface FilterTtlMap extends Pick<
  TtlMap,
  'name' | 'get' | 'has' | 'set' | 'delete' | 'firstSeen' | 'increment' | 'rate' | 'pace' | 'update'
> {
  /** Greylisting, with another map of the filter's as `known`: see `TtlMap.admit`. */
  admit(key: TtlKey, known: Pick<FilterTtlMap, 'name'>, waitMs: number): Promise<TtlAdmitted>
}

/** How long keys of a map are kept. */
export interface FilterTtlOptions {
  /** 30 days where it is not said; the last one who says it decides. Units: milliseconds. */
  readonly ttlMs?: number
}

/** What a filter adds to a queue; what is left out is the message's own. */
export interface QueueAddition extends Omit<NewEntry, 'message' | 'envelope' | 'facts' | 'idempotencyKey'> {
  /** Other octets than the message's, at most 1 MiB. By default the message as it is at this moment. */
  readonly message?: string | Uint8Array
  /** By default that of the message, at this moment. */
  readonly envelope?: NewEntry['envelope']
  readonly facts?: { readonly [name: string]: Json }
  /** Made with these settings where there is no such queue; without them that is an error, QUEUE_UNKNOWN. */
  readonly make?: Partial<QueueSettings>
  /**
   * An addition with a key that was used in this queue before, and is still remembered, adds nothing. Where none is given, the
   * host makes one by which it recognises another delivery of the same message; `null`: added each time.
   */
  readonly idempotencyKey?: string | null
}

/** A queue, which a filter can only add to. */
export interface FilterQueue {
  readonly name: string
  /**
   * Stages a message; resolves when its content is taken, so that later edits do not change it. What a filter has not
   * waited for when it answers is waited for then.
   * Errors: those of a depot, by their code (QUEUE_UNKNOWN, DEPOT_FULL, ...); Error with code `STORE_LOST` where the store cannot
   *         be reached, `STORE_BUSY` where too much was asked of it at once, `STORE_ARGUMENT` for what cannot be added.
   */
  add(addition?: QueueAddition): Promise<void>
}

/** The stores of a filter, in its `setup` and for each message in its `context`. */
export interface FilterTtlMaps {
  /** Errors: TTL_ARGUMENT, at once, for a time that is no whole number. */
  readonly ttl: (name: string, options?: FilterTtlOptions) => FilterTtlMap
  /** Several operations as one transaction, on maps that were opened by `ttl`. */
  apply<const L extends readonly TtlOperation[]>(operations: L): Promise<TtlResultsOf<L>>
}

/** What `initFilter` has of them. */
export interface SetupStores extends FilterTtlMaps {
  /** Makes a queue where it is missing. Its settings are changed only where they are given. */
  makeQueue(name: string, settings?: Partial<QueueSettings>): Promise<void>
  /** The names of all queues. */
  queues(): Promise<string[]>
}

/** What `doFilter` has of them: `context.stores`, and `context.ttl` and `context.queue` for short. */
export interface MessageStores extends FilterTtlMaps {
  readonly queue: (name: string) => FilterQueue
}
