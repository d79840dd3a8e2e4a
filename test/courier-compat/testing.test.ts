/** The test kit: a filter meets the same things as in the host. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import {
  addRecipient,
  defer,
  delRecipient,
  getSendersIp,
  type FilterSetup,
  type SettingSchemas,
} from '../../courier-compat/index.ts'
import { getUserInfo, openAuthdaemon } from '../../courier-compat/authdaemon.ts'
import { sendmail, SendmailError } from '../../courier-compat/sendmail.ts'
import {
  fakeAuthdaemon,
  fakeClock,
  fakeSendmail,
  makeMessage,
  makePair,
  openFilter,
  runFilter,
  type RunOptions,
  type TestedModule,
  type TestMessageParts,
} from '../../courier-compat/testing.ts'
import { simpleParser } from 'mailparser'

const pass = (): string => ''

t.test('settings are checked and completed as in the host', async (t) => {
  const settings = {
    level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' },
    wait: { type: 'duration', default: '5m', text: 'How long.' },
  } as const satisfies SettingSchemas
  const given: FilterSetup[] = []
  const filter: TestedModule = { settings, initFilter: (setup: FilterSetup) => given.push(setup), doFilter: pass }
  await runFilter(filter, 'x', { settings: { wait: '2h' }, name: 'f', alias: 'g' })
  t.match(given[0], { name: 'f', alias: 'g', settings: { level: 3, wait: 7_200_000 } })
  t.ok(Object.isFrozen(given[0]?.settings))

  const rows: { name: string; filter: TestedModule; settings: Record<string, unknown>; want: RegExp }[] = [
    { name: 'out of bounds', filter, settings: { level: 10 }, want: /^level: 10 is above the maximum, 9$/ },
    { name: 'unknown', filter, settings: { levle: 1 }, want: /^levle: no such setting; did you mean "level"\?$/ },
    { name: 'two', filter, settings: { level: 0, x: 1 }, want: /level: .*; x: no such setting/ },
    {
      name: 'a schema that is none',
      filter: { doFilter: pass, settings: { a: { type: 'count', default: 1 } } as unknown as SettingSchemas },
      settings: {},
      want: /"a": text is not one line of text/,
    },
  ]
  for (const { name, filter, settings, want } of rows) {
    await t.rejects(runFilter(filter, 'x', { settings }), { name: 'TypeError', message: want }, name)
  }
})

t.test('a run tells everything that came of it', async (t) => {
  const filter: TestedModule = {
    doFilter: (bodyPath, controlPaths, { attempt, client, envelope, log, notes, signal }) => {
      log.info(
        `${envelope.sender ?? '<>'} at ${client.ip ?? '-'} ${getSendersIp(controlPaths) ?? '-'}, user ${client.authUser ?? '-'}`,
      )
      log.warn(`attempt ${attempt}, aborted ${signal.aborted}`)
      notes.set('content', readFileSync(bodyPath, 'latin1'))
      addRecipient(controlPaths, 'new@example.org')
      delRecipient(controlPaths, 'b@example.org')
      writeFileSync(bodyPath, 'edited\n')
      return defer('4.7.1', `${envelope.recipients.length} then ${String(notes.size)}`)
    },
  }
  const options: RunOptions = {
    ...{ sender: '', recipients: ['a@example.org', 'b@example.org'], clientIp: '2001:db8::1', authUser: 'amy' },
    ...{ attempt: 2, signal: AbortSignal.abort() },
  }
  const run = await runFilter(filter, 'Subject: x\r\n\r\ncaf\u00e9', options)
  t.equal(run.reply, '451 4.7.1 2 then 1')
  t.match(run.verdict, { kind: 'defer', reply: { code: 451, status: '4.7.1' } })
  t.strictSame(run.log, ['info: <> at 2001:db8::1 2001:db8::1, user amy', 'warn: attempt 2, aborted true'])
  t.equal(run.notes.get('content'), 'Subject: x\n\ncaf\u00c3\u00a9\n', 'LF line ends, UTF-8, a final LF')
  t.strictSame(run.recipients, ['a@example.org', 'new@example.org'])
  t.equal(run.content.toString(), 'edited\n')

  const plain = await runFilter({ doFilter: () => undefined }, new Uint8Array([0x61, 0xff]))
  t.match(plain, { reply: '', verdict: { kind: 'pass' }, log: [], recipients: ['recipient@example.org'] })
  t.strictSame([...plain.content], [0x61, 0xff, 0x0a], 'octets stay as they are')
})

t.test('failures are failures of the test', async (t) => {
  const rows: { name: string; filter: TestedModule; options?: RunOptions; want: RegExp }[] = [
    {
      name: 'a throw',
      filter: {
        doFilter: () => {
          throw new Error('in doFilter')
        },
      },
      want: /^in doFilter$/,
    },
    { name: 'a rejection', filter: { doFilter: () => Promise.reject(new Error('later')) }, want: /^later$/ },
    { name: 'what is no reply', filter: { doFilter: () => '300 no' }, want: /^doFilter returned the code 300/ },
    { name: 'another type', filter: { doFilter: () => null }, want: /^doFilter returned null, not a string/ },
    { name: 'a record in an address', filter: { doFilter: pass }, options: { sender: 'a\nb' }, want: /holds CR, LF/ },
    {
      name: 'a throw in initFilter',
      filter: {
        doFilter: pass,
        initFilter: () => {
          throw new Error('in initFilter')
        },
      },
      want: /^in initFilter$/,
    },
  ]
  for (const { name, filter, options, want } of rows) {
    await t.rejects(runFilter(filter, 'x', options), { message: want }, name)
  }
})

t.test('one filter, several messages, and nothing left behind', async (t) => {
  const paths: string[] = []
  let closed = 0
  let state = ''
  const filter: TestedModule = {
    initFilter: (setup: FilterSetup) => {
      state = setup.state
      writeFileSync(`${state}/kept`, '')
    },
    doFilter: (bodyPath, controlPaths, { id }) => {
      paths.push(bodyPath, ...controlPaths)
      return `250 ${id}`
    },
    closeFilter: () => closed++,
  }
  const opened = await openFilter(filter)
  t.equal((await opened.run('a')).reply, '250 test.1')
  t.equal((await opened.run('b')).reply, '250 test.2')
  t.ok(paths.every((path) => existsSync(path)) && existsSync(`${state}/kept`))
  await opened.close()
  t.equal(closed, 1)
  t.notOk(
    [...paths, state].some((path) => existsSync(path)),
    'all files are gone',
  )

  const own = t.testdir()
  await runFilter(filter, 'x', { state: own })
  t.ok(existsSync(`${own}/kept`), "a state folder of one's own stays")
})

t.test('a pair of its own', (t) => {
  const pair = makePair('Subject: x\r\n\r\ntext', { sender: '', recipients: ['a@example.org'], authUser: 'amy' })
  t.equal(readFileSync(pair.bodyPath, 'utf8'), 'Subject: x\n\ntext\n')
  t.match(readFileSync(pair.controlPaths[0] ?? '', 'utf8'), /^s\nf.*\ne\nt\nMtest\.1\nra@example\.org\nR\nN\niamy\n/)
  pair.close()
  t.notOk(existsSync(pair.bodyPath))
  t.throws(() => makePair('x', { sender: 'a\nb' }), { message: /holds CR, LF/ })
  t.end()
})

t.test('messages', async (t) => {
  const mark = String.fromCodePoint(0x1f4e7)
  const plain = makeMessage()
  t.equal(
    plain.toString(),
    [
      ...['From: Sender <sender@example.com>', 'To: recipient@example.org', 'Subject: test'],
      ...['Date: Tue, 01 Dec 2026 12:00:00 +0000', 'Message-ID: <test@example.com>', 'MIME-Version: 1.0'],
      ...['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 7bit', '', 'text', ''],
    ].join('\n'),
  )
  t.strictSame(makeMessage(), plain, 'the same each time')

  const everything: TestMessageParts = {
    headers: {
      Subject: `Gr\u00fc\u00dfe ${mark}`,
      Date: null,
      'X-Two': ['a', 'b'],
      'X-Raw': Buffer.from([0x61, 0xff]),
    },
    text: `Gr\u00fc\u00dfe = ${'lang '.repeat(60)}\n--=_mixed_0\nend \n`,
    html: '<p>Gr\u00fc\u00dfe</p>\n',
    attachments: [
      { name: 'r\u00e9sum\u00e9 (1).pdf', type: 'application/pdf', content: Buffer.alloc(1000, '%PDF\xff', 'latin1') },
      { name: 'a "b" \\ c.txt', type: 'text/plain', content: '--=_mixed_1\n', encoding: '7bit' },
      { type: 'message/rfc822', content: makeMessage({ headers: { Subject: 'inside' } }) },
    ],
  }
  const octets = makeMessage(everything)
  t.ok(octets.includes(Buffer.from([0x61, 0xff])), 'octets of a field stay')
  const lines = octets.toString('latin1').split('\n')
  t.ok(lines.every((line) => line.length <= 78 && !line.endsWith('\r')))
  const parsed = await simpleParser(octets)
  t.equal(parsed.subject, `Gr\u00fc\u00dfe ${mark}`)
  t.match(parsed.text, /^Gr\u00fc\u00dfe = (lang ){60}\n--=_mixed_0\nend $/m)
  t.match(parsed.html, /<p>Gr\u00fc\u00dfe<\/p>/)
  t.notOk(parsed.headers.has('date'))
  t.strictSame(parsed.headers.get('x-two'), ['a', 'b'])
  t.strictSame(parsed.attachments.map(({ filename, contentType }) => [filename, contentType]).slice(0, 2), [
    ['r\u00e9sum\u00e9 (1).pdf', 'application/pdf'],
    ['a "b" \\ c.txt', 'text/plain'],
  ])
  t.strictSame(parsed.attachments[0]?.content, Buffer.alloc(1000, '%PDF\xff', 'latin1'))
  t.equal(parsed.attachments[1]?.content.toString(), '--=_mixed_1\n')

  const latin = makeMessage({ text: 'gr\u00fcn\n', charset: 'iso-8859-1', encoding: '8bit' })
  t.ok(latin.includes(Buffer.from('gr\xfcn', 'latin1')))
  t.match(await simpleParser(makeMessage({ text: Buffer.from([0xe9, 0x0d, 0x0a]), charset: 'koi8-r' })), {
    text: /\u0418/,
  })
  t.match(makeMessage({ html: '<p>' }).toString(), /\nContent-Type: text\/html; charset=utf-8\n.*\n\n<p>$/s)
  for (const length of [74, 75, 76, 77, 151, 152, 1000]) {
    const text = `${'\u00fc='.repeat(length).slice(0, length)}\n`
    const message = makeMessage({ text, encoding: 'quoted-printable' })
    t.ok(
      message
        .toString('latin1')
        .split('\n')
        .every((line) => line.length <= 78),
    )
    t.equal((await simpleParser(message)).text, text, `${length} characters in quoted-printable`)
  }
  const rows: { name: string; parts: TestMessageParts; want: RegExp }[] = [
    { name: 'a line end', parts: { headers: { Subject: 'a\nBcc: b' } }, want: /holds CR, LF/ },
    { name: 'no name', parts: { headers: { 'Sub ject': 'a' } }, want: /no name of a header field/ },
    {
      name: 'a line end in a file name',
      parts: { attachments: [{ type: 'a\nb', content: '' }] },
      want: /holds CR, LF/,
    },
    {
      name: 'too little a charset',
      parts: { text: '\u20ac', charset: 'iso-8859-1' },
      want: /iso-8859-1 has no "\u20ac"/,
    },
    { name: 'too little an encoding', parts: { text: '\u20ac', encoding: '7bit' }, want: /7bit does not carry/ },
    { name: 'text in another charset', parts: { text: 'x', charset: 'koi8-r' }, want: /is given as octets/ },
  ]
  for (const { name, parts, want } of rows) {
    t.throws(() => makeMessage(parts), { name: 'RangeError', message: want }, name)
  }
})

t.test('a clock', async (t) => {
  const real = Date.now()
  const clock = fakeClock('2026-12-01T12:00:00Z')
  t.teardown(() => clock.close())
  const first: Record<string, number> = {}
  const greylist: TestedModule = {
    doFilter: (_, __, { envelope }) => {
      const key = envelope.sender ?? ''
      return Date.now() - (first[key] ??= Date.now()) >= 300_000 ? '' : '451 4.7.1 Later'
    },
  }
  const opened = await openFilter(greylist)
  const kindNow = async (): Promise<string> => (await opened.run('x')).verdict.kind
  t.equal(await kindNow(), 'defer')
  await clock.advance('4m')
  t.equal(await kindNow(), 'defer')
  await clock.advance(60_000)
  t.equal(await kindNow(), 'pass')
  t.equal(new Date().toISOString(), '2026-12-01T12:05:00.000Z')
  t.equal(clock.now(), Date.now())

  const done: string[] = []
  const late = new Promise((resolve) => setTimeout(resolve, 2000)).then(() => done.push('late'))
  const interval = setInterval(() => done.push('tick'), 900)
  await clock.advance('2s')
  await late
  clearInterval(interval)
  t.strictSame(done, ['tick', 'tick', 'late'])
  clock.set('2027-01-01')
  t.equal(Date.now(), Date.UTC(2027, 0, 1))
  await t.rejects(clock.advance('soon'), { name: 'RangeError', message: /"soon" is no length of time/ })
  await t.rejects(clock.advance(-1), { name: 'RangeError', message: /-1 is no length/ })
  t.throws(() => fakeClock(), { message: /already enabled/ })
  t.throws(() => clock.set('someday'), { name: 'RangeError' })
  await opened.close()
  clock.close()
  t.ok(Date.now() - real < 60_000, 'and the real one goes on')
})

t.test('a sendmail and an authentication daemon', async (t) => {
  const mail = fakeSendmail()
  const authdaemon = await fakeAuthdaemon({ amy: {}, 'bob@example.org': { HOME: '/srv/bob', UID: '7' } })
  t.teardown(() => authdaemon.close())
  const filter: TestedModule = {
    initFilter: async () => {
      await openAuthdaemon({ socketPath: '/nonexistent' }).getUserInfo('init', 'amy')
    },
    doFilter: async (bodyPath, _, { envelope, signal }) => {
      const [recipient] = envelope.recipients
      const account = await getUserInfo('smtp', recipient?.address ?? '', { signal })
      if (account === null) return '550 5.1.1 No such user'
      const message = { path: bodyPath }
      await sendmail({ sender: '', recipients: [account.home ?? ''], message, signal, dsn: { notify: 'never' } })
      return ''
    },
  }
  const opened = await openFilter(filter, { sendmail: mail, authdaemon })
  t.match(await opened.run('a\r\nb', { recipients: ['bob@example.org'] }), { verdict: { kind: 'pass' } })
  t.match(await opened.run('x', { recipients: ['eve'] }), { verdict: { kind: 'reject' } })
  t.match(mail.sent, [{ sender: '', recipients: ['/srv/bob'], dsn: { notify: 'never' } }])
  t.equal(mail.sent[0]?.content.toString(), 'a\nb\n')
  t.strictSame(authdaemon.asked, [
    { service: 'init', uid: 'amy' },
    { service: 'smtp', uid: 'bob@example.org' },
    { service: 'smtp', uid: 'eve' },
  ])
  const end = { exitCode: 75, signal: null, reply: '', stderr: '' }
  mail.fail(new SendmailError('down', end))
  await t.rejects(opened.run('x', { recipients: ['amy'] }), { name: 'SendmailError', message: 'down' })
  mail.fail(null)
  t.match(await opened.run('x', { recipients: ['amy'] }), { verdict: { kind: 'pass' } })
  authdaemon.setAvailable(false)
  await t.rejects(opened.run('x', { recipients: ['amy'] }), { name: 'AuthdaemonError', message: /no answer/ })
  await opened.close()
  authdaemon.setAvailable(true)
  await runFilter(filter, 'x', { recipients: ['amy'], sendmail: mail, authdaemon })
  t.equal(mail.sent.length, 3)
})
