/**
 * What the TTL maps need of a store: octets in order of their keys, and transactions. Nothing here names an engine.
 *
 * Shape: keys are compared octet by octet; a key has at most 160 octets, a value at most `ttlLimits.recordOctets`.
 */

/** One key with its value. */
export interface TtlPair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** One moment of the store. What it returns stays valid after the transaction. */
export interface TtlReading {
  get(key: Uint8Array): Uint8Array | null
  /** The pairs from `from` up to, but without, `to`, ascending, at most `limit`: a finished list, never an open iterator. */
  range(from: Uint8Array, to: Uint8Array, limit: number): TtlPair[]
}

/** A write transaction: it reads what it has written. */
export interface TtlWriting extends TtlReading {
  put(key: Uint8Array, value: Uint8Array): void
  remove(key: Uint8Array): void
}

/**
 * The store as the maps see it.
 *
 * `work` runs at once and to its end, it never waits; nobody else writes meanwhile.
 * Errors: what `work` throws, and then nothing of it stays; what the store says of its disk, and then it is unknown
 *         whether the transaction happened.
 */
export interface TtlPort {
  read<T>(work: (reading: TtlReading) => T): Promise<T>
  /** Resolves when the transaction is on disk. */
  write<T>(work: (writing: TtlWriting) => T): Promise<T>
}
