/** The stores of the test kit: TTL maps in memory, and queues that only note what was added to them. */
import { readFileSync } from 'node:fs'
import { memoryPort, openTtlMaps, type TtlMap } from '../../queue-store/ttl/index.ts'
import type { Envelope, Json } from '../../queue-store/depot-types.ts'
import type { FilterQueue, FilterTtlMap, FilterTtlMaps, MessageStores, SetupStores } from '../stores.ts'

/** What a filter added to a queue. */
export interface TestAddition {
  readonly queue: string
  readonly content: Buffer
  readonly envelope: Envelope | null
  readonly facts: { readonly [name: string]: Json }
  readonly key: string | null
  /** `undefined` where the host would make one. */
  readonly idempotencyKey: string | null | undefined
}

/** The stores of one filter under test. */
export interface FakeStores {
  readonly setup: SetupStores
  /** For one message; what is added is put into `additions`. */
  forMessage(bodyPath: string, envelope: () => Envelope, additions: TestAddition[]): MessageStores
}

/** Where no time is said, as in the host. */
const defaultTtlMs = 30 * 86_400_000

/** Empty stores, in which these queues are. Errors of `add`: Error with code QUEUE_UNKNOWN. */
export function fakeStores(queues: readonly string[]): FakeStores {
  const known = new Set(queues)
  const maps = openTtlMaps(memoryPort(), { sweep: null })
  const times = new Map<string, number>()
  const ttlMaps: FilterTtlMaps = {
    ttl: (name, { ttlMs } = {}) => {
      const timeMs = ttlMs ?? times.get(name) ?? defaultTtlMs
      times.set(name, timeMs)
      const map = maps.ttlMap(name, { ttlMs: timeMs })
      // Only its name is used of the other map.
      return { ...map, admit: (key, other, waitMs) => map.admit(key, other as TtlMap, waitMs) } satisfies FilterTtlMap
    },
    apply: (operations) => maps.apply(operations),
  }
  const makeQueue = (name: string): Promise<void> => {
    known.add(name)
    return Promise.resolve()
  }
  return {
    setup: { ...ttlMaps, makeQueue, queues: () => Promise.resolve([...known].sort()) },
    forMessage: (bodyPath, envelope, additions) => ({
      ...ttlMaps,
      queue: (name): FilterQueue => ({
        name,
        // eslint-disable-next-line @typescript-eslint/require-await -- what is wrong is a rejection
        add: async ({ message, facts = {}, key = null, idempotencyKey, make, ...given } = {}) => {
          if (make !== undefined) known.add(name)
          if (!known.has(name)) {
            throw Object.assign(new Error(`there is no such queue: ${name}`), { code: 'QUEUE_UNKNOWN' })
          }
          const content = message === undefined ? readFileSync(bodyPath) : Buffer.from(message)
          const said = given.envelope === undefined ? envelope() : given.envelope
          additions.push({ queue: name, content, envelope: said, facts, key, idempotencyKey })
        },
      }),
    }),
  }
}
