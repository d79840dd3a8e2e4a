/**
 * What the filters of one message have added to queues: staged while they run, published when the message is accepted, or
 * dropped.
 */
import { createHash } from 'node:crypto'
import type { Faults } from '../platform/faults.ts'
import { StoreError, storeLimits, type AddRequest } from './requests.ts'
import type { StageEntry, Stores } from './stores.ts'

/** A message whose filters add to queues. Its path is that of intake, never one that a filter names. */
export interface StagedMessage {
  readonly bodyPath: string
  /** Where its original lies once a filter has edited it. */
  readonly originalPath: string
  /** As they came in. */
  readonly sender: string | null
  readonly recipients: readonly string[]
}

/** What one filter added, or would. */
export interface Addition {
  readonly filter: string
  readonly queue: string
  readonly octets: number
}

/** What was published. */
export interface Published extends Addition {
  /** The message's id in its queue. */
  readonly id: string
  /** `false` where an earlier delivery of the same message had added it. */
  readonly isNew: boolean
}

/** The additions of one run of one message. */
export interface Staging {
  /** Stages an addition of the filter of this alias. Errors: those of the store; STORE_LOST where the run is over. */
  add(request: AddRequest, alias: string): Promise<void>
  /** Drops what the filter at this place has added so far. */
  forget(filter: number): void
  /** Drops all, and takes no more. */
  drop(): void
  /** Takes no more, and adds all that is staged in one transaction. Errors: as `Stores.publish`; nothing must be accepted then. */
  publish(): Promise<readonly Published[]>
  list(): readonly Addition[]
}

interface Item {
  readonly filter: number
  readonly alias: string
  readonly queue: string
  octets: number
  /** `null` until it is staged. */
  handle: number | null
  done: Promise<unknown>
}

/** Nothing staged yet. */
export function createStaging(message: StagedMessage, stores: Stores, faults: Pick<Faults, 'at'>): Staging {
  const items = new Set<Item>()
  const counts = new Map<string, number>()
  let isOver = false
  let identity: Promise<string | null> | null = null

  /** Of the message as it came in: edits may differ from one run to the next. */
  const identify = (): Promise<string | null> =>
    (identity ??= stores.identify(message.originalPath).catch((thrown: unknown) => {
      if (!isMissing(thrown)) throw thrown
      return stores.identify(message.bodyPath)
    }))

  const keyFor = async (alias: string, queue: string, position: number): Promise<string | null> => {
    const content = await identify()
    if (content === null) return null
    const parts = [content, message.sender, ...[...message.recipients].sort(), alias, queue, position]
    return `delivery:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`
  }

  const stage = async (item: Item, request: AddRequest, position: number): Promise<void> => {
    const { queue, envelope, facts, orderKey, make } = request
    const idempotencyKey =
      request.idempotencyKey === undefined ? await keyFor(item.alias, queue, position) : request.idempotencyKey
    faults.at('store.staging')
    const entry: StageEntry = {
      ...{ queue, envelope, facts, make, key: orderKey, idempotencyKey },
      message: request.message ?? message.bodyPath,
    }
    const { handle, octets } = await stores.stage(entry)
    faults.at('store.staged')
    if (!items.has(item)) {
      stores.drop([handle])
      throw over()
    }
    item.handle = handle
    item.octets = octets
  }

  const dropItems = (dropped: readonly Item[]): void => {
    for (const item of dropped) items.delete(item)
    // One that is not staged yet finds itself gone when it is.
    stores.drop(dropped.flatMap(({ handle }) => handle ?? []))
  }

  return {
    add: async (request, alias) => {
      if (isOver) throw over()
      if (items.size >= storeLimits.additions) {
        throw new StoreError('STORE_ARGUMENT', `a message can be added ${storeLimits.additions} times`)
      }
      const { filter, queue } = request
      const place = `${filter} ${queue}`
      const position = counts.get(place) ?? 0
      counts.set(place, position + 1)
      const item: Item = { filter, alias, queue, octets: 0, handle: null, done: Promise.resolve() }
      items.add(item)
      const staged = stage(item, request, position)
      item.done = staged.catch(() => items.delete(item))
      await staged
    },
    forget: (filter) => dropItems([...items].filter((item) => item.filter === filter)),
    drop: () => {
      isOver = true
      dropItems([...items])
    },
    publish: async () => {
      isOver = true
      const all = [...items]
      // The thread waits for these itself before it says a verdict.
      await Promise.all(all.map(({ done }) => done))
      const handles = all.flatMap(({ handle }) => handle ?? [])
      if (handles.length < all.length) {
        stores.drop(handles)
        throw new StoreError('STORE_LOST', 'what was to be added could not be staged')
      }
      faults.at('store.publishing')
      const added = await stores.publish(handles)
      faults.at('store.published')
      return all.map(({ alias, queue, octets }, index) => {
        const { id = '', isNew = true } = added[index] ?? {}
        return { filter: alias, queue, octets, id, isNew }
      })
    },
    list: () => [...items].map(({ alias, queue, octets }) => ({ filter: alias, queue, octets })),
  }
}

function over(): StoreError {
  return new StoreError('STORE_LOST', 'the run of the message to which this belongs is over')
}

function isMissing(thrown: unknown): boolean {
  return (thrown as { readonly code?: unknown } | null)?.code === 'ENOENT'
}
