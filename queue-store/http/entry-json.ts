/**
 * Entries and deliveries as JSON.
 *
 * Pure.
 */
import type { Delivery, Entry } from '../depot-types.ts'

/** An entry: its data, and nothing else that the object may have. */
export function entryJson(entry: Entry): Entry {
  const { id, state, key, envelope, facts, octets, digest, addedMs, deliveries, dueMs, reason } = entry
  return { id, state, key, envelope, facts, octets, digest, addedMs, deliveries, dueMs, reason }
}

/** A delivery: the entry, and what its consumer needs to settle it. */
export function deliveryJson(delivery: Delivery): Entry & Pick<Delivery, 'queue' | 'token'> {
  return { ...entryJson(delivery), queue: delivery.queue, token: delivery.token }
}
