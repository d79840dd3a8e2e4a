/** The authentication daemon: what it is asked, every way in which it can answer, and every way in which it can fail to. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  AuthdaemonError,
  getUserInfo,
  openAuthdaemon,
  type AuthdaemonOptions,
  type Authdaemon,
} from '../../courier-compat/authdaemon.ts'
import { openAnswerCache } from '../../courier-compat/authdaemon/cache.ts'
import { accountQuestion } from '../../courier-compat/authdaemon/question.ts'
import { maxAnswerOctets } from '../../courier-compat/authdaemon/account.ts'
import { withStandIns } from '../../courier-compat/stand-ins.ts'

/** Answers each connection as it is told, once the question is there. */
interface FakeDaemon {
  readonly socketPath: string
  /** The questions, in octets as latin1. */
  readonly asked: readonly string[]
  readonly open: (options?: AuthdaemonOptions) => Authdaemon
}

// The path of a socket has 107 octets at most.
const folder = mkdtempSync(join(tmpdir(), 'nodefilter-authdaemon-'))
t.teardown(() => rmSync(folder, { recursive: true }))
let sockets = 0

async function fakeDaemon(t: Test, answer: (socket: Socket, question: string) => void): Promise<FakeDaemon> {
  const socketPath = join(folder, `s${++sockets}`)
  const asked: string[] = []
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    let text = ''
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece
      if (!text.endsWith('\n')) return
      asked.push(text)
      answer(socket, text)
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const limits = { connectTimeoutMs: 2000, writeTimeoutMs: 2000, readTimeoutMs: 2000 }
  return { socketPath, asked, open: (options) => openAuthdaemon({ socketPath, ...limits, ...options }) }
}

const amy = [
  ...['USERNAME=amy', 'GID=100', 'HOME=/home/amy', 'ADDRESS=amy', 'NAME=Amy Grün', 'MAILDIR=./Maildir'],
  ...['QUOTA=1000000S,100C', 'PASSWD=$1$hash', 'PASSWD2=clear', 'OPTIONS=disableimap=1,shared,=x,a=b=c', '.', ''],
].join('\n')

t.test('an account, an unknown one, and what was asked', async (t) => {
  const { open, asked } = await fakeDaemon(t, (socket, question) =>
    socket.end(question.includes('nobody') ? 'FAIL\n' : amy),
  )
  const daemon = open()
  const account = await daemon.getUserInfo('smtp', 'amy')
  t.match(account, {
    ...{ address: 'amy', username: 'amy', uid: null, gid: 100, home: '/home/amy', maildir: './Maildir' },
    ...{ name: 'Amy Grün', quota: '1000000S,100C' },
  })
  t.strictSame(
    [...(account?.options ?? [])],
    [
      ['disableimap', '1'],
      ['shared', ''],
      ['a', 'b=c'],
    ],
  )
  t.strictSame([...(account?.all.keys() ?? [])].join(), 'USERNAME,GID,HOME,ADDRESS,NAME,MAILDIR,QUOTA,OPTIONS')
  t.notMatch(JSON.stringify([...(account?.all ?? [])]), /hash|clear/, 'neither hashes nor passwords')
  t.equal(await daemon.getUserInfo('smtp', 'nobody@example.org'), null)
  await daemon.getUserInfo('smtp', 'gr\u00fcn and blue')
  await daemon.getUserInfo('smtp', '(malformed utf8):a%FF')
  t.strictSame(asked, [
    'PRE . smtp amy\n',
    'PRE . smtp nobody@example.org\n',
    'PRE . smtp gr\u00c3\u00bcn and blue\n',
    'PRE . smtp a\u00ff\n',
  ])
})

t.test('names that cannot be asked for', (t) => {
  const rows: { name: string; service?: string; uid?: string; want: RegExp }[] = [
    { name: 'empty', uid: '', want: /is empty/ },
    { name: 'a second question', uid: 'amy\nAUTH 20', want: /has a control character: "amy\\nAUTH 20"/ },
    { name: 'CR', uid: 'amy\r', want: /has a control character/ },
    { name: 'NUL', uid: 'a\0my', want: /has a control character/ },
    { name: 'DEL', uid: 'amy\x7f', want: /has a control character/ },
    { name: 'a blank before', uid: ' amy', want: /begins or ends with a blank/ },
    { name: 'a blank after', uid: 'amy ', want: /begins or ends with a blank/ },
    { name: 'long', uid: 'a'.repeat(1001), want: /is longer than 1000 octets/ },
    { name: 'half a character', uid: 'a\udc00', want: /surrogate/ },
    { name: 'a service with a blank', service: 'smtp .', want: /"smtp \." is no name of a service/ },
    { name: 'no service', service: '', want: /"" is no name of a service/ },
  ]
  for (const { name, service = 'smtp', uid = 'amy', want } of rows) {
    t.throws(() => accountQuestion(service, uid), { name: 'RangeError', message: want }, name)
  }
  t.end()
})

t.test('answers, however they are cut', async (t) => {
  const octets = Buffer.from(amy)
  for (const size of [1, 2, 3, 7, 64]) {
    const { open } = await fakeDaemon(t, (socket) => {
      const send = (at: number): void => {
        if (at < octets.length) socket.write(octets.subarray(at, at + size), () => setImmediate(send, at + size))
        // Never closed: the dot is the end.
      }
      send(0)
    })
    t.match(await open().getUserInfo('smtp', 'amy'), { name: 'Amy Grün', quota: '1000000S,100C' }, `pieces of ${size}`)
  }
  const rows: { name: string; answer: string | Buffer; want: object | null | { error: RegExp; temporary: boolean } }[] =
    [
      { name: 'FAIL without a close', answer: 'FAIL\n', want: null },
      { name: 'FAIL in the middle', answer: 'HOME=/x\nFAIL\n', want: null },
      { name: 'the numbers of a virtual account', answer: 'UID=1000\nGID=12x\n.\n', want: { uid: 1000, gid: null } },
      { name: 'an empty value', answer: 'HOME=\n.\n', want: { home: '' } },
      { name: 'a name twice', answer: 'HOME=/a\nHOME=/b\n.\nHOME=/c\n.\n', want: { home: '/b' } },
      { name: 'octets', answer: Buffer.from('HOME=/\xff\n.\n', 'latin1'), want: { home: '(malformed utf8):%2F%FF' } },
      { name: 'the largest', answer: `A=${'x'.repeat(maxAnswerOctets - 5)}\n.\n`, want: { home: null } },
      {
        name: 'one octet more',
        answer: `A=${'x'.repeat(maxAnswerOctets - 4)}\n.\n`,
        want: { error: /more than 65536 octets/, temporary: false },
      },
      { name: 'no attributes', answer: '.\n', want: { error: /no attributes/, temporary: false } },
      { name: 'garbage', answer: '220 mx ESMTP\r\n', want: { error: /a line that is no attribute/, temporary: false } },
      { name: 'another empty line', answer: '\n', want: { error: /no attribute/, temporary: false } },
    ]
  for (const { name, answer, want } of rows) {
    const { open } = await fakeDaemon(t, (socket) => void socket.write(answer))
    const asked = open().getUserInfo('smtp', 'amy')
    if (want === null) t.equal(await asked, null, name)
    else if ('error' in want) {
      const { error, temporary: isTemporary } = want
      await t.rejects(asked, { message: error, phase: 'answer', isTemporary }, name)
    } else t.match(await asked, want, name)
  }
})

t.test('no answer is never the answer that there is no account', async (t) => {
  const closing = join(folder, 'closing')
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(closing, resolve))
  t.teardown(() => server.close())
  const text = join(folder, 'text')
  writeFileSync(text, '')
  const rows: {
    name: string
    answer: ((socket: Socket) => void) | string
    want: object
    options?: AuthdaemonOptions
  }[] = [
    {
      name: 'closed at once',
      answer: (socket) => socket.end(),
      want: { phase: 'read', isTemporary: true, code: null },
    },
    {
      name: 'closed in the middle',
      answer: (socket) => socket.end('HOME=/home/amy\n'),
      want: { phase: 'read', isTemporary: true, message: /ended in the middle/ },
    },
    { name: 'closed before the question', answer: closing, want: { isTemporary: true, message: /no answer|failed/ } },
    {
      name: 'silence',
      answer: () => undefined,
      options: { readTimeoutMs: 50 },
      want: {
        phase: 'read',
        isTemporary: true,
        code: 'ETIMEDOUT',
        message: /reading the answer took longer than 50 ms/,
      },
    },
    {
      name: 'a drop now and then',
      answer: (socket) => {
        const drip = setInterval(() => void socket.write('x'), 20)
        socket.on('close', () => clearInterval(drip))
      },
      options: { readTimeoutMs: 150 },
      want: { phase: 'read', isTemporary: true, code: 'ETIMEDOUT' },
    },
    {
      name: 'an answer without an end',
      answer: (socket) => {
        const flood = (): void => {
          if (!socket.destroyed) socket.write('HOME=/home/amy\n'.repeat(500), flood)
        }
        flood()
      },
      want: { phase: 'answer', isTemporary: false, message: /more than 65536 octets/ },
    },
    {
      name: 'no daemon',
      answer: join(folder, 'absent'),
      want: { phase: 'connect', isTemporary: true, code: 'ENOENT', message: /absent: connecting failed: ENOENT/ },
    },
    { name: 'a file', answer: text, want: { phase: 'connect', isTemporary: true, code: 'ECONNREFUSED' } },
  ]
  for (const { name, answer, want, options } of rows) {
    const daemon =
      typeof answer === 'string'
        ? openAuthdaemon({ socketPath: answer, connectTimeoutMs: 500, writeTimeoutMs: 500, readTimeoutMs: 500 })
        : (await fakeDaemon(t, answer)).open(options)
    const thrown: unknown = await daemon.getUserInfo('smtp', 'amy').catch((error: unknown) => error)
    t.ok(thrown instanceof AuthdaemonError, name)
    t.match(thrown, want, name)
  }
  t.match(new AuthdaemonError('connect', 'EACCES', ''), { isTemporary: false }, 'a closed way is not open later')

  const { open } = await fakeDaemon(t, () => undefined)
  const control = new AbortController()
  const asked = open().getUserInfo('smtp', 'amy', { signal: control.signal })
  setImmediate(() => control.abort(new Error('enough')))
  await t.rejects(asked, { message: 'enough' })
  await t.rejects(open().getUserInfo('smtp', 'amy', { signal: control.signal }), { message: 'enough' })
})

t.test('answers are kept for as long as they are told to be, and no more of them than that', async (t) => {
  let nowMs = 0
  const { open, asked } = await fakeDaemon(t, (socket, question) =>
    socket.end(question.includes('nobody') ? 'FAIL\n' : question.includes('ill') ? '' : amy),
  )
  const plain = open()
  for (const uid of ['amy', 'amy', 'nobody', 'nobody']) await plain.getUserInfo('smtp', uid)
  t.equal(asked.length, 4, 'nothing is kept unless it is asked for')

  const daemon = open({ keepFoundMs: 1000, keepUnknownMs: 100, keepEntries: 2, nowMs: () => nowMs })
  const count = async (uid: string, service = 'smtp'): Promise<number> => {
    const before = asked.length
    await daemon.getUserInfo(service, uid).catch(() => null)
    return asked.length - before
  }
  t.strictSame([await count('amy'), await count('amy'), await count('amy', 'imap')], [1, 0, 1])
  t.strictSame([await count('nobody'), await count('nobody'), await count('amy')], [1, 0, 1], 'the oldest went')
  nowMs = 101
  t.strictSame([await count('amy'), await count('nobody')], [0, 1], 'what is not known is asked again sooner')
  nowMs = 1001
  t.equal(await count('amy'), 1)
  t.strictSame([await count('ill'), await count('ill')], [1, 1], 'a failure is not kept')

  const cache = openAnswerCache<number>({ foundMs: 10, unknownMs: 10, entries: 0 }, () => 0)
  cache.put('x', 1)
  t.equal(cache.get('x'), null)
})

t.test('the settings of filters name the socket and the times', async (t) => {
  const { socketPath, asked } = await fakeDaemon(t, (socket) => socket.end('FAIL\n'))
  const file = join(t.testdir(), 'modules.conf')
  const write = (text: string): void => {
    writeFileSync(file, text)
    // Another list of files is another configuration.
    process.env['NODEFILTER_MODULES'] = `${process.env['NODEFILTER_MODULES'] ?? ''}:${file}`
  }
  t.teardown(() => delete process.env['NODEFILTER_MODULES'])
  write(`[authdaemon.py]\nsocket_path = '${socketPath}'\nTIMEOUT_READ = 5\n`)
  t.equal(await getUserInfo('smtp', 'amy'), null)
  t.equal(asked.length, 1)
  write("[authdaemon]\nread_timeout = 'soon'\n")
  await t.rejects(getUserInfo('smtp', 'amy'), { name: 'ModuleConfigError', message: /modules\.conf:2.*read_timeout/ })
  write('[quarantine]\ndays = 0\n[authdaemon]\nsocket_path = "/nonexistent/socket"\n')
  await t.rejects(getUserInfo('smtp', 'amy'), { code: 'ENOENT' }, "a neighbour's mistake is the neighbour's")

  await withStandIns({ authdaemonSocket: socketPath }, async () => {
    t.equal(await getUserInfo('smtp', 'amy'), null, 'a test has its own')
  })
  t.throws(() => openAuthdaemon({ socketPath: 'relative' }), { name: 'RangeError', message: /no absolute path/ })
  t.throws(() => openAuthdaemon({ socketPath: '/x', readTimeoutMs: Number.NaN }), { name: 'RangeError' })
})
