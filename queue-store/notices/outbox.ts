/**
 * The outbox: a queue of the depot, for mail that is to be sent once something else has happened for certain.
 *
 * A notice is put into it by the transaction that acknowledges the message: either both happened or none. Sending is another matter
 * that may fail, be tried again, or be done by another process: at least once, by the growing delays of the queue.
 */
import type { AckOptions, Delivery, Depot, Entry, Queue, QueueSettings } from '../depot-types.ts'
import { isDepotError } from '../errors.ts'
import { SendRefused, type OutgoingMail, type Send } from './outgoing.ts'

/** The outbox's name. Names that begin with a dot are the library's own: no rule of an ini file puts mail in them. */
export const outboxName = '.outbox'

/** A minute at first, four hours at last, nearly five days in all. */
const outboxSettings: Partial<QueueSettings> = {
  order: 'none',
  maxDeliveries: 36,
  firstRetrySeconds: 60,
  retryFactor: 2,
  maxRetrySeconds: 14_400,
}

/** An addition to the outbox, for `AckOptions.add`. */
export type OutboxEntry = NonNullable<AckOptions['add']>[number]

/** How the outbox is sent. */
export interface OutboxOptions {
  readonly signal?: AbortSignal | null
  /** Returns when nothing is due any more; otherwise it goes on until the signal. */
  readonly once?: boolean
  /** So many at the same time; 4. */
  readonly concurrency?: number
  /** Longer than a mail server takes for one message; 900. A sender that was killed holds its mail so long. */
  readonly leaseSeconds?: number
  /** Told what a `send` threw. The mail is tried again, or lies buried where it was refused. */
  readonly onError?: (error: unknown, entry: Entry | null) => void
}

/** What became of the mail. */
export interface OutboxReport {
  readonly sent: number
  /** To be tried again. */
  readonly failed: number
  /** Buried, for a person to see. */
  readonly refused: number
}

/** The outbox of a depot, made where it is missing; its settings are then the administrator's. Errors: DEPOT_WRITE_FAILED. */
export async function openOutbox(depot: Pick<Depot, 'queue' | 'makeQueue'>): Promise<Queue> {
  try {
    return await depot.queue(outboxName)
  } catch (error) {
    if (!isDepotError(error, 'QUEUE_UNKNOWN')) throw error
    return depot.makeQueue(outboxName, outboxSettings)
  }
}

/** What puts mail into the outbox, once: the same `key` adds nothing more. */
export function outboxEntry(
  mail: OutgoingMail,
  { key, facts = {} }: { readonly key: string; readonly facts?: Entry['facts'] },
): OutboxEntry {
  const { from, to, message } = mail
  return { queue: outboxName, message, envelope: { sender: from, recipients: to }, facts, idempotencyKey: key }
}

/**
 * Sends what is in the outbox. Several processes may do so at the same time; each mail is sent by one of them, and a second
 * time only where the first was killed between sending it and saying so.
 * Errors: those of the depot that are not temporary; never those of `send`.
 */
export async function sendOutbox(
  depot: Pick<Depot, 'queue' | 'makeQueue'>,
  send: Send,
  options: OutboxOptions = {},
): Promise<OutboxReport> {
  const { signal = null, once = false, concurrency = 4, leaseSeconds = 900, onError } = options
  const queue = await openOutbox(depot)
  const report = { sent: 0, failed: 0, refused: 0 }
  /** Whether it was sent, and so is to be acknowledged. */
  const sendOne = async (delivery: Delivery): Promise<boolean> => {
    const { envelope, message } = delivery
    const mail = { from: envelope?.sender ?? null, to: envelope?.recipients ?? [], message: message.stream() }
    try {
      if (mail.to.length === 0) throw new SendRefused('it has no recipients')
      await send(mail)
      report.sent++
      return true
    } catch (error) {
      if (!(error instanceof SendRefused)) {
        report.failed++
        throw error
      }
      report.refused++
      await delivery.bury(error.message.slice(0, 1000))
      onError?.(error, delivery)
      return false
    } finally {
      // Whatever of it was not read holds a file open.
      mail.message.destroy()
    }
  }
  if (!once) {
    await queue.process(sendOne, { concurrency, leaseSeconds, signal, ...(onError === undefined ? {} : { onError }) })
    return report
  }
  const lane = async (): Promise<void> => {
    while (signal?.aborted !== true) {
      const [delivery] = await queue.receive({ leaseSeconds })
      if (delivery === undefined) return
      let isSent = false
      try {
        isSent = await sendOne(delivery)
      } catch (error) {
        onError?.(error, delivery)
        await delivery.nack({ reason: (error instanceof Error ? error.message : String(error)).slice(0, 1000) })
      }
      if (isSent) await delivery.ack()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  return report
}
