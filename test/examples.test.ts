/** The demonstration, run as a child process; and what it is made of. */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { readControl, readRecipients } from '../courier-compat/control.ts'
import { askFilter, courierVerdict, requestFor, type CourierVerdict } from '../examples/lib/courier-client.ts'
import { filtersThatRan, readSettled } from '../examples/lib/settled.ts'
import { spoolMessage, type Submission } from '../examples/lib/spool-files.ts'
import { formatWrappedTable } from '../examples/lib/wrapped-table.ts'

const root = join(import.meta.dirname, '..')

interface Ended {
  readonly status: number | null
  readonly output: string
}

function runNode(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, output }))
  })
}

t.test('the demonstration ends with 0 and shows each message with its filters, its verdict and its time', async (t) => {
  const { status, output } = await runNode(['examples/demo.ts'])
  t.equal(status, 0, output)
  const lines = output.split('\n')
  const rows = [
    /^plain +noduplicates whitelist_auth size_limit refuse_subject throws never_ends +accepted: 200 Ok +[0-9.]+$/,
    /^attachment +noduplicates .* never_ends +accepted: 200 Ok +[0-9.]+$/,
    /^authenticated +noduplicates whitelist_auth:accept +accepted: 200 Ok +[0-9.]+$/,
    /^many-recipients +noduplicates .* never_ends +accepted: 200 Ok +[0-9.]+$/,
    /^broken-mime +noduplicates .* never_ends +accepted: 200 Ok +[0-9.]+$/,
    /^refused +noduplicates whitelist_auth size_limit refuse_subject:reject +rejected: 550 5\.7\.1 .* +[0-9.]+$/,
    /^throws +noduplicates .* throws:threw +deferred: 451 4\.3\.0 Local policy check failed, .* +[0-9.]+$/,
    /^never-ends +noduplicates .* never_ends:late +deferred: 451 4\.3\.0 Local policy check took too long, .* +[0-9.]+$/,
    /^endless-loop +never_ends:blocked +deferred: 451 4\.3\.0 Local policy check took too long, .* +[0-9.]+$/,
  ]
  for (const row of rows)
    t.ok(
      lines.some((line) => row.test(line)),
      String(row),
    )
  const messages = readdirSync(join(root, 'examples/messages')).map((name) => basename(name, '.eml'))
  for (const message of messages)
    t.ok(
      lines.some((line) => line.startsWith(`${message} `)),
      `${message} has a row`,
    )
  t.match(output, /many-recipients came with 201 recipients, of whom noduplicates left 200\./)
  t.match(output, /the host stopped cleanly/)
  const socket = /^The host answers at (.*), [0-9]+ ms/m.exec(output)?.[1] ?? ''
  t.ok(socket.endsWith('/allfilters/nodefilter'), 'the socket is named as under Courier')
  t.notOk(existsSync(dirname(dirname(socket))), 'nothing is left of its folder')
})

t.test('the package is a filter: its test passes, and it works where npm puts it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nf-package-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, 'examples/package'), join(folder, 'node_modules/@example/first-contact'), { recursive: true })
  const tested = await runNode(['host/main.ts', 'test', join(root, 'examples/package/index.test.mjs')])
  t.equal(tested.status, 0, tested.output)
  t.match(tested.output, /pass 1\n/)

  writeFileSync(join(folder, 'filters.conf'), '@example/first-contact\n')
  const message = join(root, 'examples/messages/plain.eml')
  const checked = await runNode(['host/main.ts', 'check', '-c', folder, '--json', message, message])
  t.equal(checked.status, 0, checked.output)
  const reports = checked.output.trim().split('\n')
  t.strictSame(
    reports.map((line) => (JSON.parse(line) as { notes: unknown }).notes),
    [{ firstContact: 'example.com' }, {}],
    'a domain is new once',
  )
})

t.test('a reply is heard as Courier hears it', (t) => {
  const cases: readonly (readonly [reply: string, verdict: CourierVerdict])[] = [
    ['200 Ok\n', 'accepted'],
    ['2\n', 'accepted'],
    ['100 x\n', 'accepted'],
    ['999 x\n', 'accepted'],
    ['200-a\n200 b\n', 'accepted'],
    ['000 Accepted immediately\n', 'accepted-by-all'],
    ['050 text\n', 'accepted-by-all'],
    ['500 text\n', 'rejected'],
    ['550-one\n550 last\n', 'rejected'],
    ['451 4.7.1 text\n', 'deferred'],
    ['5\n', 'deferred'],
    ['550xtext\n', 'deferred'],
    ['hello world\n', 'deferred'],
    [' 200 ok\n', 'deferred'],
    ['\n', 'deferred'],
    ['', 'deferred'],
  ]
  for (const [reply, verdict] of cases) t.equal(courierVerdict(reply), verdict, JSON.stringify(reply))
  t.end()
})

t.test('the client asks and listens as Courier does', async (t) => {
  const cases: readonly { name: string; serve: (socket: Socket) => void; reply: string }[] = [
    {
      name: 'a reply that comes octet by octet is heard whole',
      serve: dribble('550-a\n550 b\n'),
      reply: '550-a\n550 b\n',
    },
    {
      name: 'what follows the last line is not heard',
      serve: (socket) => socket.write('200 Ok\n550 no\n'),
      reply: '200 Ok\n',
    },
    {
      name: 'a last line without its end is heard at the close',
      serve: (socket) => socket.end('200 Ok'),
      reply: '200 Ok',
    },
    { name: 'a close without a word is no reply', serve: (socket) => socket.end(), reply: '' },
    { name: 'nor is a connection that is cut', serve: (socket) => socket.destroy(), reply: '' },
  ]
  const folder = mkdtempSync(join(tmpdir(), 'nf-client-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 's')
  const request = requestFor({ bodyPath: '/spool/D1', controlPaths: ['/spool/C1.1', '/spool/C1.2'] })
  t.equal(request, '/spool/D1\n/spool/C1.1\n/spool/C1.2\n\n')
  t.throws(() => requestFor({ bodyPath: '/spool/D\n1', controlPaths: [] }), RangeError)
  for (const { name, serve, reply } of cases) {
    let heard = ''
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('end', () => socket.destroy())
      socket.on('data', (chunk) => {
        heard += chunk.toString()
        if (heard.endsWith('\n\n')) serve(socket)
      })
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    t.equal(await askFilter(path, request, 10_000), reply, name)
    t.equal(heard, request, `${name}: the request arrived`)
    await new Promise((resolve) => server.close(resolve))
  }
  await t.rejects(askFilter(path, request), { code: 'ENOENT' }, 'nobody listens')
  const silent = createServer((socket) => void socket.on('error', () => undefined).resume())
  await new Promise<void>((resolve) => silent.listen(path, resolve))
  await t.rejects(askFilter(path, request, 20), /no reply within 20 ms/, 'the limit ends the waiting')
  silent.close()
})

t.test('messages are spooled as Courier has them', (t) => {
  const spool = t.testdir()
  const submission: Submission = {
    message: Buffer.from('Subject: caf\xe9\r\n\r\ntext', 'latin1'),
    ...{ sender: 'a@example.com', recipients: ['b@example.org'], clientIp: '203.0.113.9', helo: 'client.example.com' },
    authUser: null,
  }
  const now = new Date('2026-12-01T12:00:00Z')
  const one = spoolMessage(spool, submission, 1, now)
  const facts = readControl(one.controlPaths)
  t.match(facts, {
    id: one.queueId,
    sender: 'a@example.com',
    clientIp: '203.0.113.9',
    source: 'smtp',
    relayClient: false,
  })
  const body = readFileSync(one.bodyPath, 'latin1')
  t.match(body, /^Received: from client\.example\.com .*\n/)
  t.ok(body.endsWith('Subject: caf\xe9\n\ntext\n'), 'CRLF became LF, and the last line has its end')
  t.match(
    readFileSync(one.controlPaths[0] ?? '', 'latin1'),
    /\nm\n/,
    'octets over 127 in the header section are told of',
  )
  t.equal(basename(one.bodyPath), `D${statSync(one.controlPaths[0] ?? '').ino}`)

  const recipients = Array.from({ length: 201 }, (_, n) => `user${n}@example.org`)
  const many = spoolMessage(spool, { ...submission, recipients, authUser: 'carla' }, 2, now)
  const inode = statSync(many.controlPaths[0] ?? '').ino
  t.same(
    many.controlPaths.map((path) => basename(path)),
    [`C${inode}.1`, `C${inode}.2`, `C${inode}.3`],
  )
  t.same(
    readRecipients(many.controlPaths).map(({ address }) => address),
    recipients,
  )
  t.match(readControl(many.controlPaths), { authUser: 'carla', source: 'authsmtp', relayClient: true })
  t.throws(() => spoolMessage(spool, { ...submission, sender: 'a\nb' }, 3, now), RangeError)
  t.end()
})

t.test('the log is read back', (t) => {
  const path = join(t.testdir(), 'log')
  const event = (fields: object): string =>
    `${JSON.stringify({ event: 'settled', verdict: 'pass', ms: 1.5, ...fields })}\n`
  writeFileSync(
    path,
    [
      '{"event":"host-started"}\n',
      event({ queueId: 'A', trail: ['a:pass:0.10/0.05', 'b:reject:0.20'] }),
      event({ queueId: 'B', trail: ['a:pass:0.10/0.05', 'b:failed:0.20'], filter: 'b', errorCode: 'threw' }),
      event({ queueId: 'C', trail: [], filter: 'b', errorCode: 'blocked' }),
      event({ queueId: 'D', trail: ['a:failed:0.1', 'x:y:accept:0.2'], filter: 'x:y' }),
      event({ queueId: null, trail: [] }),
    ].join(''),
  )
  const settled = readSettled(path)
  t.same(
    [...settled].map(([queueId, line]) => `${queueId} ${filtersThatRan(line)}`),
    ['A a b:reject', 'B a b:threw', 'C b:blocked', 'D a:failed x:y:accept'],
  )
  t.equal(settled.get('A')?.trail[1]?.ms, 0.2)
  t.end()
})

t.test('a table is wrapped between words where the terminal is narrow', (t) => {
  const rows = [['m', 'one two three four five six seven', 'aaaa bbbb cccc dddd eeee ffff', '1.0']]
  const table = (width: number): string => formatWrappedTable(['m', 'filters', 'verdict', 'ms'], rows, [1, 2], width)
  t.equal(table(Infinity).trimEnd().split('\n').length, 3, 'a wide one leaves the row on its line')
  const lines = table(52).trimEnd().split('\n')
  t.ok(lines.length > 3 && lines.every((line) => line.length <= 52), lines.join('\n'))
  const words = lines.slice(2).join(' ').split(/ +/)
  t.same(words.filter((word) => /^(one|two|three|four|five|six|seven)$/.test(word)).length, 7, 'no word is lost')
  t.end()
})

t.test('a field of a header section is found, unfolded and decoded', async (t) => {
  const path = join(t.testdir(), 'D1')
  const { headerField } = (await import(join(root, 'examples/filters/lib/header-field.mjs'))) as {
    headerField: (bodyPath: string, name: string) => string | null
  }
  const cases: readonly { name: string; message: string; want: string | null }[] = [
    { name: 'a plain one', message: 'A: b\nSubject: hello\n\nx\n', want: 'hello' },
    { name: 'in any case', message: 'SUBJECT: hello\n\nx\n', want: 'hello' },
    { name: 'the first of two', message: 'Subject: one\nSubject: two\n\n', want: 'one' },
    { name: 'folded', message: 'Subject: one\n two\n\tthree\n\n', want: 'one two three' },
    { name: 'not in the body', message: 'A: b\n\nSubject: body\n', want: null },
    { name: 'in a message without a body', message: 'A: b\nSubject: last', want: 'last' },
    { name: 'B encoding', message: 'Subject: =?utf-8?B?w6k=?=\n\n', want: '\u00e9' },
    {
      name: 'Q encoding, another charset, two words',
      message: 'Subject: =?iso-8859-1?q?a_=E9?=\n =?utf-8?q?b?=\n\n',
      want: 'a \u00e9b',
    },
    { name: 'an unknown charset stays as it is', message: 'Subject: =?x-no?Q?a?=\n\n', want: '=?x-no?Q?a?=' },
    { name: 'an empty message', message: '', want: null },
    { name: 'a line that is no field does no harm', message: 'nonsense\nSubject: hello\n\n', want: 'hello' },
  ]
  for (const { name, message, want } of cases) {
    writeFileSync(path, message)
    t.equal(headerField(path, 'Subject'), want, name)
  }
})

/** Writes a reply in pieces of one octet, each in a turn of its own. */
function dribble(text: string): (socket: Socket) => void {
  return (socket) => {
    let at = 0
    const next = (): void => {
      if (at < text.length && !socket.destroyed) socket.write(text.charAt(at++), () => setImmediate(next))
    }
    next()
  }
}
