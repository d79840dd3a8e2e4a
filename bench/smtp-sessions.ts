/** Sends mail on several SMTP sessions at once, as fast as the server takes it. */
import { connectSmtp, type SmtpReply } from '../test/system/smtp-client.ts'

/** What is sent. */
export interface SmtpLoad {
  readonly port: number
  /** The clients' address. */
  readonly localAddress: string
  readonly sessions: number
  /** So many messages on each session. */
  readonly messages: number
  readonly from: string
  readonly to: string
  readonly message: string
}

/** What came of it. */
export interface SmtpRun {
  /** Messages that were accepted, a second. */
  readonly perSecond: number
  /** For each message, from its last line to the reply. */
  readonly dataMs: readonly number[]
}

/** Sends all. Errors: Error with the first reply that is not the one wanted: then something else was measured. */
export async function sendOnSessions(load: SmtpLoad): Promise<SmtpRun> {
  const { port, localAddress, sessions, messages, from, to, message } = load
  const want = (code: number, reply: SmtpReply): void => {
    if (reply.code !== code) throw new Error(`${code} was wanted, and not: ${reply.lines.join(' / ')}`)
  }
  // Connecting forks processes in the server, which is not what is measured.
  const clients = await Promise.all(
    Array.from({ length: sessions }, async () => {
      const client = await connectSmtp({ port, localAddress })
      want(220, client.greeting)
      want(250, await client.command('EHLO client.example.com'))
      return client
    }),
  )
  try {
    const dataMs: number[] = []
    const sinceMs = performance.now()
    await Promise.all(
      clients.map(async (client) => {
        for (let sent = 0; sent < messages; sent++) {
          want(250, await client.command(`MAIL FROM:<${from}>`))
          want(250, await client.command(`RCPT TO:<${to}>`))
          want(354, await client.command('DATA'))
          const lastLineMs = performance.now()
          want(250, await client.content(message))
          dataMs.push(performance.now() - lastLineMs)
        }
      }),
    )
    const perSecond = (dataMs.length / (performance.now() - sinceMs)) * 1000
    await Promise.all(clients.map((client) => client.quit().catch(() => undefined)))
    return { perSecond, dataMs }
  } finally {
    for (const client of clients) client.close()
  }
}
