/** The Courier door: one connection a message; a request in, one answer out. */
import { createServer, type Socket } from 'node:net'
import type { Verdict } from '../../../courier-compat/reply.ts'
import type { Events } from '../../observe/events.ts'
import type { Platform } from '../../platform/platform.ts'
import type { AnswerFate, Door, Take } from '../door.ts'
import { courierAnswer } from './answer.ts'
import { createRequestReader } from './request.ts'
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

/** How often refused connections are told of. */
const refusedReportMs = 10_000

/** Makes the door; nothing happens before `open`. */
export function createCourierDoor(options: CourierDoorOptions, platform: Platform, log: Events): Door {
  const { clock, faults } = platform
  // Courier keeps its side open while it waits; others may close theirs, and still want their answer.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false })
  server.maxConnections = options.maxConnections
  const asking = new Set<Socket>()
  const inHand = new Set<Promise<void>>()
  let refused = 0
  let draining = false
  server.on('drop', () => refused++)
  const refusedReport = clock.every(refusedReportMs, () => {
    if (refused > 0) log.connectionsRefused('courierfilter', refused)
    refused = 0
  })

  function serve(socket: Socket, take: Take): void {
    if (draining) return void socket.destroy()
    faults.at('door.accepted')
    asking.add(socket)
    const reader = createRequestReader(options.requestLimitOctets)
    const timer = clock.after(options.requestTimeoutMs, () =>
      refuse(`no whole request within ${options.requestTimeoutMs} ms`),
    )
    // Closing without a word is heard as 432: the safe answer to whatever is no request.
    const refuse = (cause: string): void => {
      timer.cancel()
      if (asking.delete(socket)) log.requestRefused('courierfilter', cause)
      socket.destroy()
    }
    socket.on('error', () => undefined)
    socket.on('close', () => {
      timer.cancel()
      asking.delete(socket)
    })
    socket.on('end', () => {
      if (asking.has(socket)) refuse('the connection ended before the empty line')
    })
    const read = (chunk: Buffer): void => {
      if (!asking.has(socket)) return
      const state = reader.push(chunk)
      if (state === null) return
      if ('refused' in state) return refuse(state.refused)
      timer.cancel()
      asking.delete(socket)
      faults.at('door.request-read')
      const settled = take({ door: 'courierfilter', pair: state.pair }, (verdict) => send(socket, verdict))
      inHand.add(settled)
      void settled.finally(() => inHand.delete(settled))
    }
    socket.on('data', (chunk: Buffer) => contain(socket, () => read(chunk)))
  }

  /** A bug of ours costs its own connection, which hears 432, and no other. */
  function contain(socket: Socket, step: () => void): void {
    try {
      step()
    } catch (thrown) {
      log.bug('courierfilter', thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
      socket.destroy()
    }
  }

  function send(socket: Socket, verdict: Verdict): AnswerFate {
    if (socket.destroyed || !socket.writable) return 'nobody-there'
    // One write: a cut answer could read as another one.
    // The client may keep its side open as long as it likes; ours is done once the answer is out.
    socket.end(courierAnswer(verdict), 'latin1', () => socket.destroySoon())
    faults.at('door.reply-written')
    return 'sent'
  }

  return {
    name: 'courierfilter',
    open: async (take) => {
      server.on('connection', (socket) => contain(socket, () => serve(socket, take)))
      const path = await listenForCourier(server, options.directory, options.name, platform.files)
      server.on('error', (error) => log.doorFailed('courierfilter', error.message))
      log.doorOpened('courierfilter', path)
    },
    drain: async (limitMs) => {
      draining = true
      refusedReport.cancel()
      // Closes the listening socket; its file, under the name it was renamed to, stays.
      server.close()
      for (const socket of asking) socket.destroy()
      const { promise: late, resolve } = Promise.withResolvers<undefined>()
      const timer = clock.after(limitMs, () => resolve(undefined))
      await Promise.race([Promise.all(inHand), late])
      timer.cancel()
    },
  }
}
