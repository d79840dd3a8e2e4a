/** The TTL maps of a depot: what applications and programs remember for a time, in the same store as the queues. */
import type { OpenedDepot } from './depot.ts'
import { depotPort } from './ttl/depot-port.ts'
import { openTtlMaps, type TtlMaps, type TtlMapsOptions } from './ttl/maps.ts'

/**
 * Opens the maps of an open depot. Close them before the depot.
 *
 *     const maps = openMaps(depot)
 *     const seen = maps.ttlMap('seen', { ttlMs: 86_400_000 })
 *     const { isNew } = await seen.firstSeen('<1@example.org>')
 */
export function openMaps(depot: OpenedDepot, options: TtlMapsOptions = {}): TtlMaps {
  return openTtlMaps(depotPort(depot.core.environment), options)
}
