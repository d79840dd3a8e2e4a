/** Clients of the Courier socket, patient and otherwise. */
import { connect } from 'node:net'

/** How one client behaves. */
export interface ClientManner {
  /** The request in so many pieces, with a pause between them. */
  readonly pieces?: number
  readonly pauseMs?: number
  /** Close our side after the request. */
  readonly halfClose?: boolean
  /** Say nothing more after the pieces but the last one. */
  readonly withholdsLast?: boolean
  /** Hang up so long after the request, whatever comes. */
  readonly hangsUpAfterMs?: number
}

/**
 * Holds a conversation; gives all that was heard until the other side closed, or until it was hung up on.
 * Errors: Error if nobody listens, or after `limitMs`.
 */
export function talk(
  path: string,
  request: Buffer | string,
  manner: ClientManner = {},
  limitMs = 60_000,
): Promise<string> {
  const { pieces = 1, pauseMs = 0, halfClose = false, withholdsLast = false, hangsUpAfterMs = null } = manner
  const octets = Buffer.from(request)
  return new Promise((resolve, reject) => {
    let heard = ''
    let isConnected = false
    let timer: NodeJS.Timeout | undefined
    const socket = connect({ path, allowHalfOpen: true })
    const finish = (): void => {
      clearTimeout(limit)
      clearTimeout(timer)
      socket.destroy()
      resolve(heard)
    }
    const limit = setTimeout(() => {
      clearTimeout(timer)
      socket.destroy()
      reject(new Error(`no end of the conversation within ${limitMs} ms; heard ${JSON.stringify(heard.slice(0, 200))}`))
    }, limitMs)
    const say = (piece: number): void => {
      const isLast = piece === pieces - 1
      if (isLast && withholdsLast) return
      const size = Math.ceil(octets.length / pieces)
      socket.write(octets.subarray(piece * size, (piece + 1) * size))
      if (!isLast) {
        timer = setTimeout(() => say(piece + 1), pauseMs)
        return
      }
      if (halfClose) socket.end()
      if (hangsUpAfterMs !== null) timer = setTimeout(finish, hangsUpAfterMs)
    }
    socket.setEncoding('latin1')
    socket.on('connect', () => {
      isConnected = true
      say(0)
    })
    socket.on('data', (text: string) => (heard += text))
    socket.on('end', finish)
    socket.on('error', (error) => {
      // Closing with our words unread comes as a reset; Courier takes both for 432.
      if (isConnected) return finish()
      clearTimeout(limit)
      reject(error)
    })
  })
}
