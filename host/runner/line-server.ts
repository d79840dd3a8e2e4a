/** The host's private socket, on which worker threads connect; each connection is handed to the runner it belongs to. */
import { createServer, type Socket } from 'node:net'
import type { Files } from '../platform/files.ts'
import { listenPrivately } from '../platform/private-socket.ts'
import { createFrameReader, encodeFrames, type FrameReader } from './frames.ts'
import { isRecord, type LineDown } from './wire.ts'

/** One thread's connection, after its `hello`. */
export interface Line {
  send(frame: LineDown): void
  /** Called for each further frame, unchecked but for being an object. */
  onFrame: (frame: Record<string, unknown>) => void
  /** Called once, when the connection is gone; `cause` is for the log. */
  onClose: (cause: string) => void
  close(): void
}

/** The listening socket. */
export interface LineServer {
  readonly path: string
  /** Hands every connection that says `token` to `accept`, until the returned function is called. */
  register(token: string, accept: (slot: number, line: Line) => void): () => void
  close(): void
}

/**
 * A connection that has not said who it is after this time is closed: but not at once, since the host itself may have stood
 * still meanwhile, and what it said be there to be read.
 */
const hello = { limitMs: 5000, graceMs: 500 } as const

/**
 * Listens on `path`, which nobody but the own user can reach: the socket is made with mode 0600 in a folder of mode 0700.
 * Errors: rejects with the error of `listen`, for instance for a path over 107 octets.
 * `limitMs` is handed in by tests.
 */
export async function openLineServer(path: string, files: Files, limitMs: number = hello.limitMs): Promise<LineServer> {
  const homes = new Map<string, (slot: number, line: Line) => void>()
  const server = createServer((socket) => greet(socket, homes, limitMs))
  files.rmSync(path, { force: true })
  await listenPrivately(server, { path })
  // A failed accept (no descriptors left) costs that thread its connection; it dies and comes again.
  server.on('error', () => undefined)
  return {
    path,
    register: (token, accept) => {
      homes.set(token, accept)
      return () => homes.delete(token)
    },
    close: () => void server.close(),
  }
}

function greet(socket: Socket, homes: ReadonlyMap<string, (slot: number, line: Line) => void>, limitMs: number): void {
  const reader = createFrameReader()
  let line: Line | null = null
  let cause = 'the connection was closed'
  let timer = setTimeout(() => {
    timer = setTimeout(() => socket.destroy(), hello.graceMs)
  }, limitMs)
  socket.setEncoding('utf8')
  socket.on('error', (error) => (cause = error.message))
  socket.on('close', () => {
    clearTimeout(timer)
    line?.onClose(cause)
  })
  socket.on('data', (text: string) => {
    try {
      for (const frame of readFrames(reader, text)) {
        if (line !== null) {
          line.onFrame(frame)
          continue
        }
        const accept = homes.get(String(frame['token']))
        if (frame['type'] !== 'hello' || accept === undefined) throw new Error('a stranger connected')
        clearTimeout(timer)
        line = createLine(socket)
        accept(Number(frame['slot']), line)
      }
    } catch (thrown) {
      cause = thrown instanceof Error ? thrown.message : 'a frame could not be read'
      socket.destroy()
    }
  })
}

function* readFrames(reader: FrameReader, text: string): Generator<Record<string, unknown>> {
  for (const frame of reader.push(text)) {
    if (!isRecord(frame)) throw new Error('a frame is not an object')
    yield frame
  }
}

function createLine(socket: Socket): Line {
  return {
    send: (frame) => void socket.write(encodeFrames([frame])),
    onFrame: () => undefined,
    onClose: () => undefined,
    close: () => socket.destroy(),
  }
}
