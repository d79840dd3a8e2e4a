import { readFileSync, statSync, unlinkSync } from 'node:fs'
import t from 'tap'
import { getRecipientsData, readRecipients, type RecipientData } from '../../courier-compat/control.ts'
import type { DoFilter, FilterModule } from '../../courier-compat/filter.ts'
import type { SettingValue } from '../../courier-compat/setting.ts'
import * as debug from '../../filters/debug.ts'
import * as noduplicates from '../../filters/noduplicates.ts'
import * as nosuccessdsn from '../../filters/nosuccessdsn.ts'
import * as whitelistAuth from '../../filters/whitelist_auth.ts'
import { makeContext, makeSetup } from '../helpers/filter-context.ts'
import { makePair, type Pair, type PairRecipient } from '../helpers/pair.ts'

/** Runs a filter and gives its reply, what it logged and who is left; `appended` is the growth of each control file. */
async function run(filter: { doFilter: DoFilter }, { bodyPath, controlPaths }: Pair) {
  const { context, lines } = makeContext(controlPaths)
  const sizes = controlPaths.map((path) => statSync(path).size)
  const reply = await filter.doFilter(bodyPath, controlPaths, context)
  const appended = controlPaths.map((path, index) => readFileSync(path).subarray(sizes[index]).toString('latin1'))
  return { reply, lines, left: getRecipientsData(controlPaths), appended }
}

/** The appended records without the time, which is now. */
const timeless = (text: string) => text.replace(/^(S[0-9]+) [0-9]{10}$/gm, '$1 now')

t.test('what a failure of each means', (t) => {
  const rows: [name: string, module: FilterModule, onError: string][] = [
    ['debug, an observer, passes', debug, 'pass'],
    ['whitelist_auth passes: an error grants nothing', whitelistAuth, 'pass'],
    ['noduplicates passes: twice is better than never', noduplicates, 'pass'],
    ['nosuccessdsn defers: a notice cannot be called back', nosuccessdsn, 'defer'],
  ]
  for (const [name, module, onError] of rows) t.equal(module.onError, onError, name)
  t.end()
})

t.test('T27 whitelist_auth', async (t) => {
  const dir = t.testdir()
  const rows: { name: string; pair: Pair; want: string }[] = [
    { name: 'T27: AUTH bob is accepted', pair: makePair(dir, { authUser: 'bob' }), want: '200 Ok' },
    { name: "T27: AUTH '' passes", pair: makePair(dir, { authUser: '' }), want: '' },
    { name: 'T27: no AUTH passes', pair: makePair(dir), want: '' },
    {
      name: 'a client that may relay by its address passes',
      pair: makePair(dir, { extra: ['ORELAYCLIENT='] }),
      want: '',
    },
    {
      name: 'a name that is not UTF-8 is a name',
      pair: makePair(dir, { extra: [Buffer.from('ib\xf6b', 'latin1')] }),
      want: '200 Ok',
    },
  ]
  for (const { name, pair, want } of rows) {
    const { reply, appended } = await run(whitelistAuth, pair)
    t.equal(reply, want, name)
    t.strictSame(appended, [''], `${name}, and changes nothing`)
  }
})

t.test('T100, T101 nosuccessdsn', async (t) => {
  const dir = t.testdir()
  const flags: { name: string; dsn: string; want: string }[] = [
    { name: 'T100: S becomes F', dsn: 'S', want: 'F' },
    { name: 'T100: SFD becomes FD', dsn: 'SFD', want: 'FD' },
    { name: 'SF becomes F', dsn: 'SF', want: 'F' },
    { name: 'SD becomes D', dsn: 'SD', want: 'D' },
    { name: 'T100: N stays', dsn: 'N', want: 'N' },
    { name: 'T100: F stays', dsn: 'F', want: 'F' },
    { name: 'D stays', dsn: 'D', want: 'D' },
    { name: 'the default stays', dsn: '', want: '' },
  ]
  for (const { name, dsn, want } of flags) {
    const recipient = { address: 'user@example.org', original: 'rfc822;list@example.org', dsn }
    const { reply, left, appended, lines } = await run(nosuccessdsn, makePair(dir, { recipients: [recipient] }))
    t.strictSame(left, [['user@example.org', 'rfc822;list@example.org', want]], name)
    t.equal(reply, '', `${name}, and passes`)
    const change = dsn === want ? '' : `ruser@example.org\nRrfc822;list@example.org\nN${want}\n`
    const completed = dsn === want ? '' : 'I0 R 250 Ok - replaced by nosuccessdsn\nS0 now\n'
    t.equal(timeless(appended.join('')), change + completed, `${name}, the new one written before the old one is done`)
    const line = `info: recipient <user@example.org>: no notice of success, NOTIFY ${dsn} is now ${want}`
    t.strictSame(lines, dsn === want ? [] : [line], `${name}, and tells the log`)
  }

  const odd = Buffer.from('t\xebst+\xff "@example.org ', 'latin1')
  const bytes = makePair(dir, { recipients: [{ address: odd, original: Buffer.from('\xf6', 'latin1'), dsn: 'S' }] })
  const { appended } = await run(nosuccessdsn, bytes)
  t.match(appended[0], 'rt\xebst+\xff "@example.org \nR\xf6\nNF\n', 'T101: bytes are preserved')

  const several = makePair(dir, {
    files: [
      [{ address: 'a@example.org', dsn: 'S' }, 'b@example.org', { address: 'alias@example.org', dsn: 'S', done: true }],
      [
        { address: 'c@example.org', dsn: 'SF' },
        { address: 'd@example.org', dsn: 'SD' },
      ],
      ['e@example.org'],
    ],
  })
  const done = await run(nosuccessdsn, several)
  t.strictSame(
    done.appended.map(timeless),
    [
      'ra@example.org\nR\nNF\nI0 R 250 Ok - replaced by nosuccessdsn\nS0 now\n',
      'rc@example.org\nR\nNF\nrd@example.org\nR\nND\n' +
        'I0 R 250 Ok - replaced by nosuccessdsn\nS0 now\nI1 R 250 Ok - replaced by nosuccessdsn\nS1 now\n',
      '',
    ],
    'each is replaced in its own control file; the completed alias and the others are left alone',
  )
  t.equal(done.lines.length, 3, 'and only what was replaced is told to the log')
  t.strictSame((await run(nosuccessdsn, several)).appended, ['', '', ''], 'a second run finds nothing to do')
})

t.test('T102, T103 noduplicates', async (t) => {
  const dir = t.testdir()
  const a = 'a@example.org'
  const rows: { name: string; files: PairRecipient[][]; want: RecipientData[] }[] = [
    {
      name: 'T102: a@b twice, the second through an alias, leaves one',
      files: [[a, { address: a, original: 'rfc822;list@example.org' }]],
      want: [[a, '', '']],
    },
    { name: 'T102: a@b three times leaves one', files: [[a, a, a]], want: [[a, '', '']] },
    {
      name: 'T102: a@b and A@b are two',
      files: [[a, 'A@example.org']],
      want: [
        [a, '', ''],
        ['A@example.org', '', ''],
      ],
    },
    {
      name: 'T103: a duplicate in the second control file leaves one in total',
      files: [[a], [a]],
      want: [[a, '', '']],
    },
    {
      name: 'T103: the first one stays, wherever the others are',
      files: [['b@example.org', { address: a, original: 'x' }], [a, 'b@example.org', 'c@example.org'], [a]],
      want: [
        ['b@example.org', '', ''],
        [a, 'x', ''],
        ['c@example.org', '', ''],
      ],
    },
    {
      name: 'the case of a domain makes no difference',
      files: [['a@Example.ORG', a]],
      want: [['a@Example.ORG', '', '']],
    },
    {
      name: 'nor that of letters beyond ASCII',
      files: [['a@EXÄMPLE.org', 'a@exämple.org']],
      want: [['a@EXÄMPLE.org', '', '']],
    },
    {
      name: 'nor in which form IDNA has them, nor quotes that say nothing, nor the case of postmaster',
      files: [['a@xn--exmple-cua.org', '"a"@ex\u00e4mple.org', 'Postmaster@b', 'postmaster@B', 'A@b', 'a@b']],
      want: [
        ['a@xn--exmple-cua.org', '', ''],
        ['Postmaster@b', '', ''],
        ['A@b', '', ''],
        ['a@b', '', ''],
      ],
    },
    {
      name: 'a letter that only looks like another makes another address',
      files: [['a@\u212a.example', 'a@k.example', 'a..b@K.example', 'a..b@k.example']],
      want: [
        ['a@\u212a.example', '', ''],
        ['a@k.example', '', ''],
        ['a..b@K.example', '', ''],
      ],
    },
    {
      name: 'an @ within quotes begins no domain',
      files: [['"a@B"', '"a@b"']],
      want: [
        ['"a@B"', '', ''],
        ['"a@b"', '', ''],
      ],
    },
    {
      name: 'bytes that are not UTF-8 differ from their own text form',
      files: [[Buffer.from('\xeb@b', 'latin1'), '%EB@b', Buffer.from('\xeb@B', 'latin1')]],
      want: [
        ['(malformed utf8):%EB@b', '', ''],
        ['%EB@b', '', ''],
      ],
    },
    { name: 'a completed one is no duplicate', files: [[{ address: a, done: true }, a]], want: [[a, '', '']] },
    { name: 'a local user without a domain', files: [['bob', 'bob']], want: [['bob', '', '']] },
    {
      name: 'without duplicates nothing is done',
      files: [[a], ['b@example.org']],
      want: [
        [a, '', ''],
        ['b@example.org', '', ''],
      ],
    },
  ]
  for (const { name, files, want } of rows) {
    const { reply, left, lines, appended } = await run(noduplicates, makePair(dir, { files }))
    t.strictSame(left, want, name)
    t.equal(reply, '', `${name}, and passes`)
    const removed = files.flat().filter((each) => typeof each !== 'object' || !('done' in each)).length - want.length
    t.equal(
      lines.filter((line) => line.includes('removed: a duplicate of')).length,
      removed,
      `${name}: a line for each`,
    )
    t.equal(appended.join('').match(/^S/gm)?.length ?? 0, removed, `${name}: no more are completed`)
  }

  const pair = makePair(dir, { files: [[a, 'b@example.org'], [{ address: a, original: 'x' }]] })
  const twice = await run(noduplicates, { ...pair, controlPaths: [...pair.controlPaths, ...pair.controlPaths] })
  t.strictSame(getRecipientsData(pair.controlPaths).length, 2, 'a control file named twice loses nobody')
  t.strictSame(
    twice.lines,
    ['info: recipient <a@example.org> (originally "x") removed: a duplicate of <a@example.org>'],
    'who was removed, and why',
  )
  t.strictSame((await run(noduplicates, pair)).appended, ['', ''], 'a second run finds nothing to do')
})

t.test('noduplicates unites the wishes for notices, as its table says', async (t) => {
  const dir = t.testdir()
  const source = readFileSync(new URL('../../filters/noduplicates.ts', import.meta.url), 'utf8')
  const table = [...source.matchAll(/^ \*     (.*)$/gm)].map(([, row = '']) => row.split(/ {2,}/))
  const [head = [], ...rows] = table
  const flags = (cell: string | undefined) => (cell ?? '?').replace("''", '').replace(' *', '')
  t.equal(rows.length, 6, 'the table was found')
  for (const [stays = '', ...cells] of rows) {
    for (const [at, cell] of cells.entries()) {
      const goes = flags(head[at + 1])
      const first = { address: 'a@example.org', original: 'kept', dsn: flags(stays) }
      const second = { address: 'a@Example.org', original: 'dropped', dsn: goes }
      const { left, appended } = await run(noduplicates, makePair(dir, { files: [[first], [second]] }))
      const name = `"${flags(stays)}" stays, "${goes}" goes`
      t.strictSame(left, [['a@example.org', 'kept', flags(cell)]], name)
      t.equal(appended[0] !== '', cell.endsWith(' *'), `${name}: rewritten only where a wish is added`)
    }
  }

  const files = [
    [
      { address: 'a@example.org', dsn: 'N' },
      { address: 'a@example.org', dsn: 'S' },
    ],
    [{ address: 'a@example.org', dsn: 'D' }],
  ]
  const { appended, left } = await run(noduplicates, makePair(dir, { files }))
  t.strictSame(left, [['a@example.org', '', 'SD']], 'three wishes are united')
  t.equal(
    timeless(appended[0] ?? ''),
    'ra@example.org\nR\nNSD\nI0 R 250 Ok - replaced by noduplicates\nS0 now\n' +
      'I1 R 250 Ok - duplicate removed by noduplicates\nS1 now\n',
    'the new one is written before the old ones are done',
  )
})

t.test('T107 debug', async (t) => {
  const dir = t.testdir()
  const pair = makePair(dir, {
    authUser: 'bob@example.org',
    recipients: ['user@example.org', { address: 'list@example.org', original: 'rfc822;x', dsn: 'S', done: true }],
  })
  const [control = ''] = pair.controlPaths
  t.teardown(() => debug.initFilter(makeSetup('debug')))

  const { reply, lines, appended } = await run(debug, pair)
  t.equal(reply, '', 'T107: passes')
  t.strictSame(appended, [''], 'T107: changes nothing')
  const text = lines.join('\n')
  const { ino, uid, gid, size } = statSync(pair.bodyPath)
  const wanted: { name: string; want: RegExp | string }[] = [
    { name: 'the message', want: /^info: message [0-9A-F]{16}\.000000006B0E9A80\.00001092, attempt 1$/m },
    { name: 'process and folder', want: `process: pid ${process.pid} in ${process.cwd()}, ` },
    {
      name: 'user and group',
      want: `uid ${process.getuid?.()} (effective ${process.geteuid?.()}), gid ${process.getgid?.()} `,
    },
    { name: 'further groups', want: `groups ${process.getgroups?.().join(' ')}` },
    {
      name: 'the data file',
      want: `body: ${pair.bodyPath}: mode 0100660, owner ${uid}:${gid}, ${size} octets, 1 links, inode ${ino}, `,
    },
    { name: 'the control file', want: `control 1 of 1: ${control}: mode 0100660, ` },
    { name: 'the sender', want: 'sender: <sender@example.net>' },
    { name: 'a recipient', want: 'recipient: <user@example.org>, original "", notify ""\n' },
    { name: 'a completed one', want: 'recipient: <list@example.org>, original "rfc822;x", notify "S", done\n' },
    {
      name: 'the client',
      want: 'client: ip 203.0.113.9, user "bob@example.org", source "smtp", may not relay, mta "dns; helo.',
    },
  ]
  for (const { name, want } of wanted) t.match(text, want, `T107: logs ${name}`)

  const settings = (values: Record<string, SettingValue>) => debug.initFilter(makeSetup('debug', values))
  const logged = async (values: Record<string, SettingValue>, from = pair) => {
    await settings(values)
    return (await run(debug, from)).lines.join('\n')
  }
  t.strictSame(
    (await logged({ fields: ['client'] })).match(/^info: [a-z]+/gm),
    ['info: message', 'info: client'],
    'fields',
  )

  const local = await logged({ redact: 'local_part' })
  t.match(local, /sender: <\*\*\*@example\.net>/, 'redact = local_part keeps domains')
  t.match(local, /ip 203\.0\.113\.9, user "\*\*\*@example\.org"/, 'and addresses of hosts')
  t.notMatch(local, /user@|bob|list@|rfc822;x/, 'but no local part')
  const all = await logged({ redact: 'all' })
  t.notMatch(all, /example\.(org|net)>|203\.0\.113\.9|helo|bob/, 'redact = all names nobody')
  t.match(await logged({ redact: 'all' }, makePair(dir, { sender: '' })), 'sender: <>', 'the null sender is no secret')

  const invalid = makePair(dir, { ip: '192.0.2.010' })
  t.match(await logged({}, invalid), 'ip "192.0.2.010" (no address)', 'a client address that is none is shown')

  const limits: { name: string; values: Record<string, SettingValue>; from?: Pair; want: boolean }[] = [
    { name: 'the sender', values: { senders: ['Sender@Example.net'] }, want: true },
    { name: "the sender's domain", values: { senders: ['@example.net'] }, want: true },
    { name: 'another sender', values: { senders: ['x@example.net', '@net'] }, want: false },
    { name: 'the null sender', values: { senders: ['<>'] }, from: makePair(dir, { sender: '' }), want: true },
    { name: 'the null sender only', values: { senders: ['<>'] }, want: false },
    { name: 'one of the recipients', values: { recipients: ['x@example.org', 'user@example.org'] }, want: true },
    { name: 'a recipient that is done', values: { recipients: ['list@example.org'] }, want: false },
    { name: 'the client', values: { clients: ['203.0.113.9'] }, want: true },
    { name: "the client's network", values: { clients: ['2001:db8::/32', '203.0.113.0/24'] }, want: true },
    { name: 'another network', values: { clients: ['2001:db8::/32', '203.0.112.0/24'] }, want: false },
    {
      name: 'an IPv6 network',
      values: { clients: ['2001:db8::/32'] },
      from: makePair(dir, { ip: '2001:db8:1::1' }),
      want: true,
    },
    {
      name: 'a message without a client',
      values: { clients: ['0.0.0.0/0'] },
      from: makePair(dir, { ip: null }),
      want: false,
    },
    { name: 'a message with a bad one', values: { clients: ['192.0.2.10'] }, from: invalid, want: false },
    { name: 'sender and another client', values: { senders: ['@example.net'], clients: ['192.0.2.1'] }, want: false },
    { name: 'sender and client', values: { senders: ['@example.net'], clients: ['203.0.113.9'] }, want: true },
  ]
  for (const { name, values, from, want } of limits) {
    t.equal((await logged(values, from)) !== '', want, `limited to ${name}: ${want ? 'written' : 'silent'}`)
  }
  for (const bad of ['x', '192.0.2.0/33', '2001:db8::/129', '192.0.2.0/', '/24', '192.0.02.1']) {
    t.throws(
      () => settings({ clients: [bad] }),
      { message: /is neither an IP address nor a network/ },
      `clients = ${bad}`,
    )
  }
  t.throws(
    () => settings({ fields: ['bodies'] }),
    { message: /there is no "bodies", only process, body/ },
    'an unknown field',
  )

  await settings({})
  unlinkSync(pair.bodyPath)
  await t.rejects(run(debug, pair), { code: 'ENOENT' }, 'a missing data file is an error, which its onError passes')
  t.equal(readRecipients(pair.controlPaths).length, 2, 'and the control file is untouched')
})
