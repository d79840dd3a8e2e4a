/**
 * Stores in memory, for a chain that is tried: TTL maps work and are forgotten at the end, every queue is there, and what is
 * added is only noted.
 */
import { memoryPort, openTtlMaps } from '../../queue-store/ttl/index.ts'
import { queueName } from '../../queue-store/queue-settings.ts'
import { stat } from 'node:fs/promises'
import { noCounts, type Stores } from './stores.ts'
import { createMapTimes } from './ttl-times.ts'

/** Empty stores. */
export function memoryStores(): Stores {
  const maps = openTtlMaps(memoryPort(), { sweep: null })
  const openMaps = createMapTimes(maps)
  const counts = noCounts()
  const queues = new Set<string>()
  return {
    ttl: async (times, operations) => {
      counts.requests++
      await openMaps(times)
      return maps.apply(operations)
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- a wrong name is a rejection, too
    makeQueue: async (queue) => void queues.add(queueName(queue)),
    queues: () => Promise.resolve([...queues].sort()),
    // eslint-disable-next-line @typescript-eslint/require-await
    demandQueue: async (queue) => void queueName(queue),
    stage: async ({ queue, message }) => {
      queueName(queue)
      const octets = typeof message === 'string' ? (await stat(message)).size : message.length
      return { handle: ++counts.staged, octets }
    },
    publish: (handles) => Promise.resolve(handles.map((handle) => ({ id: String(handle), isNew: true }))),
    drop: () => undefined,
    identify: () => Promise.resolve(null),
    status: () => ({ directory: 'memory', state: 'open', problem: null, counts }),
    close: () => Promise.resolve(),
  }
}
