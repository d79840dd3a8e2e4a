/** Takes all mail that leaves the server under test, so that none of it goes anywhere. */
import { createServer } from 'node:net'

/** A message that was sent out. */
export interface SunkMessage {
  readonly from: string
  readonly to: readonly string[]
  readonly content: string
}

/** The sink. */
export interface SmtpSink {
  readonly messages: readonly SunkMessage[]
  close(): Promise<void>
}

/** Listens on the loopback address. */
export async function openSmtpSink(port: number): Promise<SmtpSink> {
  const messages: SunkMessage[] = []
  const server = createServer((socket) => {
    let rest = ''
    let isContent = false
    let draft = { from: '', to: [] as string[], content: '' }
    const say = (text: string): void => void socket.write(`${text}\r\n`)
    socket.setEncoding('utf8').on('error', () => undefined)
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (isContent && line !== '.') {
          draft.content += `${line.replace(/^\./, '')}\n`
        } else if (isContent) {
          isContent = false
          messages.push(draft)
          draft = { from: '', to: [], content: '' }
          say('250 2.0.0 Taken')
        } else {
          const address = /<([^>]*)>/.exec(line)?.[1] ?? ''
          const verb = line.slice(0, 4).toUpperCase()
          if (verb === 'MAIL') draft = { from: address, to: [], content: '' }
          if (verb === 'RCPT') draft.to.push(address)
          isContent = verb === 'DATA'
          say(
            verb === 'EHLO'
              ? '250-sink.example.net\r\n250-8BITMIME\r\n250 SMTPUTF8'
              : isContent
                ? '354 Go on'
                : '250 2.0.0 Ok',
          )
          if (verb === 'QUIT') socket.end()
        }
      }
    })
    say('220 sink.example.net ESMTP')
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    messages,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}
