/** The stores as a filter has them, on a port. */
import { readControl } from '../../courier-compat/control.ts'
import type {
  FilterQueue,
  FilterTtlMaps,
  MessageStores,
  QueueAddition,
  SetupStores,
} from '../../courier-compat/stores.ts'
import { mapMethods } from '../../queue-store/ttl/map-methods.ts'
import type { TtlOperation, TtlResultsOf } from '../../queue-store/ttl/operation.ts'
import type { Pair } from '../edits.ts'
import { StoreError, storeLimits, tooLong, type AddRequest, type MapTime } from './requests.ts'
import { deadPort, type StorePort } from './port.ts'

/** Where no time was said here; the store itself knows the map's. */
const longestMs = 315_576_000_000

/** The TTL maps of one thread. */
export function portMaps(port: StorePort): FilterTtlMaps {
  /** The time that was said last, `null` where none was. */
  const times = new Map<string, number | null>()
  const ttlOfMap = (name: string): number => {
    const ttlMs = times.get(name)
    if (ttlMs === undefined) throw new StoreError('TTL_MAP_UNKNOWN', `the map "${name}" was not opened`)
    return ttlMs ?? longestMs
  }
  const apply = async (operations: readonly TtlOperation[]): Promise<unknown[]> => {
    // Only for those who use it: every thread would have to load it.
    const { checkOperation } = await import('../../queue-store/ttl/operation.ts')
    const maps = new Map<string, MapTime>()
    const use = (name: string): void => void maps.set(name, [name, times.get(name) ?? null])
    for (const operation of operations) {
      // Here already: what JSON cannot carry would arrive as something else.
      checkOperation(operation, ttlOfMap)
      use(operation.map)
      if (operation.op === 'admit') use(operation.known)
    }
    return (await port.request({ op: 'ttl', maps: [...maps.values()], operations })) as unknown[]
  }
  return {
    ttl: (name, { ttlMs } = {}) => {
      if (typeof name !== 'string' || !(ttlMs === undefined || Number.isSafeInteger(ttlMs))) {
        throw new StoreError('TTL_ARGUMENT', `a map "${name}" that keeps for ${String(ttlMs)} ms`)
      }
      if (ttlMs !== undefined || !times.has(name)) times.set(name, ttlMs ?? null)
      return mapMethods(name, apply)
    },
    apply: (operations) => apply(operations) as Promise<TtlResultsOf<typeof operations>>,
  }
}

/** What `initFilter` has. */
export function setupStores(port: StorePort, maps: FilterTtlMaps): SetupStores {
  return {
    ...maps,
    makeQueue: async (queue, settings = {}) => {
      await port.request({ op: 'make-queue', queue, settings })
    },
    queues: async () => (await port.request({ op: 'queues' })) as string[],
  }
}

/** The run of one filter over one message. */
export interface FilterRun {
  /** That of the job. */
  readonly key: string
  readonly pair: Pair
  /** The filter's place in the list. */
  readonly filter: number
  readonly isDry: boolean
}

/** The stores of one call of a filter, and the host's handle on them. */
export interface CallStores {
  readonly stores: MessageStores
  /** Resolves when nothing that was begun is open any more. Errors: those of what failed meanwhile. `null`: nothing is open. */
  open(): Promise<void> | null
  /** What a dry run would have added, by the names of its queues. */
  readonly wouldAdd: readonly string[]
  /** The call is over: it adds nothing more. */
  end(): void
  /** What it added is dropped. */
  forget(): void
}

/** The stores of a call. */
export function callStores(port: StorePort, maps: FilterTtlMaps, run: FilterRun): CallStores {
  /** Additions under way, each with the promise that the filter has of it. */
  const pending = new Map<Promise<void>, Promise<void>>()
  const wouldAdd: string[] = []
  let hasAdded = false
  let isOver = false

  const add = async (queue: string, addition: QueueAddition): Promise<void> => {
    if (isOver)
      throw new StoreError('STORE_LOST', 'the filter has answered: nothing more can be added for this message')
    const request = addRequest(run, queue, addition)
    hasAdded = true
    await port.request(request)
    if (run.isDry) wouldAdd.push(queue)
  }
  const queueOf = (name: string): FilterQueue => ({
    name,
    add: (addition = {}) => {
      const added = add(name, addition)
      // A promise of its own: one that fails, and that the filter has forgotten, is not taken for one that was looked at.
      const given = added.then(() => undefined)
      pending.set(added, given)
      const settled = (): void => void pending.delete(added)
      added.then(settled, settled)
      return given
    },
  })
  const wait = async (): Promise<void> => {
    while (pending.size > 0) {
      for (const given of pending.values()) given.catch(() => undefined)
      await Promise.all(pending.keys())
    }
  }
  return {
    stores: { ...maps, queue: queueOf },
    open: () => (pending.size === 0 ? null : wait()),
    wouldAdd,
    end: () => (isOver = true),
    forget: () => {
      const { key, filter } = run
      if (hasAdded && !run.isDry) port.tell({ op: 'forget', key, filter })
    },
  }
}

/** Errors: StoreError STORE_ARGUMENT. */
function addRequest({ key, filter, isDry, pair }: FilterRun, queue: string, addition: QueueAddition): AddRequest {
  const { message, facts = {}, key: orderKey = null, idempotencyKey, make = null } = addition
  const own = message === undefined ? null : typeof message === 'string' ? Buffer.from(message) : message
  if (own !== null && !(own instanceof Uint8Array)) throw new StoreError('STORE_ARGUMENT', 'the message is no octets')
  if (own !== null && own.length > storeLimits.messageOctets) {
    throw new StoreError('STORE_ARGUMENT', `the addition ${tooLong(own.length)}`)
  }
  return {
    ...{ op: 'add', key, filter, isDry, queue, message: own, facts, orderKey, idempotencyKey, make },
    envelope: addition.envelope === undefined ? envelopeOf(pair) : addition.envelope,
  }
}

function envelopeOf({ controlPaths }: Pair): AddRequest['envelope'] {
  const { sender, recipients } = readControl(controlPaths)
  return { sender, recipients: recipients.map(({ address }) => address) }
}

const deadMaps = portMaps(deadPort)

/** Where there are no stores: every call fails with STORE_LOST. */
export const deadSetupStores = setupStores(deadPort, deadMaps)

/** The same for a call. */
export function deadStores(filter: number, isDry: boolean): CallStores {
  return callStores(deadPort, deadMaps, { key: '', pair: { bodyPath: '', controlPaths: [] }, filter, isDry })
}
