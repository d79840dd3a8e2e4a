/** A small SMTP client that shows every reply as it was received. Source: RFC 5321; RFC 4954 (AUTH PLAIN). */
import { createConnection, type Socket } from 'node:net'

/** A reply: all its lines, without their line ends. */
export interface SmtpReply {
  readonly code: number
  readonly lines: readonly string[]
}

/** How to connect. */
export interface SmtpOptions {
  readonly port: number
  /** 127.0.0.1 may relay, 127.0.0.2 is an outside client. */
  readonly localAddress?: string
  readonly limitMs?: number
}

/** One connection. Every method fails where the connection does, or where no reply comes in time. */
export interface SmtpClient {
  readonly greeting: SmtpReply
  /** Sends one line as it is, in UTF-8. */
  command(line: string): Promise<SmtpReply>
  authPlain(user: string, password: string): Promise<SmtpReply>
  /** Sends a message after a 354: lines ended by CRLF, dots doubled, the final dot added. */
  content(message: string): Promise<SmtpReply>
  quit(): Promise<void>
  /** Drops the connection. */
  close(): void
}

/** Connects, and reads the greeting. */
export async function connectSmtp(options: SmtpOptions): Promise<SmtpClient> {
  const { port, localAddress = '127.0.0.1', limitMs = 60_000 } = options
  const socket = createConnection({ host: '127.0.0.1', port, localAddress })
  const next = readReplies(socket, limitMs)
  const greeting = await next()
  const command = (line: string): Promise<SmtpReply> => {
    socket.write(`${line}\r\n`)
    return next()
  }
  return {
    greeting,
    command,
    authPlain: (user, password) => command(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`),
    content: (message) => command(`${wireForm(message)}.`),
    quit: async () => {
      await command('QUIT')
      socket.destroy()
    },
    close: () => void socket.destroy(),
  }
}

/** A message as it goes over the wire: LF or CRLF becomes CRLF, a line that begins with a dot gets another. */
export function wireForm(message: string): string {
  const lines = message.replace(/\r?\n$/, '').split(/\r?\n/)
  return lines.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join('')
}

function readReplies(socket: Socket, limitMs: number): () => Promise<SmtpReply> {
  let rest = ''
  let failure: Error | null = null
  const replies: SmtpReply[] = []
  let collected: string[] = []
  let wake = (): void => undefined
  const fail = (error: Error): void => {
    failure ??= error
    wake()
  }
  socket.setEncoding('utf8')
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      collected.push(line)
      if (/^[0-9]{3}-/.test(line)) continue
      replies.push({ code: Number(line.slice(0, 3)), lines: collected })
      collected = []
    }
    wake()
  })
  return async () => {
    const deadlineMs = performance.now() + limitMs
    for (;;) {
      const reply = replies.shift()
      if (reply !== undefined) return reply
      if (failure !== null) throw failure
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) throw new Error(`no SMTP reply within ${limitMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

/** A whole transaction. */
export interface Transaction extends SmtpOptions {
  readonly from: string
  readonly to: readonly string[]
  readonly message: string
  /** After the address in MAIL, for instance `SMTPUTF8`. */
  readonly mailParameters?: string
  readonly login?: { readonly user: string; readonly password: string }
}

/**
 * Sends one message on a connection of its own, and gives the reply to its content.
 * Errors: Error with the reply if any command before the content is refused.
 */
export async function sendMessage(transaction: Transaction): Promise<SmtpReply> {
  const { from, to, message, mailParameters = '', login } = transaction
  const client = await connectSmtp(transaction)
  const expect = (want: number, reply: SmtpReply, what: string): void => {
    if (reply.code !== want) throw new Error(`${what}: ${reply.lines.join(' / ')}`)
  }
  try {
    expect(220, client.greeting, 'greeting')
    expect(250, await client.command('EHLO client.example.com'), 'EHLO')
    if (login !== undefined) expect(235, await client.authPlain(login.user, login.password), 'AUTH')
    expect(250, await client.command(`MAIL FROM:<${from}>${mailParameters === '' ? '' : ` ${mailParameters}`}`), 'MAIL')
    for (const recipient of to) expect(250, await client.command(`RCPT TO:<${recipient}>`), `RCPT ${recipient}`)
    expect(354, await client.command('DATA'), 'DATA')
    const reply = await client.content(message)
    await client.quit().catch(() => undefined)
    return reply
  } finally {
    client.close()
  }
}
