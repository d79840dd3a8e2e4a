/** Header edits behind a real Courier: fields added, replaced and removed, and every other octet delivered as it was sent. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { awaitEmptyQueue, courier, courierObstacle, setFiltered } from './courier-server.ts'
import { mustRun } from './program.ts'
import { sendMessage, type SmtpReply, type Transaction } from './smtp-client.ts'
import { openSmtpSink } from './smtp-sink.ts'
import { until } from '../helpers/until.ts'
import { openSyslog } from './syslog.ts'
import { openCourierStage } from './stage.ts'

const alice = (extension: string): string => `${courier.user}-${extension}@${courier.domain}`

/** Header and body as somebody sends them; `#` is the token. */
const sent = `X-First:   #
From: #@example.com
subject: #
X-Case: WHAT
X-Replaced: stays,
\t folded   oddly\x20
X-Removed: one
X-raw:Gr\u00fc\u00dfe\x20
X-Replaced : goes
X-Removed:
 two
A line without a colon
To: somebody@example.com

X-Removed: in the body

.a dot, a long line ${'and so on '.repeat(60)}
`

/** The same as the filter `editing` leaves it. */
const edited = sent
  .replace('X-Removed: one\n', '')
  .replace('X-Removed:\n two\n', '')
  .replace('X-Replaced : goes\n', 'X-Replaced: @@\n')
  .replace('\nTo: somebody@example.com\n', '\nTo: somebody@example.com\nX-Added: ü\n')

/** What the server and the delivery put on top. */
const onTop = (text: string): { top: string; rest: string } => {
  const at = text.indexOf('X-First:   ')
  return { top: text.slice(0, at), rest: text.slice(at) }
}

/** A folded value with encoded words between plain ones, as text. */
function decoded(value: string): string {
  return value
    .replaceAll('\n', '')
    .replaceAll(/=\?utf-8\?B\?(.*?)\?=/g, (_, word: string) => Buffer.from(word, 'base64').toString())
}

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir } = stage
  const log = await openSyslog()
  t.teardown(() => log.close())
  const sink = await openSmtpSink(courier.sinkPort)
  t.teardown(async () => {
    await stage.close()
    await sink.close()
  })
  await stage.serve({
    list: [
      'editing',
      'editing as spoiling with on_error=pass',
      'editing as trial with dry_run=yes',
      'noreceivedheaders',
    ],
  })

  const messageOf = (form: string, token: string, what: string): string =>
    form.replaceAll('#', token).replace('WHAT', what)
  const send = (token: string, what: string, more: Partial<Transaction> = {}): Promise<SmtpReply> =>
    sendMessage({
      port: courier.port,
      localAddress: '127.0.0.2',
      from: `${token}@example.com`,
      to: [alice('x')],
      message: messageOf(sent, token, what),
      mailParameters: 'BODY=8BITMIME',
      ...more,
    })
  await t.test('fields are added, replaced and removed, and nothing else', async (t) => {
    t.match(await send('plain', 'nothing'), { code: 250 })
    const [plain] = await maildir.await('plain')
    t.equal(
      onTop(plain?.text ?? '').rest,
      messageOf(sent, 'plain', 'nothing'),
      'without an edit it comes as it was sent',
    )

    const mark = log.mark()
    for (const what of ['edit', 'edit spoil']) {
      const token = what.replace(' ', '-')
      t.match(await send(token, what), { code: 250 })
      const [message] = await maildir.await(token)
      const { top, rest } = onTop(message?.text ?? '')
      const value = /^X-Replaced: (=\?utf-8\?B\?[^\n]*\n(?:[ \t][^\n]*\n)*)/m.exec(rest)?.[1] ?? ''
      t.equal(rest.replace(value, '@@\n'), messageOf(edited, token, what), `${what}: every octet that was not edited`)
      t.equal(decoded(value), 'Grüße, and '.repeat(8).trim(), `${what}: the new value`)
      t.match(top, /\nX-Top: 1\nReceived: from [^\n]*\n {2}by /, `${what}: a field above Courier's own`)
      t.notMatch(top, /X-Top[^]*X-Top/)
    }
    await log.find(/ settled .*sender="?edit-spoil@.*verdict=pass/, mark)
  })

  await t.test('in all control files', async (t) => {
    const to = Array.from({ length: 101 }, (_, index) => alice(`n${index}`))
    t.match(await send('many', 'edit', { to }), { code: 250 })
    const all = await maildir.await('many', 101, 60_000)
    t.ok(all.every(({ text }) => text.includes('\nX-Added: ü\n') && !text.includes('\nX-Removed: one\n')))
  })

  await t.test('a message of a local user, whose process must read what we wrote', async (t) => {
    setFiltered('esmtp local')
    const command = `sendmail -f local@example.com ${alice('x')}`
    await mustRun('su', [courier.user, '-c', command], { input: messageOf(sent, 'local', 'edit') })
    const [message] = await maildir.await('local')
    t.match(message?.text, '\nX-Added: ü\n')
    setFiltered('esmtp')
  })

  await t.test('relayed, with 8-bit octets that are new', async (t) => {
    t.match(await send('relay', 'edit', { localAddress: '127.0.0.1', to: ['away@example.net'] }), { code: 250 })
    // An empty queue alone may be one that the message has not yet come into.
    await until('the message to be relayed', () => sink.messages.length > 0)
    await awaitEmptyQueue()
    t.equal(sink.messages.length, 1)
    t.match(sink.messages[0], { content: /\nX-Added: ü\n/ })
  })

  await t.test('noreceivedheaders: who logged in does not tell from where', async (t) => {
    t.match(await send('login', 'nothing', { login: courier.account }), { code: 250 })
    const [message] = await maildir.await('login')
    const { top, rest } = onTop(message?.text ?? '')
    t.equal(rest, messageOf(sent, 'login', 'nothing'))
    t.notMatch(top, /Received:|127\.0\.0\.2|nfdora/)
    const [before] = maildir.with('plain')
    t.match(onTop(before?.text ?? '').top, /Received:/)
  })

  await t.test('nothing is left in the spool', (t) => {
    const left = readdirSync(join(courier.spool, 'tmp'), { recursive: true }).map(String)
    t.strictSame(
      left.filter((name) => name.includes('nodefilter')),
      [],
    )
    t.strictSame(
      log.lines.filter(({ text }) => /: bug /.test(text)),
      [],
    )
    t.ok(existsSync(nodefilter.stateDirectory))
    t.end()
  })
}
