/** The quarantine as a library: what is kept, told, released, listed and removed, and what goes wrong. */
import {
  chmodSync,
  chownSync,
  constants,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { readControl, readRecipients } from '../../courier-compat/control.ts'
import type { Kept, Quarantine } from '../../courier-compat/quarantine.ts'
import { quarantineFiles, type QuarantineFiles } from '../../courier-compat/quarantine/folder.ts'
import { isEntryId, namedFile, wordOf } from '../../courier-compat/quarantine/names.ts'
import { parseOldRecord } from '../../courier-compat/quarantine/pickle.ts'
import { decodedLine, oneLine } from '../../courier-compat/quarantine/plain-text.ts'
import {
  maxSiteidOctets,
  parseReleaseWord,
  releaseAddress,
  siteidProblem,
} from '../../courier-compat/quarantine/release-address.ts'
import { SendmailError } from '../../courier-compat/sendmail.ts'
import { writeGdbm } from '../helpers/gdbm-writer.ts'
import { defaultContent, makePair, type Pair, type PairOptions } from '../helpers/pair.ts'
import {
  makeQuarantineStage,
  me,
  noonMs,
  plainBody,
  wordIn,
  type QuarantineStage,
} from '../helpers/quarantine-stage.ts'

const dayMs = 86_400_000
const two = ['amy@example.org', 'bob@example.org']

interface Stage extends QuarantineStage {
  readonly quarantine: Quarantine
  pair(options?: PairOptions): Pair
  keep(pair?: Pair, more?: { recipients?: readonly string[]; reason?: string }): Promise<Kept>
  text(id: string | null): Promise<string>
}

async function open(t: Test, settings: Parameters<QuarantineStage['open']>[0] = {}): Promise<Stage> {
  const top = t.testdir()
  const stage = makeQuarantineStage(top)
  const quarantine = await stage.open(settings)
  return Object.assign(stage, {
    quarantine,
    pair: (options: PairOptions = {}) => makePair(top, { recipients: two, ...options }),
    keep: (pair = makePair(top, { recipients: two }), more = {}) =>
      quarantine.keep({ ...pair, reason: 'harmful', ...more }),
    text: async (id: string | null) => bodyOf(await quarantine.read(id ?? '')),
  })
}

async function bodyOf(stream: Readable | null): Promise<string> {
  let text = ''
  if (stream !== null) for await (const piece of stream) text += Buffer.from(piece as Uint8Array).toString('latin1')
  return text
}

const sendmailError = (exitCode: number | null, signal: NodeJS.Signals | null = null): SendmailError =>
  new SendmailError('sendmail failed', { exitCode, signal, reply: '', stderr: '' })

const ask = (stage: Stage, word: string, more = {}) =>
  stage.quarantine.releaseByMail({ word, sender: 'amy@example.org', isAutomatic: false, oldAddresses: false, ...more })

void t.test('a message is kept', async (t) => {
  const stage = await open(t)
  const content = `Subject: \xff\n\n${'x'.repeat(300_000)}\r\nno line end`
  const pair = stage.pair({ content: Buffer.from(content, 'latin1'), sender: 'eve@example.net', extra: ['eENV', 'tH'] })
  const control = readFileSync(pair.controlPaths[0] ?? '')
  const { id, isNew, reply } = await stage.keep(pair)
  t.ok(id !== null && isEntryId(id))
  t.strictSame([isNew, reply], [true, '050 Ok'])
  t.equal(await stage.text(id), content, 'octet for octet')
  t.ok(readRecipients(pair.controlPaths).every(({ done }) => done))
  t.notMatch(readFileSync(pair.controlPaths[0] ?? '', 'latin1'), /^S.* [lr]$/m, 'no receipt is asked for')
  const record = JSON.parse(readFileSync(join(stage.dir, `${id ?? ''}.json`), 'utf8')) as { controls: string[] }
  t.match(record, {
    sender: 'eve@example.net',
    reason: 'harmful',
    queueId: readControl(pair.controlPaths).id,
    dsnFormat: 'H',
  })
  t.ok(Buffer.from(record.controls[0] ?? '', 'base64').equals(control), 'the control file as it was')
  t.equal(statSync(stage.dir).mode & 0o777, 0o700)
  for (const name of stage.names()) {
    t.equal(statSync(join(stage.dir, name)).mode & 0o777, 0o600, name)
    t.not(namedFile(name).kind, 'foreign', name)
    t.not(namedFile(name).kind, 'temporary', name)
  }
  t.equal((await stage.quarantine.read('a'.repeat(26))) ?? null, null)
})

void t.test('only from some recipients', async (t) => {
  const stage = await open(t)
  const pair = stage.pair({ files: [['amy@example.org', 'cid@example.org'], ['bob@example.org']] })
  const { id, reply } = await stage.keep(pair, { recipients: ['bob@example.org', 'amy@example.org'] })
  t.equal(reply, '', 'the others get it')
  t.strictSame(
    readControl(pair.controlPaths).recipients.map(({ address }) => address),
    ['cid@example.org'],
  )
  t.strictSame(
    (await stage.quarantine.show(id ?? ''))?.recipients.map(({ address }) => address),
    two,
  )
  await t.rejects(stage.keep(pair, { recipients: ['amy@example.org'] }), RangeError, 'who is done is not there')
  const rest = await stage.keep(pair)
  t.strictSame([rest.reply, rest.id === id], ['050 Ok', false])
  t.strictSame(await stage.keep(pair), { id: null, isNew: false, reply: '' }, 'nobody is left')
})

void t.test('the same message, brought again', async (t) => {
  const stage = await open(t)
  const again = defaultContent.replace('12:00:00', '12:30:00')
  const first = await stage.keep(stage.pair())
  const cases: readonly (readonly [what: string, options: PairOptions, isSame: boolean])[] = [
    ['the same files', {}, true],
    ['another Received field', { content: again }, true],
    ['its recipients in another order', { recipients: [...two].reverse() }, true],
    ['another body', { content: `${again}.\n` }, false],
    ['another subject', { content: again.replace('Subject: x', 'Subject: y') }, false],
    ['another sender', { sender: 'sender@example.com' }, false],
    ['other recipients', { recipients: ['amy@example.org'] }, false],
  ]
  for (const [what, options, isSame] of cases) {
    const pair = stage.pair(options)
    const { id, isNew, reply } = await stage.keep(pair)
    t.strictSame([id === first.id, isNew, reply], [isSame, !isSame, '050 Ok'], what)
    t.ok(
      readRecipients(pair.controlPaths).every(({ done }) => done),
      what,
    )
  }
  t.equal(stage.wordsFor('bob@example.org').length, 4, 'and told once')

  await ask(stage, stage.wordsFor('amy@example.org')[0] ?? '')
  const other = await stage.keep(stage.pair())
  t.not(other.id, first.id, 'after a release it is another case')
  stage.nowMs += 15 * dayMs
  const late = await stage.keep(stage.pair())
  t.notOk([first.id, other.id].includes(late.id), 'and after its time')
  const both = await Promise.all([1, 2, 3, 4].map(() => stage.keep(stage.pair({ sender: 'at@example.com' }))))
  t.equal(new Set(both.map(({ id }) => id)).size, 1, 'at the same moment')
  t.equal(both.filter(({ isNew }) => isNew).length, 1)
})

void t.test('what goes wrong on the way is an error, and costs nothing', async (t) => {
  const stage = await open(t)
  const pair = stage.pair()
  stage.fault = sendmailError(75)
  await t.rejects(stage.keep(pair), { message: /sendmail failed/ })
  t.equal((await stage.quarantine.list()).entries.length, 1, 'it is kept already')
  stage.fault = null
  const { isNew } = await stage.keep(stage.pair())
  t.strictSame([isNew, stage.sent.length], [false, 2], 'and the notices go out when it comes again')

  const signal = AbortSignal.abort(new Error('too late'))
  await t.rejects(stage.quarantine.keep({ ...stage.pair({ sender: 'a@example.com' }), reason: '', signal }), /too late/)
  await t.rejects(stage.keep({ ...stage.pair(), bodyPath: join(stage.dir, 'gone') }), { code: 'ENOENT' })
  const small = await stage.open({}, { maxOctets: 10 })
  await t.rejects(small.keep({ ...stage.pair({ sender: 'b@example.com' }), reason: '' }), /is full/)
  t.strictSame(
    stage.names().filter((name) => namedFile(name).kind === 'temporary'),
    [],
    'nothing half made lies about',
  )
  t.equal((await stage.quarantine.list()).entries.length, 1)

  const full: QuarantineFiles = {
    ...quarantineFiles,
    open: (path, ...how) => {
      if (!path.endsWith('.notified') || (how[0] & constants.O_CREAT) === 0) return quarantineFiles.open(path, ...how)
      return Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }))
    },
  }
  const forgetful = await stage.open({}, { files: full })
  stage.sent.length = 0
  const told = await forgetful.keep({ ...stage.pair({ sender: 'c@example.com' }), reason: '' })
  t.strictSame([told.reply, stage.sent.length], ['050 Ok', 2], 'who was told is not told again at each attempt')
  t.ok(stage.told.includes('warning: the list of notices of the quarantine was not written: no space left'))
})

void t.test('the notices', async (t) => {
  const cases: readonly (readonly [string, Parameters<QuarantineStage['open']>[0], Record<string, RegExp | null>])[] = [
    ['the recipients are told', {}, { 'amy@example.org': /@mx\.example\.org\n/, 'bob@example.org': /works once/ }],
    ['or not', { notify_recipient: false }, {}],
    [
      'one more is told, once',
      { also_notify: 'help@example.org' },
      {
        'amy@example.org': /works once/,
        'bob@example.org': /works once/,
        'help@example.org': /release [a-z2-7]{26} --all/,
      },
    ],
    [
      'recipients ask that one',
      { also_notify: 'help@example.org', user_release: false },
      {
        'amy@example.org': /\n {2}help@example\.org\n/,
        'bob@example.org': null,
        'help@example.org': /bob@example\.org/,
      },
    ],
    ['or the postmaster', { user_release: false }, { 'amy@example.org': /postmaster@mx/, 'bob@example.org': null }],
    ['an empty address is none', { also_notify: '' }, { 'amy@example.org': null, 'bob@example.org': null }],
  ]
  for (const [what, settings, expected] of cases) {
    await t.test(what, async (t) => {
      const stage = await open(t, settings)
      await stage.keep()
      t.strictSame(stage.sent.flatMap(({ recipients }) => recipients).sort(), Object.keys(expected).sort())
      for (const { recipients, sender, text } of stage.sent) {
        const body = plainBody(text)
        t.equal(sender, '', 'the null sender')
        const pattern = expected[recipients[0] ?? '']
        if (pattern !== null && pattern !== undefined) t.match(body, pattern)
        const isOverseer = recipients[0] === 'help@example.org'
        t.equal(wordIn(text) !== null, isOverseer || settings?.user_release !== false, 'whom the address is told')
      }
    })
  }
  await t.test('its form, whatever the message says', async (t) => {
    const stage = await open(t)
    const evil = 'From: =?utf-8?B?SsO8cmdlbgpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?= <j@example.com>'
    const subject = `Subject: =?utf-8?Q?one=0D=0AX-Evil:_1=0D=0A=0D=0A=E2=80=AEtwo?= ${'long '.repeat(200)}`
    await stage.keep(stage.pair({ recipients: ['amy@example.org'], content: `${evil}\n${subject}\n\nx\n` }), {
      reason: 'found\nX-Evil: 2\u2028',
    })
    const text = stage.sent[0]?.text ?? ''
    const [head = '', ...rest] = text.split('\n\n')
    t.strictSame(head.match(/^[^\s:]+(?=:)/gm), [
      ...['From', 'To', 'Subject', 'Date', 'Message-ID', 'Auto-Submitted', 'X-Nodefilter-Quarantine'],
      ...['MIME-Version', 'Content-Type', 'Content-Transfer-Encoding'],
    ])
    t.match(head, 'Date: Sat, 21 Nov 2026 12:00:00 +0000\n')
    t.match(head, 'Auto-Submitted: auto-replied\n')
    t.match(head, 'charset=utf-8')
    t.equal(rest.length, 1)
    const body = plainBody(text)
    t.match(body, '  From:       J\u00fcrgen Bcc: eve@example.com <j@example.com>\n')
    t.match(body, '  Subject:    one X-Evil: 1 two long')
    t.match(body, '  Reason:     found X-Evil: 2\n')
    t.match(body, 'Kept until: Sat, 05 Dec 2026 12:00:00 +0000')
    t.notMatch(body, /^X-Evil/m)
    t.notMatch(body, /[\u202e\u2028\r]/)
    t.ok(body.split('\n').every((line) => line.length < 300))
  })
})

void t.test('released by mail', async (t) => {
  const stage = await open(t)
  const recipients = [
    { address: 'amy@example.org', original: 'rfc822;amy@example.com', dsn: 'SF' },
    { address: 'bob@example.org', dsn: 'N' },
  ]
  const { id } = await stage.keep(stage.pair({ recipients, sender: 'eve@example.net', extra: ['eA+2BB', 'tF'] }))
  const [[amy = ''], [bob = '']] = [stage.wordsFor('amy@example.org'), stage.wordsFor('bob@example.org')]
  const foreign = `${bob.split('.')[0] ?? ''}.${'a'.repeat(16)}`
  const refused: readonly (readonly [what: string, word: string, more: object])[] = [
    ['the null sender', amy, { sender: '' }],
    ['an answering machine', amy, { isAutomatic: true }],
    ['no word', '', {}],
    ['the id alone', amy.split('.')[0] ?? '', {}],
    ['a guess', foreign, {}],
    ['a path', '../../x.y', {}],
    ['the token of another entry', `${'b'.repeat(26)}.${amy.split('.')[1] ?? ''}`, {}],
    ["pythonfilter's form", '12345', {}],
    ['a very long word', 'a'.repeat(100_000), {}],
  ]
  for (const [what, word, more] of refused) t.match(await ask(stage, word, more), { outcome: 'refused' }, what)
  t.equal(stage.sent.length, 2, 'nothing was sent, to nobody')
  t.ok((await stage.quarantine.show(id ?? ''))?.recipients.every(({ state }) => state === 'held'))
  t.equal(stage.told.filter((text) => text.includes('refused')).length, refused.length, 'a line for each')

  t.match(await ask(stage, amy.toUpperCase()), { outcome: 'released', address: 'amy@example.org' })
  const [, , released] = stage.sent
  t.match(released, {
    sender: 'eve@example.net',
    recipients: ['amy@example.org'],
    dsn: { notify: ['success', 'fail'], return: 'full', envelopeId: 'A+B' },
  })
  const [mark = '', ...lines] = released?.text.split('\n') ?? []
  t.match(mark, new RegExp(`^X-Nodefilter-Quarantine: release ${id ?? ''} [a-z2-7]{16}$`))
  t.equal(lines.join('\n'), defaultContent, 'below it the message as it came')
  t.match(await ask(stage, amy), { outcome: 'refused', text: /was used/ })
  t.match(await ask(stage, bob, { sender: 'whoever@example.net' }), { outcome: 'released', address: 'bob@example.org' })
  t.strictSame(stage.sent[3]?.dsn, { notify: 'never', return: 'full', envelopeId: 'A+B' })
  t.equal(stage.sent.length, 4)

  await stage.keep(stage.pair({ sender: 'late@example.net' }))
  const late = stage.wordsFor('amy@example.org').at(-1) ?? ''
  stage.nowMs += 14 * dayMs
  t.match(await ask(stage, late), { outcome: 'refused', text: /time is over/ })
  const other = await open(t, { dir: join(t.testdir(), 'other') })
  await other.keep(other.pair({ sender: 'late@example.net' }))
  t.match(await ask(other, late), { outcome: 'refused' }, "another server's key makes other tokens")
})

void t.test('once, whatever happens', async (t) => {
  const stage = await open(t)
  await stage.keep(stage.pair({ recipients: ['amy@example.org'] }))
  const [word = ''] = stage.wordsFor('amy@example.org')
  const all = await Promise.all(Array.from({ length: 8 }, () => ask(stage, word)))
  t.equal(all.filter(({ outcome }) => outcome === 'released').length, 1)
  t.equal(stage.sent.length, 2, 'the notice and the message')

  const cases: readonly (readonly [string, Error, string, boolean, string])[] = [
    ['not now', sendmailError(75), 'failed', true, 'held'],
    ['refused for good', sendmailError(67), 'failed', false, 'held'],
    ['no such program', sendmailError(null), 'failed', true, 'held'],
    ['an envelope that cannot be', new RangeError('no'), 'failed', false, 'held'],
    [
      'a full disk before the program ran',
      Object.assign(new Error('full'), { code: 'ENOSPC' }),
      'failed',
      true,
      'held',
    ],
    [
      'a mail server that went away',
      Object.assign(new Error('reset'), { code: 'EPIPE' }),
      'unknown',
      false,
      'releasing',
    ],
    ['ended in the middle', sendmailError(null, 'SIGKILL'), 'unknown', false, 'releasing'],
    ['anything else', new Error('what?'), 'unknown', false, 'releasing'],
  ]
  for (const [what, fault, outcome, isTemporary, state] of cases) {
    const { id } = await stage.keep(
      stage.pair({ recipients: ['amy@example.org'], sender: `${what.length}@example.net` }),
    )
    const word = stage.wordsFor('amy@example.org').at(-1) ?? ''
    const before = stage.sent.length
    stage.fault = fault
    t.match(await ask(stage, word), { outcome, isTemporary }, what)
    stage.fault = null
    t.equal((await stage.quarantine.show(id ?? ''))?.recipients[0]?.state, state, what)
    t.match(await ask(stage, word), { outcome: state === 'held' ? 'released' : 'refused' }, `${what}, and again`)
    if (state === 'held') continue
    const command = { recipients: 'all', by: 'a test' } as const
    t.match(await stage.quarantine.release(id ?? '', command), [{ outcome: 'unknown' }])
    stage.nowMs = Date.now()
    t.match(await stage.quarantine.release(id ?? '', { ...command, again: true }), [
      { outcome: 'failed', isTemporary: true },
    ])
    stage.nowMs = Date.now() + 300_000
    t.equal(stage.sent.length, before)
    t.match(await stage.quarantine.release(id ?? '', { ...command, again: true }), [{ outcome: 'released' }])
    stage.nowMs = noonMs
  }
})

void t.test('released by command', async (t) => {
  const stage = await open(t)
  const { id } = await stage.keep()
  const by = 'a test'
  await t.rejects(stage.quarantine.release(id ?? '', { recipients: ['eve@example.org'], by }), RangeError)
  const one = await stage.quarantine.release(id ?? '', { recipients: ['bob@example.org'], by })
  t.match(one, [{ address: 'bob@example.org', outcome: 'released' }])
  const all = await stage.quarantine.release(id ?? '', { recipients: 'all', by })
  t.strictSame(
    all?.map(({ outcome }) => outcome),
    ['released', 'already'],
  )
  t.equal(await stage.quarantine.release('c'.repeat(26), { recipients: 'all', by }), null)
  for (const evil of ['../x', '', 'A'.repeat(26), `${id ?? ''}/`, '0', '-1', '1.5', id?.slice(1) ?? '']) {
    await t.rejects(stage.quarantine.show(evil), RangeError, evil)
    await t.rejects(stage.quarantine.release(evil, { recipients: 'all', by }), RangeError, evil)
    await t.rejects(stage.quarantine.read(evil), RangeError, evil)
  }
  const { id: changed } = await stage.keep(stage.pair({ sender: 'other@example.net' }))
  const file = stage.names().find((name) => name.startsWith(changed ?? '') && name.endsWith('.eml')) ?? ''
  writeFileSync(join(stage.dir, file), defaultContent.replace('text', 'TEXT'))
  const before = stage.sent.length
  t.match(await stage.quarantine.release(changed ?? '', { recipients: 'all', by }), [
    { outcome: 'failed', text: /was changed/ },
    { outcome: 'failed' },
  ])
  t.equal(stage.sent.length, before)
})

void t.test('our own messages, where local mail is filtered as well', async (t) => {
  const stage = await open(t)
  const recipients = ['amy@example.org']
  const { id } = await stage.keep(stage.pair({ recipients }))
  const seen: (string | null)[] = []
  /** What the mail server would do while `sendmail` waits: run the chain over it. */
  stage.fault = async ({ text }) => {
    const content = `Received: by mx.example.org with local\n${text}`
    const released = await stage.keep(stage.pair({ recipients, content, source: 'local' }))
    seen.push(released.id, released.reply)
    const forgeries: readonly PairOptions[] = [
      { recipients, content: `${content}more\n` },
      { recipients: ['bob@example.org'], content },
      { recipients: two, content },
      { recipients, content: content.replace(/(release \S+ )\S/, '$1!') },
    ]
    const fault = stage.fault
    stage.fault = null
    for (const forgery of forgeries) t.ok((await stage.keep(stage.pair(forgery))).id)
    stage.fault = fault
  }
  const [word = ''] = stage.wordsFor('amy@example.org')
  t.match(await ask(stage, word), { outcome: 'released' })
  t.strictSame(seen, [null, ''], 'it is let pass')
  stage.fault = null
  const released = stage.sent.find(({ text }) => text.startsWith('X-Nodefilter-Quarantine: release'))
  t.ok((await stage.keep(stage.pair({ recipients, content: released?.text ?? '' }))).id, 'but not afterwards')

  const [notice] = stage.sent
  t.match(notice?.text, `X-Nodefilter-Quarantine: notice ${id ?? ''}`)
  const before = stage.sent.length
  t.ok((await stage.keep(stage.pair({ recipients, sender: '', content: notice?.text ?? '' }))).id)
  t.equal(stage.sent.length, before, 'a notice that is kept is told of to nobody')
})

void t.test('listed, and the index made again', async (t) => {
  const stage = await open(t)
  const ids: (string | null)[] = []
  for (const name of ['a', 'b', 'c']) {
    stage.nowMs += 1000
    ids.push((await stage.keep(stage.pair({ sender: `${name}@example.net` }))).id)
  }
  const listed = async (): Promise<string[]> => (await stage.quarantine.list()).entries.map(({ id }) => id)
  t.strictSame(await listed(), ids)
  const whole = await stage.quarantine.list()
  const index = join(stage.dir, 'index.jsonl')
  for (const content of ['', 'rubbish\n{"id":1}\n\0\n', readFileSync(index, 'utf8').slice(0, -40)]) {
    writeFileSync(index, content)
    t.strictSame(await stage.quarantine.list(), whole, 'whatever the index says')
  }
  rmSync(index)
  symlinkSync(join(stage.dir, 'elsewhere'), index)
  const { entries: unindexed, problems: odd } = await stage.quarantine.list()
  t.strictSame([unindexed, odd.length], [whole.entries, 1], 'one that cannot be read is told')
  t.strictSame(await stage.quarantine.rebuild(), { count: 3, problems: [] })
  t.equal(readFileSync(index, 'utf8').split('\n').length, 4)
  t.strictSame(await stage.quarantine.list(), whole)

  writeFileSync(join(stage.dir, `${ids[0] ?? ''}.json`), '{"format":1}')
  rmSync(index)
  const { entries, problems } = await stage.quarantine.list()
  t.strictSame([entries.length, problems.length], [2, 1], 'a damaged one is told')
  const anew = await stage.keep(stage.pair({ sender: 'a@example.net' }))
  t.strictSame([anew.isNew, anew.id === ids[0]], [true, false], 'and does not keep its message from being kept')
  for (const damage of ['{', '[]', 'null', '{"format":9}', JSON.stringify({ format: 1, id: ids[1] })]) {
    writeFileSync(join(stage.dir, `${ids[1] ?? ''}.json`), damage)
    await t.rejects(stage.quarantine.show(ids[1] ?? ''), Error, damage)
  }
})

void t.test('removed when its time is over', async (t) => {
  const stage = await open(t, { days: 2 })
  const by = 'a test'
  const { id: first } = await stage.keep(stage.pair({ sender: 'a@example.net' }))
  await ask(stage, stage.wordsFor('amy@example.org')[0] ?? '')
  stage.nowMs += dayMs
  const { id: second } = await stage.keep(stage.pair({ sender: 'b@example.net' }))
  t.match(await stage.quarantine.purge({ by }), { ids: [], orphans: [] })
  stage.nowMs += dayMs
  const all = stage.names()
  t.match(await stage.quarantine.purge({ by, dryRun: true }), { ids: [first] })
  t.strictSame(stage.names(), all)
  t.match(await stage.quarantine.purge({ by }), { ids: [first] })
  t.strictSame(
    stage.names().filter((name) => name.startsWith(first ?? '?')),
    [],
  )
  t.match(readFileSync(join(stage.dir, 'history.jsonl'), 'utf8'), `"event":"purged","id":"${first ?? ''}"`)
  t.notMatch(readFileSync(join(stage.dir, 'index.jsonl'), 'utf8'), first ?? '')

  const message = stage.names().find((name) => name.endsWith('.eml')) ?? ''
  const left = [
    ...[`new.${'a'.repeat(26)}`, `${'c'.repeat(26)}.${'d'.repeat(26)}.eml`, `${'c'.repeat(26)}.0.released`, 'C77.1'],
    `${message.slice(0, 26)}.${'e'.repeat(26)}.eml`,
  ]
  const kept = ['README', 'msgs.lock', `${second ?? ''}.txt`]
  for (const name of [...left, ...kept]) writeFileSync(join(stage.dir, name), 'x')
  // Files have the machine's time, which is not the test's.
  for (const name of stage.names()) utimesSync(join(stage.dir, name), stage.nowMs / 1000, stage.nowMs / 1000)
  t.match(await stage.quarantine.purge({ by, orphans: true }), { ids: [], orphans: [] }, 'not while they may be new')
  const oldS = (stage.nowMs - 2 * dayMs) / 1000
  for (const name of [...left, ...kept, message]) utimesSync(join(stage.dir, name), oldS, oldS)
  const { orphans } = await stage.quarantine.purge({ by, orphans: true })
  t.strictSame([...orphans].sort(), [...left].sort())
  t.equal(await stage.text(second), defaultContent)
  for (const name of kept) t.ok(stage.names().includes(name), name)
  t.match(await stage.quarantine.purge({ by, days: 0 }), { ids: [second] })
  t.strictSame((await stage.quarantine.list()).entries, [])
})

void t.test('what a purge that died has left is of no later message', async (t) => {
  for (const left of ['notified', 'claim', 'both'] as const) {
    const stage = await open(t)
    const recipients = ['amy@example.org']
    const { id: first } = await stage.keep(stage.pair({ recipients }))
    t.match(await ask(stage, stage.wordsFor('amy@example.org')[0] ?? ''), { outcome: 'released' })
    rmSync(join(stage.dir, `${first ?? ''}.json`))
    if (left === 'notified') rmSync(join(stage.dir, `${first ?? ''}.0.released`))
    if (left === 'claim') rmSync(join(stage.dir, `${first ?? ''}.notified`))
    stage.sent.length = 0
    const { id, isNew } = await stage.keep(stage.pair({ recipients }))
    t.strictSame([isNew, id === first], [true, false], left)
    t.equal((await stage.quarantine.show(id ?? ''))?.recipients[0]?.state, 'held', left)
    const [word = ''] = stage.wordsFor('amy@example.org')
    t.match(await ask(stage, word), { outcome: 'released' }, `${left}: its recipient is told, and can have it`)
  }
})

void t.test('a folder that is not safe is refused', async (t) => {
  const cases: readonly (readonly [what: string, make: (dir: string) => void, expected: RegExp])[] = [
    [
      'written by everybody',
      (dir) => {
        mkdirSync(dir)
        chmodSync(dir, 0o777)
      },
      /may be written by everybody: chmod 0700/,
    ],
    [
      'with a sticky bit',
      (dir) => {
        mkdirSync(dir)
        chmodSync(dir, 0o1777)
      },
      /may be written by everybody/,
    ],
    [
      'a link',
      (dir) => {
        mkdirSync(`${dir}-real`)
        symlinkSync(`${dir}-real`, dir)
      },
      /is a link/,
    ],
    ['a file', (dir) => writeFileSync(dir, ''), /is no folder/],
    [
      'a key that others read',
      (dir) => {
        mkdirSync(dir)
        writeFileSync(join(dir, 'release.key'), '')
      },
      /chmod 0600/,
    ],
    [
      'a key that is none',
      (dir) => {
        mkdirSync(dir, { mode: 0o700 })
        writeFileSync(join(dir, 'release.key'), 'x', { mode: 0o600 })
      },
      /is damaged/,
    ],
    [
      'a key that is a link',
      (dir) => {
        mkdirSync(dir)
        symlinkSync('/etc/hostname', join(dir, 'release.key'))
      },
      /chmod|ELOOP/,
    ],
  ]
  for (const [what, make, expected] of cases) {
    const stage = makeQuarantineStage(t.testdir())
    make(stage.dir)
    await t.rejects(stage.open(), { message: expected }, what)
  }
  await t.test(
    "somebody else's",
    { skip: process.geteuid?.() === 0 ? false : 'needs root to give it away' },
    async (t) => {
      const stage = makeQuarantineStage(t.testdir())
      mkdirSync(stage.dir)
      chownSync(stage.dir, 12_345, 12_345)
      await t.rejects(stage.open(), /belongs to user 12345/)
    },
  )
  const stage = makeQuarantineStage(t.testdir())
  await t.rejects(stage.open({ dir: null }), /set dir in section/)
  await t.rejects(stage.open({ siteid: 'a b' }), /siteid is/)
  mkdirSync(stage.dir)
  chmodSync(stage.dir, 0o770)
  await stage.open()
  t.match(stage.told, ['warning: the quarantine'])
})

void t.test('links in the folder are not followed', async (t) => {
  const stage = await open(t)
  const outside = join(stage.dir, '../secret')
  writeFileSync(outside, 'secret')
  const { id } = await stage.keep()
  const file = join(stage.dir, stage.names().find((name) => name.endsWith('.eml')) ?? '')
  for (const [what, link] of [
    ['a symbolic link', symlinkSync],
    ['another name', linkSync],
  ] as const) {
    rmSync(file)
    link(outside, file)
    await t.rejects(stage.quarantine.read(id ?? ''), Error, what)
    t.match(await stage.quarantine.release(id ?? '', { recipients: 'all', by: '' }), [
      { outcome: 'failed' },
      { outcome: 'failed' },
    ])
  }
  for (const name of ['index.jsonl', 'history.jsonl']) {
    rmSync(join(stage.dir, name))
    symlinkSync(outside, join(stage.dir, name))
  }
  await stage.keep(stage.pair({ sender: 'other@example.net' }))
  t.equal(readFileSync(outside, 'utf8'), 'secret')
  t.ok(stage.told.some((text) => text.startsWith('warning: the history')))
})

void t.test('release addresses', (t) => {
  const [id, token] = [wordOf(Buffer.alloc(16, 0xa5)), wordOf(Buffer.alloc(10, 0x5a))]
  t.strictSame([id.length, token.length], [26, 16])
  for (const siteid of ['a', 'local', 'mail.example.org', 'x'.repeat(maxSiteidOctets)]) {
    t.equal(siteidProblem(siteid), null)
    const [local = '', domain] = releaseAddress(siteid, id, token, me).split('@')
    t.ok(local.length <= 64, siteid)
    t.equal(domain, me)
    const word = parseReleaseWord(local.slice(`quarantine-${siteid}-`.length).toUpperCase())
    t.match(word, { token })
    t.ok(word !== null && 'idStart' in word && id.startsWith(word.idStart))
  }
  for (const siteid of ['', '-', 'a..b', 'a/b', 'a b', 'ä', 'x'.repeat(maxSiteidOctets + 1)])
    t.ok(siteidProblem(siteid), siteid)
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (a, b) => {
        const same = Buffer.from(a).equals(Buffer.from(b))
        return isEntryId(wordOf(a)) && (wordOf(a) === wordOf(b)) === same
      },
    ),
  )
  t.end()
})

void t.test('what strangers wrote, as text', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['plain', 'plain'],
    ['=?utf-8?Q?a_b?= =?utf-8?B?Yw==?= d', 'a bc d'],
    ['=?iso-8859-1*de?Q?=FC?=', '\u00fc'],
    ['=?no-such-set?Q?x?=', '=?no-such-set?Q?x?='],
    ['a\r\n\tb\0c\x1b[31m', 'a b c [31m'],
    ['\u202eabc\u2066', 'abc'],
    ['\ud800x', '\ufffdx'],
    ['y'.repeat(300), `${'y'.repeat(200)}...`],
  ]
  for (const [value, expected] of cases) t.equal(decodedLine(Buffer.from(value)), expected)
  t.equal(decodedLine(Buffer.alloc(0)), '')
  t.equal(decodedLine(Buffer.from('=?cp437?Q?=81?= \xfc', 'latin1')), '\u00fc\u0020\ufffd')
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 500 }),
      (value) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(oneLine(value)),
    ),
  )
  const startMs = performance.now()
  decodedLine(Buffer.from('=?a?b?'.repeat(100_000)))
  decodedLine(Buffer.alloc(1_000_000, ' '))
  t.ok(performance.now() - startMs < 5000)
  t.end()
})

/** `(1796126400.25, ('/var/q/D77', ['/var/q/C77', '/var/q/C77.1']))`, as Python's pickle writes it. */
const pickles = {
  'protocol 0 of Python 2': Buffer.from(
    "(F1796126400.25\n(S'/var/q/D77'\np1\n(lp2\nS'/var/q/C77'\np3\naS'/var/q/C77.1'\np4\natp5\ntp6\n.",
  ),
  'protocol 0': Buffer.from(
    'KEYxNzk2MTI2NDAwLjI1CihWL3Zhci9xL0Q3NwpwMAoobHAxClYvdmFyL3EvQzc3CnAyCmFWL3Zhci9xL0M3Ny4xCnAzCmF0cDQKdHA1Ci4=',
    'base64',
  ),
  'protocol 1': Buffer.from(
    'KEdB2sOtsBAAAChYCgAAAC92YXIvcS9ENzdxAF1xAShYCgAAAC92YXIvcS9DNzdxAlgMAAAAL3Zhci9xL0M3Ny4xcQNldHEEdHEFLg==',
    'base64',
  ),
  'protocol 2': Buffer.from(
    'gAJHQdrDrbAQAABYCgAAAC92YXIvcS9ENzdxAF1xAShYCgAAAC92YXIvcS9DNzdxAlgMAAAAL3Zhci9xL0M3Ny4xcQNlhnEEhnEFLg==',
    'base64',
  ),
  'protocol 3': Buffer.from(
    'gANHQdrDrbAQAABYCgAAAC92YXIvcS9ENzdxAF1xAShYCgAAAC92YXIvcS9DNzdxAlgMAAAAL3Zhci9xL0M3Ny4xcQNlhnEEhnEFLg==',
    'base64',
  ),
  'protocol 4': Buffer.from(
    'gASVOwAAAAAAAABHQdrDrbAQAACMCi92YXIvcS9ENzeUXZQojAovdmFyL3EvQzc3lIwML3Zhci9xL0M3Ny4xlGWGlIaULg==',
    'base64',
  ),
  'protocol 5': Buffer.from(
    'gAWVOwAAAAAAAABHQdrDrbAQAACMCi92YXIvcS9ENzeUXZQojAovdmFyL3EvQzc3lIwML3Zhci9xL0M3Ny4xlGWGlIaULg==',
    'base64',
  ),
} as const

void t.test('the history has no character that a line or a terminal obeys', async (t) => {
  const stage = await open(t)
  const odd = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join('')
  const sender = `${odd}\u2028\u202e\u{1f600}@example.net`
  t.match(await ask(stage, 'x', { sender }), { outcome: 'refused' })
  const history = readFileSync(join(stage.dir, 'history.jsonl'), 'latin1')
  t.match(history, /^[ -~]+\n$/)
  t.equal((JSON.parse(history) as { by: string }).by, sender)
  for (const line of stage.told) t.match(line, /^[ -~]+$/)
})

void t.test('values of pythonfilter', (t) => {
  const expected = { atMs: 1796126400_250, bodyPath: '/var/q/D77', controlPaths: ['/var/q/C77', '/var/q/C77.1'] }
  for (const [what, pickle] of Object.entries(pickles)) {
    t.strictSame(parseOldRecord(pickle), expected, what)
    for (let octets = 0; octets < pickle.length; octets++) {
      t.throws(() => parseOldRecord(pickle.subarray(0, octets)), RangeError, `${what}, cut at ${octets}`)
    }
  }
  const refused: readonly (readonly [string, string])[] = [
    ['a call', "cposix\nsystem\n(S'id'\ntR."],
    ['a global', '\x80\x04\x8c\x05posix\x8c\x06system\x93.'],
    ['something built', '\x80\x02(]b.'],
    ['something remembered', "(F1\nS'a'\np0\ng0\nt."],
    ['a list in itself', '\x80\x04]\x94h\x00a.'],
    ['a text alone', "S'a'\n."],
    ['no time', "(S'a'\n(S'a'\n(ltt."],
    ['more than one value', 'F1\nF1\n.'],
    ['something after it', `${pickles['protocol 0 of Python 2'].toString('latin1')}x`],
    ['a length beyond all', 'X\xff\xff\xff\xff.'],
    ['a mark as a value', '(.'],
    ['not a number', "(Fnan\n(S'a'\n(ltt."],
    ['a time beyond all calendars', "(F1e300\n(S'a'\n(ltt."],
  ]
  for (const [what, pickle] of refused) t.throws(() => parseOldRecord(Buffer.from(pickle, 'latin1')), RangeError, what)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...Object.values(pickles)), (bytes, pickle) => {
      const spoiled = Buffer.concat([pickle.subarray(0, bytes[0] ?? 0), bytes])
      try {
        parseOldRecord(spoiled)
      } catch (thrown) {
        return thrown instanceof RangeError
      }
      return true
    }),
  )
  t.end()
})

void t.test("a folder of pythonfilter's", async (t) => {
  const old = { siteid: 'local', days: 14 }
  const pickleAt = (ms: number): string =>
    pickles['protocol 0 of Python 2'].toString().replace('1796126400.25', String(ms / 1000))
  const times = { 77: noonMs - dayMs, 78: noonMs - 20 * dayMs }
  const pairs = Object.entries(times).map(([id, ms]) => [id, pickleAt(ms)] as const)
  const forms: Record<string, (dir: string) => void | Promise<void>> = {
    gdbm: (dir) => writeGdbm(join(dir, 'msgs.db'), [...pairs, ['no id', 'x'], ['79', 'no pickle']]),
    sqlite: async (dir) => {
      const { DatabaseSync } = await import('node:sqlite')
      const database = new DatabaseSync(join(dir, 'msgs.db'))
      database.exec('CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)')
      const insert = database.prepare('INSERT INTO Dict VALUES (?, ?)')
      for (const [id, value] of pairs) insert.run(Buffer.from(id), Buffer.from(value))
      database.close()
    },
    dumb: (dir) => {
      const [first = ['', ''], second = ['', '']] = pairs
      writeFileSync(join(dir, 'msgs.db.dat'), first[1].padEnd(512) + second[1])
      const lines = [`'${first[0]}', (0, ${first[1].length})`, `'${second[0]}', (512, ${second[1].length})`, 'rubbish']
      writeFileSync(join(dir, 'msgs.db.dir'), `${lines.join('\n')}\n`)
    },
    none: () => undefined,
    damaged: (dir) => writeFileSync(join(dir, 'msgs.db'), 'rubbish'),
  }
  const control = (pair: Pair): Buffer => readFileSync(pair.controlPaths[0] ?? '')
  for (const [form, write] of Object.entries(forms)) {
    await t.test(form, async (t) => {
      const stage = await open(t, old)
      const recipients = [
        { address: 'done@example.org', done: true },
        { address: 'amy@example.org', original: 'rfc822;amelia@example.com', dsn: 'S' },
      ]
      const put = (id: number): void => {
        writeFileSync(join(stage.dir, `D${id}`), `Subject: =?utf-8?Q?old?= ${id}\n\nx\n`)
        writeFileSync(join(stage.dir, `C${id}`), control(stage.pair({ recipients, sender: 'old@example.net' })))
        writeFileSync(join(stage.dir, `C${id}.1`), control(stage.pair({ recipients: ['bob@example.org'] })))
        utimesSync(join(stage.dir, `D${id}`), noonMs / 1000, noonMs / 1000)
      }
      put(77)
      put(78)
      await write(stage.dir)
      const { id: own } = await stage.keep()
      const isTold = !['none', 'damaged'].includes(form)
      const { entries, problems } = await stage.quarantine.list()
      t.strictSame(entries.map(({ id, kind }) => `${kind} ${id}`).sort(), [
        `nodefilter ${own ?? ''}`,
        'pythonfilter 77',
        'pythonfilter 78',
      ])
      t.equal(problems.length, { gdbm: 1, damaged: 1 }[form] ?? 0, problems.join())
      t.match(await stage.quarantine.show('77'), {
        ...{ atMs: isTold ? times[77] : noonMs, sender: 'old@example.net', subject: 'old 77', kind: 'pythonfilter' },
        recipients: [{ address: 'amy@example.org', state: 'held' }, { address: 'bob@example.org' }],
      })
      t.equal(await stage.text('77'), 'Subject: =?utf-8?Q?old?= 77\n\nx\n')

      const askOld = (sender: string, oldAddresses = true) => ask(stage, '77', { sender, oldAddresses })
      t.match(await askOld('amy@example.org', false), { outcome: 'refused' }, 'unless it is asked for')
      for (const sender of ['', 'eve@example.org', 'done@example.org', 'AMY@example.org']) {
        t.match(await askOld(sender), { outcome: 'refused' }, sender)
      }
      stage.sent.length = 0
      t.match(await askOld('amelia@EXAMPLE.com'), { outcome: 'released', address: 'amy@example.org' })
      t.match(await askOld('amy@example.org'), { outcome: 'already' }, 'once')
      t.match(await stage.quarantine.release('77', { recipients: 'all', by: 'a test' }), [
        { outcome: 'already' },
        { outcome: 'released', address: 'bob@example.org' },
      ])
      t.strictSame(
        stage.sent.map(({ sender, recipients, dsn }) => ({ sender, recipients, notify: dsn?.notify })),
        [
          { sender: 'old@example.net', recipients: ['amy@example.org'], notify: ['success'] },
          { sender: 'old@example.net', recipients: ['bob@example.org'], notify: undefined },
        ],
      )
      t.equal(await stage.quarantine.show('99'), null)
      let passed: Kept | null = null
      stage.fault = async ({ text }) => {
        stage.fault = null
        passed = await stage.keep(stage.pair({ recipients: ['amy@example.org'], content: text, source: 'local' }))
      }
      const local = await stage.quarantine.release('78', { recipients: ['amy@example.org'], by: 'a test' })
      t.match([local, passed], [[{ outcome: 'released' }], { id: null, reply: '' }], 'where local mail is filtered')

      const purged = await stage.quarantine.purge({ by: 'a test' })
      t.strictSame(purged.ids, isTold ? ['78'] : [])
      t.equal(stage.names().includes('C78.1'), !isTold)
      await stage.quarantine.purge({ by: 'a test', days: 0 })
      t.strictSame(
        stage.names().filter((name) => /^[CD7]/.test(name)),
        [],
      )
    })
  }
})
