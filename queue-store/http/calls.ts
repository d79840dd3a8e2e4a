/** The calls of the HTTP interface, each upon a queue of the depot. */
import type { IncomingMessage } from 'node:http'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Delivery, Depot, Queue, Receipt, StoredMessage } from '../depot-types.ts'
import { DepotError } from '../errors.ts'
import { readMessage, readNotes } from './body.ts'
import { deliveryJson, entryJson } from './entry-json.ts'
import type { HttpLimits } from './limits.ts'
import { openApi, type OperationId } from './openapi.ts'
import { HttpProblem } from './problem.ts'
import type { Route } from './routes.ts'

/** What a call has. */
export interface Call extends Pick<Route, 'path' | 'query'> {
  readonly depot: Depot
  readonly request: IncomingMessage
  /** Checked against the document. */
  readonly body: Readonly<Record<string, unknown>>
  readonly limits: HttpLimits
  /** Aborted when the client goes, or the server closes. */
  readonly signal: AbortSignal
  readonly load: Load
}

/** What is in hand in the server. */
export interface Load {
  waiting: number
  uploads: number
}

/** What a call is answered with. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Otherwise there is no body. */
  readonly json?: unknown
  readonly content?: { readonly source: Readable; readonly octets: number }
  /** Called where the answer did not go out. */
  readonly undo?: () => Promise<void>
}

/** The calls by their names in the document. */
export const calls: Readonly<Record<OperationId, (call: Call) => Promise<Answer>>> = {
  health: async ({ depot, load }) => {
    await depot.queues()
    return done({ status: 'ok', waiting: load.waiting })
  },
  describe: () => Promise.resolve(done(openApi)),
  listQueues: async ({ depot }) => {
    const queues = []
    for (const name of await depot.queues()) {
      const counts = await countsIn(depot, name)
      if (counts !== null) queues.push({ name, counts })
    }
    return done({ queues })
  },
  showQueue: async (call) => {
    const queue = await queueOf(call)
    return done({ name: queue.name, counts: await queue.counts(), settings: queue.settings() })
  },
  receive,
  add,
  peek: async (call) => {
    const { what, max, after = null } = call.query
    const queue = await queueOf(call)
    const limit = Number(max)
    const found = await queue.peek({ what: what as 'live', max: limit, after: after === null ? null : String(after) })
    const last = found.length === limit ? (found.at(-1)?.id ?? null) : null
    return done({ messages: found.map(entryJson), next: last })
  },
  showMessage: async (call) => done(entryJson((await (await queueOf(call)).open(idOf(call))).entry)),
  readContent: async (call) => {
    const { message } = await (await queueOf(call)).open(idOf(call))
    return {
      status: 200,
      headers: {
        'content-type': 'message/rfc822',
        'repr-digest': `sha-256=:${Buffer.from(message.digest, 'hex').toString('base64')}:`,
      },
      content: { source: await opened(message), octets: message.octets },
    }
  },
  removeMessage: async (call) => {
    await (await queueOf(call)).remove(idOf(call))
    return { status: 204 }
  },
  ack: async (call) => {
    const { moveTo = null } = call.body as { readonly moveTo?: { readonly queue: string } }
    return done({ settled: await (await queueOf(call)).ack(receiptOf(call), { moveTo }) })
  },
  nack: async (call) => {
    const { delaySeconds = null, reason = null } = call.body as {
      readonly delaySeconds?: number
      readonly reason?: string
    }
    return done({ settled: await (await queueOf(call)).nack(receiptOf(call), { delaySeconds, reason }) })
  },
  extend: async (call) => {
    const { leaseSeconds = 60 } = call.body as { readonly leaseSeconds?: number }
    await (await queueOf(call)).extend(receiptOf(call), leaseSeconds)
    return { status: 204 }
  },
  bury: async (call) =>
    done({ settled: await (await queueOf(call)).bury(receiptOf(call), String(call.body['reason'])) }),
  requeueMessage: async (call) => done({ requeued: await (await queueOf(call)).requeue(idOf(call)) }),
  requeueAll: async (call) =>
    done({ requeued: await (await queueOf(call)).requeueAll(call.body['what'] as 'buried' | 'dead') }),
}

async function receive(call: Call): Promise<Answer> {
  const { body, load, limits, signal } = call
  const { max = 1, leaseSeconds = 60, waitSeconds = 0 } = body as Readonly<Record<string, number>>
  const queue = await queueOf(call)
  if (waitSeconds > 0 && load.waiting >= limits.waiting) {
    throw new HttpProblem('SERVER_BUSY', `${limits.waiting} clients wait already`, { 'retry-after': '1' })
  }
  const { socket } = call.request
  // Nothing moves on the connection while its client waits.
  socket.setTimeout(0)
  load.waiting++
  let deliveries: Delivery[] = []
  try {
    deliveries = await queue.receive({ max, leaseSeconds, waitSeconds, signal })
  } catch (error) {
    // The client went, and hears nothing more; or the server closes, and has no message.
    if (!signal.aborted) throw error
  } finally {
    load.waiting--
    socket.setTimeout(limits.idleMs)
  }
  return {
    ...done({ messages: deliveries.map(deliveryJson) }),
    undo: async () => {
      for (const delivery of deliveries) await delivery.nack({ delaySeconds: 0, reason: 'its consumer went' })
    },
  }
}

async function add(call: Call): Promise<Answer> {
  const { request, limits, load } = call
  const queue = await queueOf(call)
  const notes = readNotes(request)
  if (load.uploads >= limits.uploads) {
    throw new HttpProblem('SERVER_BUSY', `${limits.uploads} messages are being added already`, { 'retry-after': '1' })
  }
  load.uploads++
  try {
    const added = await queue.add({ ...notes, message: readMessage(request, limits.messageOctets) })
    const location = `/v1/queues/${encodeURIComponent(queue.name)}/messages/${added.id}`
    return { ...done(added), status: added.isNew ? 201 : 200, headers: { location } }
  } finally {
    load.uploads--
  }
}

function done(json: unknown): Answer {
  return { status: 200, json }
}

function queueOf({ depot, path }: Call): Promise<Queue> {
  return depot.queue(path['queue'] ?? '')
}

function idOf({ path }: Call): string {
  return path['id'] ?? ''
}

function receiptOf(call: Call): Pick<Receipt, 'id' | 'token'> {
  return { id: idOf(call), token: Number(call.body['token']) }
}

/** Counts of a queue that may be removed at this moment. */
async function countsIn(depot: Depot, name: string) {
  try {
    return await (await depot.queue(name)).counts()
  } catch (error) {
    if (error instanceof DepotError && error.code === 'QUEUE_UNKNOWN') return null
    throw error
  }
}

/** The octets. Opened here: a file that was removed meanwhile is to be told before the answer begins. */
async function opened(message: StoredMessage): Promise<Readable> {
  if (message.path === null) return message.stream()
  try {
    return (await open(message.path, 'r')).createReadStream()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new DepotError('ENTRY_UNKNOWN')
    throw new DepotError('MESSAGE_UNREADABLE', null, error)
  }
}
