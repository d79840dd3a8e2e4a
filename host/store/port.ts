/** The way from a worker thread to the stores: requests up its line, each with a number, and answers down. */
import {
  errorOf,
  packRequest,
  readFault,
  StoreError,
  storeLimits,
  unpackOctets,
  type StoreRequest,
} from './requests.ts'

/** Where filters' stores send their requests. */
export interface StorePort {
  /** Errors: those of the stores, by their code; STORE_BUSY for too many at once. */
  request(request: StoreRequest): Promise<unknown>
  /** A request that has no answer. */
  tell(request: StoreRequest): void
}

/** A port whose answers come in by `receive`. */
export interface LinePort extends StorePort {
  receive(frame: { readonly number: number; readonly result?: unknown; readonly fault?: unknown }): void
}

/** A request on the line. */
export interface StoreFrame {
  readonly type: 'store'
  readonly number: number
  readonly request: unknown
}

/** A port on a line. */
export function createLinePort(send: (frame: StoreFrame) => void): LinePort {
  const open = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  return {
    request: async (request) => {
      if (open.size >= storeLimits.open) {
        throw new StoreError('STORE_BUSY', `${open.size} requests of this thread wait already`)
      }
      const number = ++last
      const answer = Promise.withResolvers<unknown>()
      send({ type: 'store', number, request: packRequest(request) })
      open.set(number, answer)
      const frame = (await answer.promise) as { readonly result?: unknown; readonly fault?: unknown }
      // Thrown here and not where the answer came in: so the error knows which filter waits for it.
      if (frame.fault !== undefined) throw errorOf(readFault(frame.fault))
      return unpackOctets(frame.result)
    },
    tell: (request) => send({ type: 'store', number: 0, request: packRequest(request) }),
    receive: ({ number, ...frame }) => {
      open.get(number)?.resolve(frame)
      open.delete(number)
    },
  }
}

/** A port that leads nowhere. */
export const deadPort: StorePort = {
  request: () => Promise.reject(new StoreError('STORE_LOST', 'there are no stores here')),
  tell: () => undefined,
}
