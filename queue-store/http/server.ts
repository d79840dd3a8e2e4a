/**
 * Serves a depot over HTTP, to the applications of this machine in whatever language: see openapi.ts for the calls.
 *
 * Over a Unix socket its mode says who may; over TCP a token, and only on a local address. Nothing is offered to browsers.
 * A client costs its own connection and a bounded share of memory, whatever it sends or leaves out; a message goes through in
 * pieces. A client that goes while it waits gets no message: what was taken for it is let go at once.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Depot } from '../depot-types.ts'
import { readJson } from './body.ts'
import { calls, type Answer, type Load } from './calls.ts'
import { createGuard, localAddress } from './guard.ts'
import { httpLimits, type HttpLimits } from './limits.ts'
import { listen, listenOnSocket } from './listen.ts'
import { tellProblem } from './problem.ts'
import { routeOf } from './routes.ts'

/** A Unix socket; 0660 and this process's group where nothing else is said. */
export interface ServeSocket {
  readonly socket: string
  readonly mode?: number
  readonly group?: number | null
}

/** A local TCP address; port 0 is any. */
export interface ServeTcp {
  readonly host?: string
  readonly port: number
  /** At least 16 characters. */
  readonly token: string
}

/** How a depot is served. */
export interface ServeOptions {
  readonly limits?: Partial<HttpLimits>
  /** Told what is wrong on this side. */
  readonly onError?: (error: unknown) => void
}

/** A server that listens. */
export interface DepotServer {
  /** `unix:PATH`, or `http://HOST:PORT`. */
  readonly address: string
  /** Listens no more; ends those who wait, who get no message; gives what is in hand its time. */
  readonly close: () => Promise<void>
}

/** Whether a client has said that it waits before it sends its body, and was not told to send it. */
interface Expecting {
  isExpecting: boolean
}

const lingerMs = 2000

/**
 * Serves a depot. The depot stays open when the server closes.
 * Errors: DEPOT_OPTION for an address that is not local, a token that is too short, or a path where something is; those of `listen`.
 */
export async function serveDepot(
  depot: Depot,
  where: ServeSocket | ServeTcp,
  { limits: changes = {}, onError = () => undefined }: ServeOptions = {},
): Promise<DepotServer> {
  const limits = { ...httpLimits, ...changes }
  const isTcp = 'port' in where
  const host = isTcp ? localAddress(where.host ?? '127.0.0.1') : ''
  const guard = isTcp ? createGuard(where.token) : null
  let port = 0
  const load: Load = { waiting: 0, uploads: 0 }
  const closing = new AbortController()
  const server = createServer({
    maxHeaderSize: limits.headerOctets,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.uploadMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(1000, limits.headersMs),
  })
  server.maxConnections = limits.connections
  server.timeout = limits.idleMs

  const work = async (request: IncomingMessage, response: ServerResponse, expecting: Expecting): Promise<Answer> => {
    const gone = new AbortController()
    response.once('close', () => gone.abort(new Error('the client went')))
    guard?.(request.headers, host, port)
    const { operationId, path, query, body } = routeOf(request.method ?? '', request.url ?? '')
    // The client waits for this before it sends its body: what can be refused without it was refused.
    if (expecting.isExpecting) response.writeContinue()
    expecting.isExpecting = false
    const json = body === null ? {} : await readJson(request, body, limits)
    const signal = AbortSignal.any([gone.signal, closing.signal])
    return calls[operationId]({ depot, request, path, query, body: json, limits, signal, load })
  }
  const serve = async (request: IncomingMessage, response: ServerResponse, isExpecting: boolean): Promise<void> => {
    const expecting = { isExpecting }
    let answer: Answer
    try {
      answer = await work(request, response, expecting)
    } catch (error) {
      const { status, headers, body, isOurs } = tellProblem(error)
      if (isOurs && !response.destroyed) onError(error)
      answer = { status, headers: { ...headers, 'content-type': 'application/problem+json' }, json: body }
    }
    // Whether the body comes that was not asked for is not known: what follows could be taken for it.
    const isOut = await send(request, response, answer, closing.signal.aborted || expecting.isExpecting)
    if (!isOut) await answer.undo?.()
  }
  const start = (request: IncomingMessage, response: ServerResponse, isExpecting: boolean): void => {
    serve(request, response, isExpecting).catch((error: unknown) => {
      onError(error)
      response.destroy()
    })
  }
  server.on('request', (request, response) => start(request, response, false))
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => start(request, response, true))

  if (isTcp) {
    await listen(server, { host, port: where.port })
    ;({ port } = server.address() as AddressInfo)
  } else await listenOnSocket(server, { mode: 0o660, group: null, ...where })
  server.on('error', onError)
  return {
    address: isTcp ? `http://${host.includes(':') ? `[${host}]` : host}:${port}` : `unix:${where.socket}`,
    close: () =>
      new Promise((resolve) => {
        if (closing.signal.aborted) {
          resolve()
          return
        }
        closing.abort(new Error('the server closes'))
        const grace = setTimeout(() => server.closeAllConnections(), limits.graceMs)
        server.close(() => {
          clearTimeout(grace)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

/** Sends an answer; whether all of it went out. */
async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers = {}, json, content }: Answer,
  isLast: boolean,
): Promise<boolean> {
  if (response.destroyed) {
    content?.source.destroy()
    return false
  }
  const text = json === undefined ? null : Buffer.from(JSON.stringify(json))
  const length = content?.octets ?? text?.length ?? null
  response.writeHead(status, {
    ...{ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
    ...(text === null ? {} : { 'content-type': 'application/json' }),
    ...(length === null ? {} : { 'content-length': length }),
    ...(isLast ? { connection: 'close' } : {}),
    ...headers,
  })
  if (content !== undefined) {
    try {
      await pipeline(content.source, response)
      return true
    } catch {
      response.destroy()
      return false
    }
  }
  const isOut = await new Promise<boolean>((resolve) => {
    response.once('finish', () => resolve(true))
    response.once('close', () => resolve(false))
    if (text === null) response.end()
    else response.end(text)
  })
  if (!request.complete) linger(request)
  return isOut
}

/**
 * The rest of a body is thrown away for a moment, and the connection with it that still sends then. Closed at once, it could take
 * the answer along.
 */
function linger(request: IncomingMessage): void {
  request.resume()
  const { socket } = request
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  const end = (): void => clearTimeout(timer)
  request.once('end', end)
  socket.once('close', end)
}
