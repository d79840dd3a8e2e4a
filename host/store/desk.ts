/**
 * Where the requests of filters arrive, in the host: what a thread sends is checked, bounded, and handed to the stores. Which
 * message it is about is told by the key of its job alone, so that none can add in the name of another.
 */
import { keptOriginalPath } from '../../courier-compat/kept-original.ts'
import type { OpenedPair } from '../pair.ts'
import type { Faults } from '../platform/faults.ts'
import { faultOf, packOctets, StoreError, storeLimits, type StoreFault, type StoreRequest } from './requests.ts'
import { readRequest } from './read-request.ts'
import { createStaging, type Staging } from './staging.ts'
import type { Stores } from './stores.ts'

/** A message in the hand of a thread. */
export interface ServedMessage {
  readonly pair: OpenedPair
  /** Made with its first addition. */
  staging: Staging | null
}

/** What a thread is answered. */
export type StoreAnswer =
  | { readonly type: 'store'; readonly number: number; readonly result: unknown }
  | { readonly type: 'store'; readonly number: number; readonly fault: StoreFault }

/** Where one request comes from. */
export interface RequestOrigin {
  /** The thread's line: of its requests only so many are open at the same time. */
  readonly line: object
  /** The message of a key; `null` where the thread has none of that key, or where it is settled. */
  readonly messageOf: (key: string) => ServedMessage | null
  readonly aliasOf: (filter: number) => string | null
  readonly answer: (frame: StoreAnswer) => void
}

/** Takes requests. */
export interface StoreDesk {
  receive(frame: Record<string, unknown>, origin: RequestOrigin): void
}

/** A desk in front of these stores. */
export function createDesk(stores: Stores, faults: Pick<Faults, 'at'>): StoreDesk {
  const loads = new WeakMap<object, { requests: number; octets: number }>()

  const carryOut = async (request: StoreRequest, origin: RequestOrigin): Promise<unknown> => {
    switch (request.op) {
      case 'ttl':
        return packOctets(await stores.ttl(request.maps, request.operations))
      case 'make-queue':
        await stores.makeQueue(request.queue, request.settings)
        return null
      case 'queues':
        return stores.queues()
      case 'add': {
        const message = origin.messageOf(request.key)
        const alias = origin.aliasOf(request.filter)
        if (message === null || alias === null) {
          throw new StoreError('STORE_REFUSED', 'an addition for a message that this thread does not have')
        }
        if (request.isDry) {
          if (request.make === null) await stores.demandQueue(request.queue)
          return null
        }
        message.staging ??= createStaging(stagedMessage(message.pair), stores, faults)
        await message.staging.add(request, alias)
        return null
      }
      case 'forget':
        origin.messageOf(request.key)?.staging?.forget(request.filter)
        return null
      default:
        return request satisfies never
    }
  }

  return {
    receive: (frame, origin) => {
      const number = Number(frame['number'])
      const refuse = (code: string, text: string): void =>
        origin.answer({ type: 'store', number, fault: faultOf(new StoreError(code, text)) })
      const checked = readRequest(frame['request'])
      if (typeof checked === 'string') return refuse('STORE_ARGUMENT', `the request ${checked}`)
      const { request, octets } = checked
      const load = loads.get(origin.line) ?? { requests: 0, octets: 0 }
      loads.set(origin.line, load)
      if (load.requests >= storeLimits.open || load.octets + octets > storeLimits.openOctets) {
        return refuse('STORE_BUSY', `${load.requests} requests of this thread wait already`)
      }
      load.requests++
      load.octets += octets
      void carryOut(request, origin)
        .then(
          (result) => {
            if (request.op !== 'forget') origin.answer({ type: 'store', number, result })
          },
          (thrown: unknown) => origin.answer({ type: 'store', number, fault: faultOf(thrown) }),
        )
        .finally(() => {
          load.requests--
          load.octets -= octets
        })
    },
  }
}

function stagedMessage({ bodyPath, facts }: OpenedPair) {
  const { sender, recipients } = facts
  return {
    ...{ bodyPath, originalPath: keptOriginalPath(bodyPath), sender },
    recipients: recipients.map(({ address }) => address),
  }
}
