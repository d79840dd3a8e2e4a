/** The Courier door: one connection a message; a request in, one answer out. */
import { createServer, type Socket } from 'node:net'
import type { Verdict } from '../../../courier-compat/reply.ts'
import type { Events } from '../../observe/events.ts'
import { createFloodReport } from '../../observe/flood-report.ts'
import type { Timer } from '../../platform/clock.ts'
import type { Platform } from '../../platform/platform.ts'
import type { AnswerFate, Door, RefusalKind, Take } from '../door.ts'
import { courierAnswer } from './answer.ts'
import { createRequestReader, type RequestReader } from './request.ts'
import { listenForCourier } from './socket.ts'

/** Where the socket is, and its limits. */
export interface CourierDoorOptions {
  /** The socket's name: the name of the launcher's link in Courier's `filters/active`. */
  readonly name: string
  /** `allfilters` (or `filters`) below Courier's localstatedir. */
  readonly directory: string
  readonly maxConnections: number
  readonly requestLimitOctets: number
  /** How long a client may take to send its request. */
  readonly requestTimeoutMs: number
}

/** How refusals are told of: the first ones each, then their number every so often. */
export const refusalReports = { everyMs: 10_000, connections: 1, requests: 20 } as const

/**
 * How long a client may leave its answer unread. Answers fit into a socket's buffer, unless an administrator made those
 * very small; then this is what ends such a connection.
 */
export const unreadLimitMs = 5000

/** A connection that has not sent its whole request yet. */
interface Asking {
  readonly reader: RequestReader
  readonly sinceMs: number
}

/** Makes the door; nothing happens before `open`. */
export function createCourierDoor(options: CourierDoorOptions, platform: Platform, log: Events): Door {
  const { clock, faults } = platform
  // Courier keeps its side open while it waits; others may close theirs, and still want their answer.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false })
  server.maxConnections = options.maxConnections
  /** In the order in which they came. All have the same time, so one timer, for the first, is enough. */
  const asking = new Map<Socket, Asking>()
  let askingTimer: Timer | null = null
  let inHand = 0
  let tellSettled: (() => void) | null = null
  let draining = false
  let take: Take = () => {
    throw new Error('the door is not open')
  }
  const counts = { open: 0, accepted: 0, refused: 0, requestsRefused: { late: 0, unfinished: 0, malformed: 0 } }
  const { everyMs, connections, requests } = refusalReports
  const connectionReport = createFloodReport<null>(
    {
      ...{ first: connections, everyMs },
      tell: () => log.connectionsRefused('courierfilter', 1),
      tellMore: (count) => log.connectionsRefused('courierfilter', count),
    },
    clock,
  )
  const requestReport = createFloodReport<string>(
    {
      ...{ first: requests, everyMs },
      tell: (cause) => log.requestRefused('courierfilter', cause),
      tellMore: (count) => log.requestRefused('courierfilter', `so were ${count} more requests`),
    },
    clock,
  )
  server.on('drop', () => {
    counts.refused++
    connectionReport.add(null)
  })

  /** Closing without a word is heard as 432: the safe answer to whatever is no request. */
  function refuse(socket: Socket, kind: RefusalKind, cause: string): void {
    if (asking.delete(socket)) {
      counts.requestsRefused[kind]++
      requestReport.add(cause)
    }
    socket.destroy()
  }

  /** Closes the connections whose time to ask is over, and waits for the next one's. */
  function endLate(): void {
    askingTimer = null
    const nowMs = clock.monotonicMs()
    for (const [socket, { sinceMs }] of asking) {
      const leftMs = sinceMs + options.requestTimeoutMs - nowMs
      if (leftMs > 0) {
        askingTimer = clock.after(Math.ceil(leftMs), endLate)
        return
      }
      refuse(socket, 'late', `no whole request within ${options.requestTimeoutMs} ms`)
    }
  }

  // One function for all connections, and nothing held for them but the socket: thousands may wait for their answer.
  function onData(this: Socket, chunk: Buffer): void {
    try {
      read(this, chunk)
    } catch (thrown) {
      blame(this, thrown)
    }
  }
  function onEnd(this: Socket): void {
    if (asking.has(this)) refuse(this, 'unfinished', 'the connection ended before the empty line')
  }
  function onClose(this: Socket): void {
    counts.open--
    asking.delete(this)
  }

  function serve(socket: Socket): void {
    if (draining) return void socket.destroy()
    faults.at('door.accepted')
    counts.open++
    counts.accepted++
    asking.set(socket, { reader: createRequestReader(options.requestLimitOctets), sinceMs: clock.monotonicMs() })
    askingTimer ??= clock.after(options.requestTimeoutMs, endLate)
    socket.on('error', ignore)
    socket.on('close', onClose)
    socket.on('end', onEnd)
    socket.on('data', onData)
  }

  function read(socket: Socket, chunk: Buffer): void {
    const state = asking.get(socket)?.reader.push(chunk)
    if (state === undefined) {
      // Whatever follows the request is never read; whoever goes on sending has to wait for the answer.
      socket.pause()
      return
    }
    if (state === null) return
    if ('refused' in state) {
      refuse(socket, 'malformed', state.refused)
      return
    }
    asking.delete(socket)
    faults.at('door.request-read')
    inHand++
    take({ door: 'courierfilter', pair: state.pair }, (verdict) => send(socket, verdict))
  }

  /** Resolves once no message is in hand. */
  function allSettled(): Promise<void> {
    return new Promise((resolve) => {
      if (inHand === 0) resolve()
      else tellSettled = resolve
    })
  }

  /** A bug of ours costs its own connection, which hears 432, and no other. */
  function blame(socket: Socket, thrown: unknown): void {
    log.bug('courierfilter', thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
    socket.destroy()
  }

  function send(socket: Socket, verdict: Verdict): AnswerFate {
    inHand--
    if (inHand === 0) tellSettled?.()
    if (socket.destroyed || !socket.writable) return 'nobody-there'
    // One write: a cut answer could read as another one. The client may keep its side open as long as it likes; ours is done
    // once the answer is out, and closing says so without one more call to the system.
    socket.write(courierAnswer(verdict), 'latin1')
    if (socket.writableLength === 0) process.nextTick(destroy, socket)
    else {
      socket.destroySoon()
      clock.after(unreadLimitMs, () => socket.destroy())
    }
    faults.at('door.reply-written')
    return 'sent'
  }

  return {
    name: 'courierfilter',
    counts: () => ({ ...counts, requestsRefused: { ...counts.requestsRefused } }),
    open: async (handTo) => {
      take = handTo
      server.on('connection', (socket) => {
        try {
          serve(socket)
        } catch (thrown) {
          blame(socket, thrown)
        }
      })
      const path = await listenForCourier(server, options.directory, options.name, platform.files)
      server.on('error', (error) => log.doorFailed('courierfilter', error.message))
      log.doorOpened('courierfilter', path)
    },
    drain: async (limitMs) => {
      draining = true
      connectionReport.close()
      requestReport.close()
      askingTimer?.cancel()
      // Closes the listening socket; its file, under the name it was renamed to, stays.
      server.close()
      for (const socket of asking.keys()) socket.destroy()
      const { promise: late, resolve } = Promise.withResolvers<undefined>()
      const timer = clock.after(limitMs, () => resolve(undefined))
      await Promise.race([allSettled(), late])
      timer.cancel()
    },
  }
}

/** Not at once: a stream that is destroyed in the course of a write makes an error of it, for nobody. */
function destroy(socket: Socket): void {
  socket.destroy()
}

function ignore(): void {
  // What goes wrong with a connection shows when its answer is sent.
}
