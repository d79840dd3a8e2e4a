/** A queue of a depot: its calls, each a transaction of the ledger. */
import { setTimeout as pause } from 'node:timers/promises'
import { storedMessage } from './contents.ts'
import { numberOf, prepare, reading, writingWith, type Core } from './core.ts'
import { makeDelivery, renewing, type MadeDelivery } from './delivery.ts'
import type {
  AckOptions,
  Added,
  Entry,
  NackOptions,
  NewEntry,
  PeekOptions,
  Queue,
  ReceiveOptions,
} from './depot-types.ts'
import type { ReadView } from './environment.ts'
import { DepotError, isDepotError } from './errors.ts'
import { idNumber, inQueue, numberIn, queueKey, startingWith } from './keys.ts'
import { asidePrefix } from './ledger-places.ts'
import * as ledger from './ledger.ts'
import { checkNumber } from './queue-settings.ts'
import { countsOf, readEntry, readQueue, splitMessage, type EntryNotes, type EntryRecord } from './tables.ts'
import { startWait } from './waiting.ts'

/** So many entries are listed or requeued in one step. */
const stepEntries = 200
const defaultLeaseSeconds = 60

/** The queue of this number. */
export function openQueue(core: Core, number: number, name: string): Queue {
  const { environment, books, nowMs } = core
  const { tables } = books
  let lastName = name

  const currentName = (): string => {
    if (environment.isOpen()) {
      lastName = environment.read((view) => readQueue(view, tables, number))?.name ?? lastName
    }
    return lastName
  }
  const leaseMs = (seconds: number): number => 1000 * checkNumber('leaseSeconds', seconds, 0.001, 30 * 86_400)

  const add = async (entry: NewEntry): Promise<Added> => {
    const prepared = await prepare(core, entry)
    return writingWith(
      core,
      [prepared],
      (view) => ledger.add(view, books, number, prepared, nowMs()),
      (added) => !added.isNew,
    )
  }

  const ack: Queue['ack'] = async (receipt, options: AckOptions = {}) => {
    const lease = leaseOf(receipt)
    const { add: others = [], moveTo = null } = options
    const prepared: ledger.PreparedEntry[] = []
    try {
      for (const other of others) prepared.push(await prepare(core, other))
    } catch (error) {
      for (const { file } of prepared) if (file !== null) core.discard(file)
      throw error
    }
    const { settled } = await writingWith(
      core,
      prepared,
      (view) => {
        const settled =
          moveTo === null
            ? ledger.ack(view, books, number, lease)
            : ledger.move(view, books, [number, numberOf(view, core, moveTo.queue)], lease, moveTo.facts ?? {}, nowMs())
        const added: Added[] = []
        if (settled === 'done') {
          for (const [index, other] of others.entries()) {
            const entry = prepared[index] as ledger.PreparedEntry
            added.push(ledger.add(view, books, numberOf(view, core, other.queue), entry, nowMs()))
          }
        }
        return { settled, added }
      },
      ({ added }, index) => added[index]?.isNew !== true,
    )
    return settled
  }
  const nack: Queue['nack'] = async (receipt, { delaySeconds = null, reason = null }: NackOptions = {}) => {
    const lease = leaseOf(receipt)
    const delayMs = delaySeconds === null ? null : 1000 * checkNumber('delaySeconds', delaySeconds, 0, 366 * 86_400)
    return environment.write((view) => ledger.nack(view, books, number, lease, { delayMs, reason }, nowMs()))
  }
  const bury: Queue['bury'] = async (receipt, reason) => {
    const lease = leaseOf(receipt)
    return environment.write((view) => ledger.bury(view, books, number, lease, reason))
  }
  const extend: Queue['extend'] = async (receipt, leaseSeconds) => {
    const lease = leaseOf(receipt)
    const moreMs = leaseMs(leaseSeconds)
    return environment.write((view) => {
      const atMs = nowMs()
      ledger.extend(view, books, number, lease, atMs, atMs + moreMs)
    })
  }

  const receiveMade = async (options: ReceiveOptions): Promise<MadeDelivery[]> => {
    const { max = 1, leaseSeconds = defaultLeaseSeconds, waitSeconds = 0, signal = null } = options
    checkNumber('max', max, 1, 10_000)
    const forMs = leaseMs(leaseSeconds)
    if (waitSeconds !== Infinity) checkNumber('waitSeconds', waitSeconds, 0, 30 * 86_400)
    const endMs = performance.now() + waitSeconds * 1000
    for (;;) {
      signal?.throwIfAborted()
      if (core.closing.aborted) return []
      const wait = startWait(core)
      try {
        const dueMs = await reading(core, (view) => ledger.nextDueMs(view, books, number, nowMs()))
        if (dueMs === null) {
          const taken = await environment.write((view) => {
            const atMs = nowMs()
            return ledger.take(view, books, number, max, atMs, atMs + forMs)
          })
          if (taken.length === 0) continue
          const queue = currentName()
          return taken.map((one) =>
            makeDelivery({ ack, nack, bury, extend }, core.contents.folder, queue, one, leaseSeconds),
          )
        }
        const leftMs = endMs - performance.now()
        if (leftMs <= 0) return []
        await wait.over(Math.min(leftMs, dueMs), signal)
      } finally {
        wait.end()
      }
    }
  }

  /** One message at a time, its lease renewed until it is given back. */
  const next = async (leaseSeconds: number, signal: AbortSignal | null): Promise<MadeDelivery | null> => {
    try {
      const [made] = await receiveMade({ leaseSeconds, waitSeconds: Infinity, signal })
      return made ?? null
    } catch (error) {
      if (signal?.aborted === true) return null
      throw error
    }
  }

  const letGo = ({ delivery }: MadeDelivery): Promise<unknown> =>
    // Whatever is wrong with the depot, the error that ended the loop is the one to hear; the lease ends by itself.
    delivery.nack({ reason: 'its consumer left' }).catch(() => undefined)

  const deliveries: Queue['deliveries'] = async function* ({ leaseSeconds = defaultLeaseSeconds, signal = null } = {}) {
    for (let made = await next(leaseSeconds, signal); made !== null; made = await next(leaseSeconds, signal)) {
      const stop = renewing(made, leaseSeconds)
      let isHandled = false
      try {
        yield made.delivery
        isHandled = true
      } finally {
        stop()
        // The loop was left by a break or an error: the message is not done with.
        if (!isHandled && !made.isSettled()) await letGo(made)
      }
      if (made.isSettled()) continue
      await made.delivery.ack().catch((error: unknown) => {
        // Somebody else has the message, or will have it: it is theirs to settle.
        if (!isDepotError(error, 'LEASE_LOST')) throw error
      })
    }
  }

  const work: Queue['process'] = async (handler, options = {}) => {
    const { concurrency = 1, leaseSeconds = defaultLeaseSeconds, signal = null, onError } = options
    checkNumber('concurrency', concurrency, 1, 10_000)
    const handle = async (made: MadeDelivery): Promise<void> => {
      const { delivery } = made
      const stop = renewing(made, leaseSeconds)
      try {
        await handler(delivery)
        if (!made.isSettled()) await delivery.ack()
      } catch (error) {
        onError?.(error, delivery)
        if (!made.isSettled() && !isDepotError(error, 'LEASE_LOST')) await delivery.nack({ reason: reasonOf(error) })
      } finally {
        stop()
      }
    }
    const one = async (): Promise<void> => {
      for (;;) {
        try {
          const made = await next(leaseSeconds, signal)
          if (made === null) return
          await handle(made)
        } catch (error) {
          if (!isDepotError(error) || (!error.isTemporary && error.code !== 'LEASE_LOST')) throw error
          onError?.(error, null)
          // The disk does not take writes: asking at once again would only make it worse.
          await pause(1000)
        }
      }
    }
    await Promise.all(Array.from({ length: concurrency }, one))
  }

  const known = (view: ReadView, id: number): Entry => {
    const entry = readEntry(view, tables, number, id)
    const message = view.get(tables.messages, inQueue(number, id))
    if (entry === null || message === null) throw new DepotError('ENTRY_UNKNOWN', `message ${id}`)
    return entryOf(id, entry, splitMessage(message).notes)
  }

  const peek = async ({ what = 'live', max = 100, after = null }: PeekOptions = {}): Promise<Entry[]> => {
    checkNumber('max', max, 1, 10_000)
    const afterId = after === null ? null : idOf(after)
    return reading(core, (view) => {
      ledger.ownerOf(view, books, number)
      if (what !== 'live') {
        const prefix = asidePrefix(number, what)
        const { before } = startingWith(prefix)
        const from = Buffer.concat([prefix, inQueue(0, (afterId ?? 0) + 1).subarray(4)])
        return view.keys(tables.aside, { from, before, limit: max }).map((key) => known(view, numberIn(key, 12)))
      }
      const position = afterId === null ? 0 : (readEntry(view, tables, number, afterId)?.position ?? afterId)
      const { before } = startingWith(queueKey(number))
      const rows = view.rows(tables.line, { from: inQueue(number, position + 1), before, limit: max })
      return rows.map((row) => known(view, numberIn(row.value)))
    })
  }

  return {
    get name() {
      return currentName()
    },
    settings: () => {
      const owner = environment.read((view) => ledger.ownerOf(view, books, number))
      const { order, maxDeliveries, firstRetrySeconds, retryFactor, maxRetrySeconds, rememberSeconds } = owner
      return { order, maxDeliveries, firstRetrySeconds, retryFactor, maxRetrySeconds, rememberSeconds }
    },
    add,
    receive: async (options = {}) => (await receiveMade(options)).map(({ delivery }) => delivery),
    ack,
    nack,
    bury,
    extend,
    deliveries,
    process: work,
    peek,
    open: async (id) => {
      const at = idOf(id)
      return reading(core, (view) => {
        const entry = known(view, at)
        const record = readEntry(view, tables, number, at)
        const message = view.get(tables.messages, inQueue(number, at))
        if (record === null || message === null) throw new DepotError('ENTRY_UNKNOWN', `message ${id}`)
        return { entry, message: storedMessage(record, splitMessage(message).content, core.contents.folder) }
      })
    },
    requeue: async (id) => {
      const at = idOf(id)
      return environment.write((view) => ledger.requeue(view, books, number, at))
    },
    requeueAll: async (what) => {
      // Those that are aside now: what a consumer puts aside meanwhile does not come round and round.
      let count = 0
      for (let after: string | null = null; ;) {
        const found: Entry[] = await peek({ what, max: stepEntries, after })
        const last = found.at(-1)
        if (last === undefined) return count
        after = last.id
        count += await environment.write((view) => {
          let requeued = 0
          for (const { id } of found) {
            const at = Number(id)
            if (readEntry(view, tables, number, at) !== null && ledger.requeue(view, books, number, at)) requeued++
          }
          return requeued
        })
      }
    },
    setAside: async (id, reason) => {
      const at = idOf(id)
      return environment.write((view) => ledger.setAside(view, books, number, at, reason))
    },
    remove: async (id) => {
      const at = idOf(id)
      return environment.write((view) => ledger.remove(view, books, number, at))
    },
    counts: () =>
      reading(core, (view) => {
        const owner = ledger.ownerOf(view, books, number)
        const [first] = view.rows(tables.line, { ...startingWith(queueKey(number)), limit: 1 })
        const oldest = first === undefined ? null : readEntry(view, tables, number, numberIn(first.value))
        return countsOf(owner, oldest === null ? null : Math.max(0, nowMs() - oldest.addedMs))
      }),
  }
}

/** What is told about an entry. */
export function entryOf(id: number, entry: EntryRecord, { key, envelope, facts }: EntryNotes): Entry {
  const { state, octets, digest, addedMs, deliveries, dueMs, reason } = entry
  return { id: String(id), state, key, envelope, facts, octets, digest, addedMs, deliveries, dueMs, reason }
}

function idOf(id: string): number {
  const number = idNumber(id)
  if (number === null) throw new DepotError('ENTRY_ID', JSON.stringify(id.slice(0, 40)))
  return number
}

function leaseOf({ id, token }: { readonly id: string; readonly token: number }): ledger.Lease {
  return { id: idOf(id), token }
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1000)
}
