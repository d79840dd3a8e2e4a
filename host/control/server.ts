/**
 * The control socket: `nodefilter status`, `metrics`, `top`, `reload` and `restart` ask here. Whatever a client sends or leaves out, it
 * costs its own connection and nothing else.
 */
import { createServer, type Socket } from 'node:net'
import type { Events } from '../observe/events.ts'
import type { Platform } from '../platform/platform.ts'
import { listenPrivately } from '../platform/private-socket.ts'
import { createFrameReader, encodeFrames } from '../runner/frames.ts'
import { maxRequestChars, readRequest, workingEveryMs, type ControlAnswer, type ControlRequest } from './protocol.ts'

/** The socket's name in the state folder. */
export const controlSocketName = 'control.sock'

/** Answers a request. What it throws is a bug of ours, told as a refusal. */
export type AnswerRequest = (request: ControlRequest) => ControlAnswer | Promise<ControlAnswer>

/** The listening socket. */
export interface ControlServer {
  /** Removes the socket's file, and closes what is connected. */
  close(): void
}

/** Limits on who connects. */
export const controlLimits = { connections: 16, requestMs: 5000, readingMs: 5000 } as const

/**
 * Listens on `path`, which nobody but the own user and root can reach; one that a dead host left there is replaced.
 * Errors: rejects with the error of `listen`, for instance for a path over 107 octets.
 */
export async function openControlServer(
  path: string,
  answer: AnswerRequest,
  platform: Platform,
  log: Events,
): Promise<ControlServer> {
  const open = new Set<Socket>()
  // A client may close its side once it has asked, and still wants its answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    serve(socket, answer, platform, log)
  })
  server.maxConnections = controlLimits.connections
  platform.files.rmSync(path, { force: true })
  await listenPrivately(server, { path })
  server.on('error', (error) => log.controlFailed(path, error.message))
  return {
    close: () => {
      server.close()
      for (const socket of open) socket.destroySoon()
    },
  }
}

function serve(socket: Socket, answer: AnswerRequest, { clock }: Platform, log: Events): void {
  const reader = createFrameReader(maxRequestChars)
  let asked = false
  let limit = clock.after(controlLimits.requestMs, () => socket.destroy())
  socket.on('close', () => limit.cancel())
  socket.on('end', () => {
    if (!asked) socket.destroy()
  })
  const finish = (last: ControlAnswer): void => {
    if (socket.destroyed) return
    // One that does not read its answer keeps the connection for a while, not for ever.
    limit = clock.after(controlLimits.readingMs, () => socket.destroy())
    socket.end(encodeFrames([last]), () => socket.destroySoon())
  }
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    if (asked) return
    let frames: readonly unknown[]
    try {
      frames = reader.push(text)
    } catch {
      return void socket.destroy()
    }
    if (frames.length === 0) return
    asked = true
    limit.cancel()
    // Whatever follows the request is never read.
    socket.pause()
    const request = readRequest(frames[0])
    if (typeof request === 'string') return finish({ type: 'refused', text: request })
    const working = clock.every(workingEveryMs, () => {
      if (!socket.destroyed) socket.write(encodeFrames([{ type: 'working' } satisfies ControlAnswer]))
    })
    void answered(request, answer, log).then((last) => {
      working.cancel()
      finish(last)
    })
  })
}

/** Never rejects. */
async function answered(request: ControlRequest, answer: AnswerRequest, log: Events): Promise<ControlAnswer> {
  try {
    return await answer(request)
  } catch (thrown) {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    log.bug('control', text)
    return { type: 'refused', text: 'the host failed to answer; its log says why' }
  }
}
