/** Which time the maps of a store have, where filters may say none: the last one who says it decides. */
import type { TtlMaps } from '../../queue-store/ttl/index.ts'
import { StoreError, type MapTime } from './requests.ts'

/** Where nobody ever said it: 30 days. */
const defaultTtlMs = 30 * 86_400_000

/** Maps of one store: each costs a row, and the sweep looks at all. */
const mostMaps = 1000

/** Opens maps before they are used. Errors: STORE_BUSY for too many; TTL_ARGUMENT. */
export function createMapTimes(maps: TtlMaps): (times: readonly MapTime[]) => Promise<void> {
  const known = new Map<string, number>()
  return async (times) => {
    for (const [name, said] of times) {
      const now = known.get(name)
      if (now !== undefined && (said === null || said === now)) continue
      if (now === undefined && known.size >= mostMaps) {
        throw new StoreError('STORE_BUSY', `"${name}" would be one more than ${mostMaps} maps`)
      }
      const ttlMs = said ?? (await maps.list()).find((map) => map.name === name)?.ttlMs ?? defaultTtlMs
      maps.ttlMap(name, { ttlMs })
      known.set(name, ttlMs)
    }
  }
}
