/**
 * The metrics over HTTP, for whoever collects them on this machine: `/metrics`, `/healthz`, `/readyz`, to be read and
 * nothing else. Whatever a client does costs its own connection and a bounded share of the host's time.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { listenAddressText, type ListenAddress } from '../config/listen-address.ts'
import type { HostPhase } from '../control/status.ts'
import type { Platform } from '../platform/platform.ts'
import { listenPrivately } from '../platform/private-socket.ts'
import type { MetricsEvents } from './metrics-events.ts'
import { acceptedFormat, metricsMediaTypes, type MetricsFormat } from './open-metrics.ts'
import { createRateLimit } from './rate-limit.ts'

/** What the server tells. */
export interface MetricsSource {
  text(format: MetricsFormat): Promise<string>
  phase(): HostPhase
}

/** A listening server. */
export interface MetricsServer {
  /** Stops listening, closes what is connected, and removes the socket's file. */
  close(): void
}

/**
 * Limits on who connects. A text is made at most once in `sameTextMs`, and given to all who ask meanwhile; a connection
 * has one request and lives `wholeMs` at most.
 */
export const metricsLimits = {
  ...{ connections: 16, perSecond: 50, headerOctets: 8192, wholeMs: 10_000, sameTextMs: 250 },
} as const

/**
 * Listens. A socket's file that a dead host left is replaced; one that somebody listens on, or that is no socket, stays.
 * Errors: rejects with the error of `listen`, or with one that says what is in the way.
 */
export async function openMetricsServer(
  address: ListenAddress,
  source: MetricsSource,
  { clock, files }: Pick<Platform, 'clock' | 'files'>,
  log: MetricsEvents,
): Promise<MetricsServer> {
  const texts = new Map<MetricsFormat, { readonly sinceMs: number; readonly text: Promise<string> }>()
  const textOf = (format: MetricsFormat): Promise<string> => {
    const last = texts.get(format)
    const nowMs = clock.monotonicMs()
    if (last !== undefined && nowMs - last.sinceMs < metricsLimits.sameTextMs) return last.text
    const text = source.text(format)
    texts.set(format, { sinceMs: nowMs, text })
    return text
  }
  const http = createHttpServer({ maxHeaderSize: metricsLimits.headerOctets }, (request, response) => {
    answer(request, response, source.phase(), textOf).catch((thrown: unknown) => {
      log.failed(listenAddressText(address), thrown instanceof Error ? (thrown.stack ?? thrown.message) : 'a bug')
      response.destroy()
    })
  })
  http.maxRequestsPerSocket = 1

  // HTTP's own time-outs are each for one step; this one is for all of them, and costs no timer while nobody is there.
  const open = new Set<Socket>()
  const rate = createRateLimit(metricsLimits.perSecond, () => clock.monotonicMs())
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    if (!rate.allow()) return void socket.destroy()
    const timer = clock.after(metricsLimits.wholeMs, () => socket.destroy())
    open.add(socket)
    socket.on('close', () => {
      timer.cancel()
      open.delete(socket)
    })
    http.emit('connection', socket)
  })
  server.maxConnections = metricsLimits.connections
  await listen(server, address, files)
  server.on('error', (error) => log.failed(listenAddressText(address), error.message))
  log.opened(listenAddressText(address))
  return {
    close: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

async function listen(server: Server, address: ListenAddress, files: Platform['files']): Promise<void> {
  if (address.kind === 'inet') {
    const { host, port } = address
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, backlog: metricsLimits.connections }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  }
  const { path } = address
  const there = files.lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined) {
    if (!there.isSocket()) throw new Error('something else has that name')
    if (await isListenedOn(path)) throw new Error('another process listens there')
    files.rmSync(path, { force: true })
  }
  await listenPrivately(server, { path, backlog: metricsLimits.connections })
  files.chmodSync(path, 0o660)
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const end = (isOne: boolean): void => {
      socket.destroy()
      resolve(isOne)
    }
    socket.on('connect', () => end(true))
    // Whatever else is wrong with it, it is not known to be nobody's.
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

const readiness: Readonly<Record<HostPhase, string>> = {
  starting: 'starting: the filters are being loaded\n',
  serving: 'serving\n',
  broken: 'broken: no mail is filtered; "nodefilter status" tells why\n',
  stopping: 'stopping\n',
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  phase: HostPhase,
  textOf: (format: MetricsFormat) => Promise<string>,
): Promise<void> {
  const path = (request.url ?? '').replace(/\?.*$/s, '')
  const send = (status: number, type: string, body: string): void => {
    const octets = Buffer.from(body)
    response.writeHead(status, {
      ...{ 'content-type': type, 'content-length': octets.length, connection: 'close', 'cache-control': 'no-store' },
      ...{ 'x-content-type-options': 'nosniff' },
      ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    })
    response.end(request.method === 'HEAD' ? undefined : octets)
  }
  const say = (status: number, text: string): void => send(status, 'text/plain; charset=utf-8', text)
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    say(404, 'there are /metrics, /healthz and /readyz\n')
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    say(405, 'this can be read only\n')
  } else if (path === '/healthz') {
    say(200, 'ok\n')
  } else if (path === '/readyz') {
    say(phase === 'serving' ? 200 : 503, readiness[phase])
  } else {
    const format = acceptedFormat(request.headers.accept)
    send(200, metricsMediaTypes[format], await textOf(format))
  }
}
