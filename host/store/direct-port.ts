/** A port to stores in the same thread's memory, for a chain under a debugger: what filters add goes nowhere. */
import { memoryStores } from './memory.ts'
import type { StorePort } from './port.ts'

/** To empty stores in memory. */
export function memoryPort(): StorePort {
  const stores = memoryStores()
  return {
    request: async (request) => {
      switch (request.op) {
        case 'ttl':
          return stores.ttl(request.maps, request.operations)
        case 'make-queue':
          return stores.makeQueue(request.queue, request.settings)
        case 'queues':
          return stores.queues()
        case 'add':
          return stores.demandQueue(request.queue)
        case 'forget':
          return null
        default:
          return request satisfies never
      }
    },
    tell: () => undefined,
  }
}
