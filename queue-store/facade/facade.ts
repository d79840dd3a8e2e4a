/**
 * The queue library under the names that consumers of repoze.postoffice know.
 *
 *     const queue = await openQueue('/var/lib/postoffice', 'project')
 *     for (let message = await queue.popNext(); message !== null; message = await queue.popNext()) {
 *       await handle(message)
 *       await message.ack()
 *     }
 *     await queue.close()
 *
 * What was one transaction of the application is the lease of one message here: `popNext` takes it, `ack` is the commit, `nack` the
 * abort, and where the consumer dies, the end of its lease is the abort. So a message is not lost between the two, as it would be
 * if taking it removed it, and a taken one is nobody else's meanwhile.
 *
 * A quarantined message is named by the id that it has in the depot, which no message carries and nobody can forge; ids are
 * never used again.
 *
 * Source: spec postoffice 7, 9, 13, 14, 19.2.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fieldsNamed, type HeaderSection } from '../../courier-compat/header/section.ts'
import { numberOf } from '../core.ts'
import { openDepot, type OpenedDepot } from '../depot.ts'
import type { Added, Content, Delivery, Entry, NewEntry, Queue, StoredMessage } from '../depot-types.ts'
import { DepotError, isDepotError } from '../errors.ts'
import { idNumber } from '../keys.ts'
import * as ledger from '../ledger.ts'
import { demandAuthor, openDrafts, type BounceOptions, type Drafted, type NoticeOptions } from '../notices/notices.ts'
import type { Send } from '../notices/outgoing.ts'
import type { Silence } from '../notices/answerable.ts'
import { readEntry } from '../tables.ts'
import { depotPort, openTtlMaps, type TtlClock, type TtlMaps } from '../ttl/index.ts'
import { averageFrequency, instantaneousFrequency, readTimes, withTime } from './frequency.ts'
import { headerOf, messageKey, senderKey, withHeader, type Examined } from './message-key.ts'
import { errorOf, reasonOf, type StructuredError } from './structured-error.ts'

/** A message that this queue holds or has just given out: a delivery, or a quarantined one. */
export type QueueMessage = Entry & { readonly message: StoredMessage }

/** A message in the quarantine. */
export type QuarantinedMessage = QueueMessage & { readonly error: StructuredError }

/** What became of a notice. */
export type Told = { readonly sent: true } | { readonly sent: false; readonly why: Silence; readonly text: string }

/** Header values that must be equal too before messages of a sender count together; `null` and `{}` are the same. */
export type LoopHeaders = Readonly<Record<string, string>> | null

/** How a notice is sent. */
export interface BounceRequest extends Partial<Omit<BounceOptions, 'from'>> {
  readonly send: Send
  readonly from: string
}

/** How a quarantine tells the author. */
export interface QuarantineRequest extends Partial<Omit<NoticeOptions, 'from'>> {
  /** Without it nobody is told. */
  readonly send?: Send | null
  /** Who tells it; must be there where `send` is. */
  readonly noticeFrom?: string | null
}

/** A queue under its old names. Errors: DepotError by its code. Units: times are milliseconds since the epoch. */
export interface PostofficeQueue {
  readonly name: string
  /** The same queue under its new names. */
  readonly queue: Queue
  /** Adds a message, and remembers its Message-Id and X-Original-To for `isDuplicate`, in one transaction. */
  add(message: Content, more?: Omit<NewEntry, 'message'>): Promise<Added>
  /** How many wait; those that are out or in quarantine are not counted. Kept, not counted: it costs the same with millions. */
  length(): Promise<number>
  /** The oldest message, taken for so long (300 s); `null` where none waits. It must be acknowledged, or comes again. */
  popNext(options?: { readonly leaseSeconds?: number }): Promise<Delivery | null>
  /** Whether a message with this Message-Id and X-Original-To was added within 24 hours. One without Message-Id never was. */
  isDuplicate(message: Examined): Promise<boolean>
  /**
   * Tells the author that the message cannot be used. The message stays where it is: acknowledge it.
   * Errors: RangeError where both a reason and a message of your own are given; what `send` throws. For a bounce that is sent
   *         for certain, once the message is acknowledged, see `openNotices`.
   */
  bounce(message: QueueMessage, request: BounceRequest): Promise<Told>
  /**
   * Puts a message aside, with the error, for a person to look at; gives its handle, and what became of the notice.
   * Errors: DEPOT_OPTION for `send` without `noticeFrom`, before anything is stored; LEASE_LOST, ENTRY_UNKNOWN where it is no longer
   *         ours to put aside; what `send` throws: then it is stored.
   */
  quarantine(
    message: QueueMessage,
    error: unknown,
    request?: QuarantineRequest,
  ): Promise<{ readonly handle: string; readonly notice: Told | null }>
  /** By handle. */
  getQuarantinedMessages(): AsyncGenerator<QuarantinedMessage, void, undefined>
  /** Errors: ENTRY_ID for what is no handle; ENTRY_UNKNOWN for what is not in the quarantine. */
  getQuarantinedMessage(handle: string): Promise<QuarantinedMessage>
  countQuarantinedMessages(): Promise<number>
  /** Removes it for good. Errors: as `getQuarantinedMessage`; nothing else is ever removed. */
  removeFromQuarantine(message: string | Pick<Entry, 'id'>): Promise<void>
  /** Puts all at the end of the queue, by handle; how many. */
  requeueQuarantinedMessages(): Promise<number>
  /** Records that the message's sender wrote, when it came. */
  collectFrequencyData(message: QueueMessage, headers?: LoopHeaders, atMs?: number): Promise<void>
  /** Messages a minute since the sender's last one; 0 without one, infinite for one of the same instant. */
  getInstantaneousFrequency(user: string, nowMs: number, headers?: LoopHeaders): Promise<number>
  /** Messages a minute over the interval before now. At most 128 messages of a sender are remembered, for 30 days. */
  getAverageFrequency(user: string, nowMs: number, intervalMs: number, headers?: LoopHeaders): Promise<number>
  /** Throttles a sender up to this moment, which is still in it. */
  throttle(user: string, untilMs: number, headers?: LoopHeaders): Promise<void>
  isThrottled(user: string, nowMs: number, headers?: LoopHeaders): Promise<boolean>
  /** Closes the depot where `openQueue` opened it. */
  close(): Promise<void>
}

/** Settings of the facade. */
export interface OpenQueueOptions {
  /** Handed in by tests. */
  readonly clock?: TtlClock
}

const maps = {
  seen: { name: 'facade.seen', ttlMs: 86_400_000 },
  times: { name: 'facade.times', ttlMs: 30 * 86_400_000 },
  throttles: { name: 'facade.throttles', ttlMs: 30 * 86_400_000 },
} as const

const popLeaseSeconds = 300
const pageEntries = 100
/** So many forgotten ids are removed at each add: more than it remembers. */
const sweptAtOnce = 16

/**
 * Opens a queue of an open depot, or of the depot in this folder, which is closed with it.
 * Errors: QUEUE_UNKNOWN, also where there is no depot: nothing is made or left open then; those of `openDepot`.
 */
export async function openQueue(
  depot: OpenedDepot | string,
  name: string,
  options: OpenQueueOptions = {},
): Promise<PostofficeQueue> {
  if (typeof depot !== 'string') return facade(depot, await depot.queue(name), options, () => Promise.resolve())
  if (!existsSync(join(depot, 'depot.json'))) throw new DepotError('QUEUE_UNKNOWN', `${depot} is no depot`)
  const opened = await openDepot(depot)
  try {
    return facade(opened, await opened.queue(name), options, () => opened.close())
  } catch (error) {
    await opened.close()
    throw error
  }
}

function facade(
  depot: OpenedDepot,
  queue: Queue,
  { clock }: OpenQueueOptions,
  close: () => Promise<void>,
): PostofficeQueue {
  const timing = clock === undefined ? {} : { clock }
  const ttl: TtlMaps = openTtlMaps(depotPort(depot.core.environment), { sweep: null, ...timing })
  const [seen, times, throttles] = [maps.seen, maps.times, maps.throttles].map(({ name, ttlMs }) =>
    ttl.ttlMap(name, { ttlMs }),
  ) as [ReturnType<typeof ttl.ttlMap>, ReturnType<typeof ttl.ttlMap>, ReturnType<typeof ttl.ttlMap>]

  const tell = async (drafted: Drafted, send: Send): Promise<Told> => {
    if (!drafted.ok) return { sent: false, why: drafted.why, text: drafted.text }
    await send(drafted.mail)
    return { sent: true }
  }
  const recorded = async (user: string, headers: LoopHeaders): Promise<number[]> => {
    const entry = await times.get(senderKey(queue.name, user, headers))
    return entry?.value instanceof Uint8Array ? readTimes(entry.value) : []
  }
  const quarantined = async (handle: string): Promise<QuarantinedMessage> => {
    const { entry, message } = await queue.open(handle)
    if (entry.state !== 'buried') throw new DepotError('ENTRY_UNKNOWN', `message ${handle} is not in the quarantine`)
    return { ...entry, message, error: errorOf(entry.reason) }
  }

  return {
    get name() {
      return queue.name
    },
    queue,
    add: async (message, more = {}) => {
      const { content, header } = withHeader(message)
      const staged = await depot.stage({ ...more, message: content, queue: queue.name })
      const key = await keyOfStaged(queue.name, header, () => depot.drop(staged))
      const [added] = await depot.publishWith([staged], ttl, (apply) => {
        if (key !== null) apply([{ op: 'set', map: seen.name, key, value: null }])
        return [{ facts: more.facts ?? {} }]
      })
      // It is added, whatever becomes of the sweep.
      await ttl.sweep(sweptAtOnce).catch(() => undefined)
      return added as Added
    },
    length: async () => {
      const { ready, held, delayed } = await queue.counts()
      return ready + held + delayed
    },
    popNext: async ({ leaseSeconds = popLeaseSeconds } = {}) => (await queue.receive({ leaseSeconds }))[0] ?? null,
    isDuplicate: async (message) => {
      const key = messageKey(queue.name, await headerOf(message))
      return key !== null && seen.has(key)
    },
    bounce: async (message, { send, ...options }) => {
      const notices = await openDrafts(depot, { ...options, ...timing })
      return tell(await notices.bounce({ ...held(message), queue: queue.name }, options), send)
    },
    quarantine: async (message, error, { send = null, noticeFrom = null, ...options } = {}) => {
      if (send !== null) demandAuthor(noticeFrom)
      const reason = reasonOf(error)
      if ('bury' in message) {
        if ((await (message as Delivery).bury(reason)) === 'gone') throw new DepotError('ENTRY_UNKNOWN', message.id)
      } else if (!(await queue.setAside(message.id, reason))) await quarantined(message.id)
      if (send === null || noticeFrom === null) return { handle: message.id, notice: null }
      const notices = await openDrafts(depot, { ...options, from: noticeFrom, ...timing })
      const drafted = await notices.quarantined({ ...held(message), queue: queue.name })
      return { handle: message.id, notice: await tell(drafted, send) }
    },
    getQuarantinedMessages: async function* () {
      for (let after: string | null = null; ;) {
        const page: Entry[] = await queue.peek({ what: 'buried', max: pageEntries, after })
        for (const { id } of page) {
          // One that was removed or requeued since the page was read is not there.
          const found = await quarantined(id).catch((error: unknown) => {
            if (isDepotError(error, 'ENTRY_UNKNOWN')) return null
            throw error
          })
          if (found !== null) yield found
        }
        after = page.at(-1)?.id ?? null
        if (after === null) return
      }
    },
    getQuarantinedMessage: quarantined,
    countQuarantinedMessages: async () => (await queue.counts()).buried,
    removeFromQuarantine: (message) =>
      removeBuried(depot, queue.name, typeof message === 'string' ? message : message.id),
    requeueQuarantinedMessages: () => queue.requeueAll('buried'),
    collectFrequencyData: async (message, headers = null, atMs = arrivalOf(message)) => {
      const from = fieldsNamed(await headerOf(message), 'From').find(({ value }) => value !== '')
      const key = senderKey(queue.name, from?.value ?? '', headers)
      await depot.publishWith([], ttl, (apply) => {
        const [entry] = apply([{ op: 'get', map: times.name, key }])
        const known = entry?.value instanceof Uint8Array ? entry.value : null
        apply([{ op: 'set', map: times.name, key, value: withTime(known, Math.floor(atMs)) }])
        return []
      })
    },
    getInstantaneousFrequency: async (user, nowMs, headers = null) =>
      instantaneousFrequency(await recorded(user, headers), nowMs),
    getAverageFrequency: async (user, nowMs, intervalMs, headers = null) =>
      averageFrequency(await recorded(user, headers), nowMs, intervalMs),
    throttle: async (user, untilMs, headers = null) => {
      await throttles.set(senderKey(queue.name, user, headers), untilMs)
    },
    isThrottled: async (user, nowMs, headers = null) => {
      const entry = await throttles.get(senderKey(queue.name, user, headers))
      return typeof entry?.value === 'number' && entry.value >= nowMs
    },
    close,
  }
}

/** The key of a staged message, which is dropped where its header section cannot be read any more. */
async function keyOfStaged(
  queue: string,
  header: () => Promise<HeaderSection>,
  drop: () => Promise<void>,
): Promise<string | null> {
  try {
    return messageKey(queue, await header())
  } catch (error) {
    await drop()
    throw error
  }
}

/** What a notice is about, without the calls of a delivery. */
function held({ id, envelope, facts, addedMs, message }: QueueMessage) {
  return { id, envelope, facts, addedMs, message }
}

/** When a message came, as the post office noted it; otherwise when it was added. */
function arrivalOf({ facts, addedMs }: Pick<Entry, 'facts' | 'addedMs'>): number {
  const noted = facts['arrivedAtMs']
  return typeof noted === 'number' && noted >= 0 ? noted : addedMs
}

/** Looks and removes in one transaction: what somebody has requeued meanwhile stays. */
async function removeBuried({ core }: OpenedDepot, name: string, handle: string): Promise<void> {
  const id = idNumber(handle)
  if (id === null) throw new DepotError('ENTRY_ID', JSON.stringify(handle.slice(0, 40)))
  await core.environment.write((view) => {
    const queue = numberOf(view, core, name)
    const entry = readEntry(view, core.books.tables, queue, id)
    if (entry?.state !== 'buried') {
      throw new DepotError('ENTRY_UNKNOWN', `message ${handle} is not in the quarantine`)
    }
    ledger.remove(view, core.books, queue, id)
  })
}
