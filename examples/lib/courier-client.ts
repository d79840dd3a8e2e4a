/**
 * Courier's side of a filter's socket: one fresh connection for each message, the paths of its files in, a reply out.
 *
 * For demonstrations, load generators and tests. Source: spec courier 2.1 to 2.4.
 */
import { connect } from 'node:net'

/** The files of one message, as a request names them. */
export interface PairPaths {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
}

/** What the mail server makes of a reply. `accepted-by-all`: it asks none of its other filters. */
export type CourierVerdict = 'accepted' | 'accepted-by-all' | 'deferred' | 'rejected'

/** The octets that ask about one message. Errors: RangeError for a path with a line end in it. */
export function requestFor({ bodyPath, controlPaths }: PairPaths): string {
  const paths = [bodyPath, ...controlPaths]
  if (paths.some((path) => path.includes('\n'))) throw new RangeError('a path with a line end cannot be asked about')
  return `${paths.join('\n')}\n\n`
}

/**
 * Asks a filter, and hangs up as soon as its reply is complete.
 *
 * Shape:  the reply as it came, at most to the end of its last line; `''` where the filter hung up without a word.
 * Errors: rejects if nobody listens at `socketPath`, or after `limitMs` (Courier itself would wait for ever).
 */
export function askFilter(socketPath: string, request: string, limitMs = 120_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = ''
    let isConnected = false
    const socket = connect(socketPath)
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no reply within ${limitMs} ms`))
    }, limitMs)
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reply)
    }
    socket.setEncoding('latin1')
    socket.once('connect', () => (isConnected = true))
    socket.on('data', (text: string) => {
      reply += text
      const end = endOfReply(reply)
      if (end === -1) return
      reply = reply.slice(0, end)
      finish()
    })
    socket.once('end', finish)
    socket.once('error', (error) => {
      // A connection that was reset after it stood is heard like one that was closed.
      if (isConnected) return finish()
      clearTimeout(timer)
      reject(error)
    })
    // The side to the filter stays open while the reply is awaited, as Courier keeps it.
    socket.write(request)
  })
}

/** Where a reply ends: behind the first line that is not `ddd-...`; -1 while that has not come. */
function endOfReply(text: string): number {
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    if (!/^[0-9]{3}-/.test(text.slice(start, start + 4))) return end + 1
    start = end + 1
  }
  return -1
}

/** What Courier makes of a reply: only its first octets count, and a refusal that is malformed is heard as 432. */
export function courierVerdict(reply: string): CourierVerdict {
  if (/^0/.test(reply)) return 'accepted-by-all'
  if (/^[1236-9]/.test(reply)) return 'accepted'
  return /^5[0-9]{2}[ -]/.test(reply) ? 'rejected' : 'deferred'
}

/** The lines of a reply, without their line ends. */
export function replyLines(reply: string): string[] {
  return reply.replace(/\r?\n$/, '').split(/\r?\n/)
}
