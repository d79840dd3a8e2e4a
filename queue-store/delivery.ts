/** A message under a lease, as its consumer has it, and the renewal of that lease while it is worked on. */
import { storedMessage } from './contents.ts'
import type { Delivery, Queue, Settled } from './depot-types.ts'
import { isDepotError } from './errors.ts'
import type { Taken } from './ledger.ts'

/** A delivery, and what its queue must know about it. */
export interface MadeDelivery {
  readonly delivery: Delivery
  /** Its consumer has ended the lease, one way or another. */
  readonly isSettled: () => boolean
  /** It has, or has asked for it. */
  readonly isEnding: () => boolean
  readonly lose: (error: unknown) => void
}

/** Makes the delivery of an entry that was taken. */
export function makeDelivery(
  queue: Pick<Queue, 'ack' | 'nack' | 'bury' | 'extend'>,
  folder: string,
  name: string,
  { id, entry, notes, content }: Taken,
  leaseSeconds: number,
): MadeDelivery {
  const loss = new AbortController()
  const receipt = { id: String(id), token: entry.token }
  let isSettled = false
  // Settled once the depot has said so: after an error the consumer, or the loop around it, tries again.
  let asked = 0
  const settling = async (call: Promise<Settled>): Promise<Settled> => {
    asked++
    try {
      const settled = await call
      isSettled = true
      return settled
    } finally {
      asked--
    }
  }
  const { state, octets, digest, addedMs, deliveries, dueMs, reason } = entry
  const delivery: Delivery = {
    ...receipt,
    queue: name,
    ...notes,
    state,
    octets,
    digest,
    addedMs,
    deliveries,
    dueMs,
    reason,
    message: storedMessage(entry, content, folder),
    signal: loss.signal,
    ack: (options) => settling(queue.ack(receipt, options)),
    nack: (options) => settling(queue.nack(receipt, options)),
    bury: (why) => settling(queue.bury(receipt, why)),
    extend: (seconds = leaseSeconds) => queue.extend(receipt, seconds),
  }
  return {
    delivery,
    isSettled: () => isSettled,
    isEnding: () => isSettled || asked > 0,
    lose: (error) => loss.abort(error),
  }
}

/** Renews a delivery's lease again and again, until the function given back is called or the lease is lost. */
export function renewing({ delivery, isEnding, lose }: MadeDelivery, leaseSeconds: number): () => void {
  const renew = async (): Promise<void> => {
    if (isEnding()) return
    try {
      await delivery.extend(leaseSeconds)
    } catch (error) {
      // Whatever else went wrong may go well the next time, of which there are two before the lease ends.
      if (!isDepotError(error, 'LEASE_LOST')) return
      clearInterval(timer)
      if (!isEnding()) lose(error)
    }
  }
  const timer = setInterval(() => void renew(), Math.min(2 ** 31 - 1, (leaseSeconds * 1000) / 3))
  return () => clearInterval(timer)
}
