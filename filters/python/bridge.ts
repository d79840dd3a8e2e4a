/**
 * One thread's way to the Python process: a connection to the keeper, made when it is needed, and the messages on it.
 *
 * A message that was given up is settled only when no code of the filter runs for it any more: the host may then set its
 * files back, run it again, or tell the client that it may try again.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FilterLog } from '../../courier-compat/filter.ts'
import { createFrameReader, encodeFrame, type KeeperFrame, type Place, type Result } from './frames.ts'
import { startKeeper, type KeeperPlan } from './start.ts'

/** A filter in Python, seen from one thread. */
export interface Bridge {
  /** Resolves when the filter is loaded and initialised. Errors: rejects with the reason, and where in Python it lies. */
  open(): Promise<void>
  /** Errors: rejects if there will be no answer. After `signal` was aborted it settles when the message's code has ended. */
  run(bodyPath: string, controlPaths: readonly string[], signal: AbortSignal): Promise<Result>
  /** Says goodbye; the last thread waits until the filter has closed, for a bounded time. */
  close(): Promise<void>
}

/** Another thread's keeper has the lock and will listen in a moment. */
const againMs = 20

/** The keeper gives the filter two seconds to close, then kills it. */
const closeLimitMs = 3000

/** How long the process is waited for when its keeper has vanished; the system ends it with that. */
const orphanLimitMs = 1000

/** An error raised in Python. Its stack names the place there as Node would, since that is where the host looks for it. */
export function errorAt(name: string, text: string, place: Place | null): Error {
  const error = new Error(text)
  error.name = name
  error.stack = `${name}: ${text}${place === null ? '' : `\n    at ${place[0]}:${place[1]}:1`}`
  return error
}

interface Connection {
  readonly socket: Socket
  /** What is said of messages that it takes along. */
  readonly gone: Error
  /** Settles with the first `ready` or `broken`. */
  readonly ready: Promise<null>
  readonly ended: Promise<null>
  readonly open: Map<number, { readonly resolve: (result: Result) => void; readonly reject: (error: Error) => void }>
}

/** A bridge; nothing is started before it is opened. */
export function createBridge(plan: KeeperPlan, log: FilterLog): Bridge {
  let connection: Promise<Connection> | null = null
  let lastId = 0

  const reach = (): Promise<Connection> => {
    if (connection !== null) return connection
    const begun = dial(plan).then((socket) => converse(socket, log))
    const forget = (): void => {
      if (connection === begun) connection = null
    }
    begun.then(({ ended }) => ended.then(forget), forget)
    return (connection = begun)
  }

  return {
    open: async () => {
      const { ready, socket } = await reach()
      await ready.catch((thrown: unknown) => {
        // A keeper that nobody wants anything of ends, and with it a filter that is of no use.
        socket.destroy()
        throw thrown
      })
    },
    run: async (body, controls, signal) => {
      const { socket, open, gone } = await unlessAborted(reach(), signal)
      if (socket.closed) throw gone
      const id = ++lastId
      const drop = (): void => void socket.write(encodeFrame({ type: 'drop', id }))
      try {
        return await new Promise<Result>((resolve, reject) => {
          open.set(id, { resolve, reject })
          socket.write(encodeFrame({ type: 'run', id, body, controls }))
          signal.addEventListener('abort', drop)
        })
      } finally {
        signal.removeEventListener('abort', drop)
        open.delete(id)
      }
    },
    close: async () => {
      const reached = await connection?.catch(() => null)
      if (reached === null || reached === undefined) return
      reached.socket.write(encodeFrame({ type: 'bye' }))
      await Promise.race([reached.ended, sleep(closeLimitMs, null, { ref: false })])
      reached.socket.destroy()
    },
  }
}

/** Connects to the keeper, and starts one if there is none. */
async function dial(plan: KeeperPlan): Promise<Socket> {
  const giveUpAtMs = performance.now() + plan.startSeconds * 1000
  for (;;) {
    try {
      return await connectTo(plan.socket)
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw thrown
    }
    if ((await startKeeper(plan)) === 'taken') await sleep(againMs)
    if (performance.now() > giveUpAtMs) throw new Error(`nobody listens on ${plan.socket}`)
  }
}

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function converse(socket: Socket, log: FilterLog): Connection {
  const open: Connection['open'] = new Map()
  const read = createFrameReader()
  const ready = Promise.withResolvers<null>()
  const ended = Promise.withResolvers<null>()
  // Nobody may be waiting.
  ready.promise.catch(() => undefined)
  let pid: number | null = null
  const gone = new Error('the keeper of the Python process has ended')

  const receive = (frame: KeeperFrame): void => {
    switch (frame.type) {
      case 'ready':
        pid = frame.pid
        return ready.resolve(null)
      case 'broken':
        return ready.reject(errorAt('Error', frame.text, frame.place))
      case 'done':
        return open.get(frame.id)?.resolve(frame.result)
      case 'gone':
        return open.get(frame.id)?.reject(new Error(frame.text))
      case 'log':
        log[frame.level](frame.text)
        return
      default:
        frame satisfies never
    }
  }
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    try {
      for (const frame of read(text)) receive(frame)
    } catch (thrown) {
      log.error(`the Python process is not understood: ${String(thrown)}`)
      socket.destroy()
    }
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    ready.reject(gone)
    ended.resolve(null)
    if (open.size === 0) return
    log.error(`${gone.message}, with ${open.size} messages in hand`)
    const left = [...open.values()]
    void endOf(pid).then(() => {
      for (const { reject } of left) reject(gone)
    })
  })
  return { socket, gone, open, ready: ready.promise, ended: ended.promise }
}

/** Waits until a process that is not our child has ended. */
async function endOf(pid: number | null): Promise<void> {
  const giveUpAtMs = performance.now() + orphanLimitMs
  while (pid !== null && performance.now() < giveUpAtMs) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await sleep(5)
  }
}

/** Errors: rejects with the signal's reason as soon as it is aborted. */
async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => {
    aborted.reject(signal.reason as Error)
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
