/** Courier's side of a filter's socket, octet by octet. */
import { connect } from 'node:net'
import type { Pair } from './pair.ts'

/** What Courier writes to a filter. */
export function requestOf(pair: Pair | Buffer | string): Buffer | string {
  if (typeof pair === 'string' || Buffer.isBuffer(pair)) return pair
  return `${[pair.bodyPath, ...pair.controlPaths].join('\n')}\n\n`
}

/** How a conversation is held. */
export interface Conversation {
  /** Close our side after the request. Courier does not. */
  readonly halfClose?: boolean
  readonly limitMs?: number
}

/**
 * Connects, writes the request, and reads until the other side closes; gives all that was said.
 * Errors: Error at the limit, with what had been said by then.
 */
export function converse(path: string, request: Buffer | string, options: Conversation = {}): Promise<string> {
  const limitMs = options.limitMs ?? 20_000
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ path, allowHalfOpen: true })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end of the conversation within ${limitMs} ms; heard ${JSON.stringify(text)}`))
    }, limitMs)
    const end = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => (text += piece))
    socket.on('end', end)
    // Closing with our request unread comes as a reset; Courier takes both for 432.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return end()
      clearTimeout(timer)
      reject(error)
    })
    socket.on('connect', () => {
      if (options.halfClose === true) socket.end(request)
      else socket.write(request)
    })
  })
}
