/** The stores as the host's parts see them: whoever is behind it, every call is asynchronous and a whole transaction. */
import type { Added, Envelope, Json, QueueSettings } from '../../queue-store/depot-types.ts'
import type { TtlOperation } from '../../queue-store/ttl/operation.ts'
import { StoreError, type MapTime } from './requests.ts'

/** What is staged. */
export interface StageEntry {
  readonly queue: string
  /** Octets, or the path of a file that is copied. */
  readonly message: Uint8Array | string
  readonly envelope: Envelope | null
  readonly facts: { readonly [name: string]: Json }
  readonly key: string | null
  readonly idempotencyKey: string | null
  /** Made with these settings where there is no such queue; `null`: it has to be there. */
  readonly make: Partial<QueueSettings> | null
}

/** A message that is staged. */
export interface Staged {
  /** What names it. */
  readonly handle: number
  readonly octets: number
}

/** Numbers since the start. */
export interface StoreCounts {
  /** TTL transactions, and requests about queues. */
  readonly requests: number
  readonly staged: number
  readonly published: number
  /** Of those published: known already, since the same delivery came again. */
  readonly known: number
  readonly dropped: number
  readonly failures: number
}

/** How it is with the store. `unused`: nobody has asked for it yet. */
export interface StoreStatus {
  readonly directory: string
  readonly state: 'unused' | 'open' | 'failed'
  /** Why it failed; `null` where it has not. */
  readonly problem: string | null
  readonly counts: StoreCounts
}

/** The stores. Errors: those of depot and TTL maps by their code; STORE_LOST where nothing is known of what was asked. */
export interface Stores {
  /** Operations in one transaction, on maps with these times. Resolves with a result each. */
  ttl(maps: readonly MapTime[], operations: readonly TtlOperation[]): Promise<readonly unknown[]>
  /** Makes a queue where it is missing; changes its settings where they are given. */
  makeQueue(queue: string, settings: Partial<QueueSettings>): Promise<void>
  queues(): Promise<string[]>
  /** Errors: QUEUE_UNKNOWN. */
  demandQueue(queue: string): Promise<void>
  stage(entry: StageEntry): Promise<Staged>
  /** All in one transaction; resolves when they are on disk. */
  publish(handles: readonly number[]): Promise<readonly Added[]>
  drop(handles: readonly number[]): void
  /**
   * What tells a message from all others, however often it is delivered; `null` where nothing in it does. `path` is its data
   * file.
   */
  identify(path: string): Promise<string | null>
  status(): StoreStatus
  /** Lets what was asked be finished, at most for so long. */
  close(limitMs: number): Promise<void>
}

/** Where there are none. */
export const noStores: Stores = {
  ttl: () => lost(),
  makeQueue: () => lost(),
  queues: () => lost(),
  demandQueue: () => lost(),
  stage: () => lost(),
  publish: () => lost(),
  drop: () => undefined,
  identify: () => lost(),
  status: () => ({ directory: '', state: 'unused', problem: null, counts: noCounts() }),
  close: () => Promise.resolve(),
}

/** Counts before anything was counted. */
export function noCounts(): { -readonly [Name in keyof StoreCounts]: number } {
  return { requests: 0, staged: 0, published: 0, known: 0, dropped: 0, failures: 0 }
}

function lost(): Promise<never> {
  return Promise.reject(new StoreError('STORE_LOST', 'there are no stores here'))
}
