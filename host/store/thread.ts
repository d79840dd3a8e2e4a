/**
 * The store thread: the one place of the host that has the depot open.
 *
 * It stands still while a transaction is synced, which is why nothing else runs here; and nothing ends it, since a thread that
 * dies in a transaction keeps the lock of all writers. It opens the depot when first asked, and again later where that failed.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { openDepot, type OpenedDepot } from '../../queue-store/depot.ts'
import type { Staged as DepotStaged } from '../../queue-store/depot-types.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { depotPort, openTtlMaps, type TtlMaps } from '../../queue-store/ttl/index.ts'
import { describeThrown } from '../chain/failure.ts'
import { identityOf, openMessage } from './delivery.ts'
import { groupNumber } from '../../queue-store/group-number.ts'
import { faultOf, StoreError, type MapTime } from './requests.ts'
import type { ThreadCall, ThreadCalls, ThreadDown, ThreadPlan, ThreadUp } from './thread-wire.ts'
import { createMapTimes } from './ttl-times.ts'

/** The depot that cannot be opened is tried again after so long, and later and later. */
const retry = { firstMs: 500, maxMs: 30_000 } as const

/** What may be staged at the same time: small messages are held in memory until they are published. */
const stagedLimits = { messages: 20_000, insideOctets: 64 * 1024 * 1024 } as const

/** Files of up to this size are read at once: the thread stands still for no longer than a transaction takes. */
const wholeOctets = 64 * 1024

interface Opened {
  readonly depot: OpenedDepot
  readonly maps: TtlMaps
  readonly openMaps: (times: readonly MapTime[]) => Promise<void>
}

type Serve = { [Call in ThreadCall]: (ask: ThreadCalls[Call]['ask']) => Promise<ThreadCalls[Call]['result']> }

if (parentPort !== null) serveStore(parentPort, workerData as ThreadPlan)

function serveStore(port: NonNullable<typeof parentPort>, plan: ThreadPlan): void {
  const tell = (frame: ThreadUp): void => port.postMessage(frame)
  // It would end the thread, and with it what others have asked.
  process.on('unhandledRejection', (thrown) =>
    tell({ type: 'trouble', text: `something failed that nobody waited for: ${describeThrown(thrown)}` }),
  )
  const store = createOpener(plan, tell)
  const staged = new Map<number, { readonly one: DepotStaged; readonly inside: number }>()
  let lastHandle = 0
  let inside = 0

  const take = (handles: readonly number[]): DepotStaged[] =>
    handles.flatMap((handle) => {
      const found = staged.get(handle)
      if (found === undefined) return []
      staged.delete(handle)
      inside -= found.inside
      return [found.one]
    })

  const serve: Serve = {
    ttl: async ({ maps: times, operations }) => {
      const { depot, maps, openMaps } = await store.open()
      await openMaps(times)
      try {
        return await maps.apply(operations)
      } catch (thrown) {
        // Reading alone does not wait for a store that is being opened anew after a failed write; an empty write does.
        if (!isDepotError(thrown, 'DEPOT_CLOSED')) throw thrown
        await depot.core.environment.write(() => null)
        return await maps.apply(operations)
      }
    },
    makeQueue: async ({ queue, settings }) => {
      await (await store.open()).depot.makeQueue(queue, settings)
      return null
    },
    queues: async () => (await store.open()).depot.queues(),
    demandQueue: async ({ queue }) => {
      await (await store.open()).depot.queue(queue)
      return null
    },
    stage: async ({ queue, message, envelope, facts, key, idempotencyKey, make }) => {
      const { depot } = await store.open()
      if (staged.size >= stagedLimits.messages || inside >= stagedLimits.insideOctets) {
        throw new StoreError('STORE_BUSY', `${staged.size} messages are staged already`)
      }
      if (make !== null) {
        await depot.queue(queue).catch((thrown: unknown) => {
          if (!isDepotError(thrown, 'QUEUE_UNKNOWN')) throw thrown
          return depot.makeQueue(queue, make)
        })
      }
      const content = typeof message === 'string' ? openMessage(message, wholeOctets) : message
      const one = await depot.stage({ queue, message: content, envelope, facts, key, idempotencyKey })
      const held = one.octets > plan.insideOctets ? 0 : one.octets
      inside += held
      staged.set(++lastHandle, { one, inside: held })
      return { handle: lastHandle, octets: one.octets }
    },
    publish: async ({ handles }) => {
      const { depot } = await store.open()
      const entries = take(handles)
      if (entries.length < handles.length) throw new StoreError('STORE_LOST', 'what was staged is not there any more')
      return depot.publish(entries)
    },
    drop: async ({ handles }) => {
      const entries = take(handles)
      if (entries.length === 0) return null
      const { depot } = await store.open()
      await Promise.all(entries.map((entry) => depot.drop(entry)))
      return null
    },
    identify: async ({ path }) => identityOf(openMessage(path, wholeOctets) as AsyncIterable<Uint8Array> | Uint8Array),
    close: async () => {
      await store.close()
      return null
    },
  }

  const call = <Call extends ThreadCall>(name: Call, ask: ThreadCalls[Call]['ask']): Promise<unknown> =>
    serve[name](ask)
  port.on('message', ({ number, call: name, ask }: ThreadDown) => {
    call(name, ask)
      .then(
        (result) => tell({ type: 'answer', number, result }),
        (thrown: unknown) => tell({ type: 'fault', number, fault: faultOf(thrown) }),
      )
      .finally(() => {
        // With the port closed nothing keeps the thread: it ends by itself, the depot closed before.
        if (name === 'close') port.close()
      })
  })
}

/** The depot, opened when it is first needed. */
function createOpener(
  plan: ThreadPlan,
  tell: (frame: ThreadUp) => void,
): { open(): Promise<Opened>; close(): Promise<void> } {
  let opening: Promise<Opened> | null = null
  let opened: Opened | null = null
  let failure: { readonly error: unknown; readonly untilMs: number; readonly pauseMs: number } | null = null
  let isClosed = false

  const openNow = async (): Promise<Opened> => {
    const { directory, maxOctets, insideOctets } = plan
    const group = plan.group === null ? null : groupNumber(plan.group)
    if (plan.group !== null && group === null) throw new Error(`there is no group "${plan.group}" in /etc/group`)
    const depot = await openDepot(directory, {
      insideOctets,
      group,
      mode: plan.mode === 'auto' ? null : plan.mode === '0660' ? 0o660 : 0o600,
      ...(maxOctets === null ? {} : { maxBytes: maxOctets }),
    })
    const maps = openTtlMaps(depotPort(depot.core.environment), {
      failed: (error) => tell({ type: 'trouble', text: `sweeping the TTL maps failed: ${describeThrown(error)}` }),
      jumped: (byMs) =>
        tell({
          type: 'trouble',
          text: `the clock jumped by ${Math.round(byMs)} ms: TTL maps are not swept for a while`,
        }),
    })
    return { depot, maps, openMaps: createMapTimes(maps) }
  }
  const tryToOpen = async (): Promise<Opened> => {
    try {
      opened = await openNow()
      failure = null
      tell({ type: 'opened', problem: null })
      return opened
    } catch (error) {
      const pauseMs = Math.min(retry.maxMs, failure === null ? retry.firstMs : failure.pauseMs * 2)
      failure = { error, untilMs: performance.now() + pauseMs, pauseMs }
      opening = null
      tell({ type: 'opened', problem: describeThrown(error) })
      throw error
    }
  }
  return {
    open: () => {
      if (isClosed) return Promise.reject(new StoreError('STORE_LOST', 'the store is closed'))
      if (opened !== null) return Promise.resolve(opened)
      if (opening !== null) return opening
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it was thrown by openDepot
      if (failure !== null && performance.now() < failure.untilMs) return Promise.reject(failure.error)
      return (opening = tryToOpen())
    },
    close: async () => {
      isClosed = true
      const { depot, maps } = (await opening?.catch(() => null)) ?? {}
      await maps?.close()
      await depot?.close()
    },
  }
}
