import { statSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { DoFilter, FilterModule } from '../../courier-compat/filter.ts'
import type { SettingValue } from '../../courier-compat/setting.ts'
import * as deliveredto from '../../filters/deliveredto.ts'
import * as logAliases from '../../filters/log_aliases.ts'
import * as whitelistBlock from '../../filters/whitelist_block.ts'
import * as whitelistRelayclients from '../../filters/whitelist_relayclients.ts'
import { makeCourierFolder, settingE0, writeCourierFiles } from '../helpers/courier-folder.ts'
import { deadSetupStores } from '../../host/store/filter-stores.ts'
import { makeContext, makeLog } from '../helpers/filter-context.ts'
import { makePair, type Pair, type PairOptions } from '../helpers/pair.ts'

// Courier tells its filters by this variable where its configuration is.
const sysconfdirBefore = process.env['sysconfdir']
t.teardown(() => {
  if (sysconfdirBefore === undefined) delete process.env['sysconfdir']
  else process.env['sysconfdir'] = sysconfdirBefore
})

const useCourier = (dir: string, files = settingE0): string => {
  const folder = makeCourierFolder(dir, files)
  process.env['sysconfdir'] = folder
  return folder
}

/** Starts a filter with these settings and gives what it logged. */
async function start(module: FilterModule, settings: Readonly<Record<string, SettingValue>> = {}): Promise<string[]> {
  const { log, lines } = makeLog()
  const defaults = Object.entries(module.settings ?? {}).map(([name, { default: value }]) => [name, value] as const)
  const values = { ...Object.fromEntries(defaults), ...settings }
  await module.initFilter?.({
    name: 'x',
    alias: 'x',
    settings: values,
    log,
    state: '/nonexistent',
    stores: deadSetupStores,
  })
  return lines
}

/** Runs a filter and gives the code of its reply, or `pass`. None of the filters here may change a file. */
async function run({ doFilter }: { doFilter: DoFilter }, { bodyPath, controlPaths }: Pair) {
  const { context, lines } = makeContext(controlPaths)
  const before = [bodyPath, ...controlPaths].map((path) => readFileSync(path))
  const reply = (await doFilter(bodyPath, controlPaths, context)) ?? ''
  const changed = [bodyPath, ...controlPaths].filter(
    (path, index) => before[index]?.equals(readFileSync(path)) !== true,
  )
  if (changed.length > 0) throw new Error(`the filter changed ${changed.join(', ')}`)
  return { code: reply === '' ? 'pass' : reply.slice(0, 3), reply, lines }
}

t.test('what a failure of each means', (t) => {
  const rows: [name: string, module: FilterModule, onError: string][] = [
    ['log_aliases, an observer, passes', logAliases, 'pass'],
    ['whitelist_block passes: an error grants nothing', whitelistBlock, 'pass'],
    ['whitelist_relayclients passes: an error grants nothing', whitelistRelayclients, 'pass'],
    ['deliveredto defers: a loop would go on', deliveredto, 'defer'],
  ]
  for (const [name, module, onError] of rows) t.equal(module.onError, onError, name)
  t.end()
})

t.test('T106 log_aliases', async (t) => {
  const dir = t.testdir()
  const line = (original: string) => `info: from <sender@example.net>: to <c@example.org>, originally <${original}>`
  const rows: [name: string, original: string, want: string[]][] = [
    ['T106: no original recipient, no line', '', []],
    ['T106: rfc822; is cut', 'rfc822;e@f', [line('e@f')]],
    ['T106: utf-8; is cut', 'utf-8;i@j', [line('i@j')]],
    ['in any case', 'RFC822;e@f', [line('e@f')]],
    ['another type stays', 'x400;e', [line('x400;e')]],
    ['without a type', 'team@example.org', [line('team@example.org')]],
    ['a type with nothing after it', 'rfc822;', []],
  ]
  for (const [name, original, want] of rows) {
    const pair = makePair(dir, { recipients: [{ address: 'c@example.org', original }] })
    const { code, lines } = await run(logAliases, pair)
    t.strictSame(lines, want, name)
    t.equal(code, 'pass', `${name}, and passes`)
  }
  const several = makePair(dir, {
    sender: '',
    files: [
      [
        { address: 'a@example.org', original: 'l@example.org' },
        'b@example.org',
        { address: 'd@example.org', original: 'o', done: true },
      ],
      [{ address: Buffer.from('\xff@example.org', 'latin1'), original: 'rfc822;l@example.org' }],
    ],
  })
  t.strictSame(
    (await run(logAliases, several)).lines,
    [
      'info: from <>: to <a@example.org>, originally <l@example.org>',
      'info: from <>: to <(malformed utf8):%FF@example.org>, originally <l@example.org>',
    ],
    'all control files; not the recipients that are done',
  )
})

interface Row extends PairOptions {
  readonly name: string
  readonly want: string
}

t.test('T28, T29 whitelist_block', async (t) => {
  const dir = t.testdir()
  const folder = useCourier(dir)
  t.strictSame(await start(whitelistBlock), [], 'nothing to tell at start')
  const rows: Row[] = [
    { name: 'T28: an empty BLOCK', ip: '192.0.2.55', want: '200' },
    { name: 'T28: BLOCK with a text', ip: '198.51.100.1', want: 'pass' },
    { name: 'T28: an entry without BLOCK', ip: '203.0.113.7', want: 'pass' },
    { name: 'T28: no entry', ip: '203.0.113.9', want: 'pass' },
    { name: 'T29: IPv4 mapped into IPv6', ip: '::ffff:192.0.2.4', want: '200' },
    { name: 'T29: no address', ip: null, want: 'pass' },
    { name: 'T29: no address in what should be one', ip: 'x', want: '451' },
    { name: 'an address with a zone', ip: 'fe80::1%eth0', want: '451' },
    { name: 'an empty address', ip: '', want: '451' },
    { name: 'a client that may relay, without BLOCK', ip: '127.0.0.1', want: 'pass' },
  ]
  for (const { name, want, ...options } of rows)
    t.equal((await run(whitelistBlock, makePair(dir, options))).code, want, name)

  writeCourierFiles(folder, {
    'smtpaccess.dat': { '192.0': 'allow,BLOCK', '192.0.2': 'allow,BLOCK=no', '*': 'allow,BLOCK' },
  })
  t.equal(
    (await run(whitelistBlock, makePair(dir, { ip: '192.0.2.55' }))).code,
    'pass',
    'a change acts at once: the entry that fits best decides',
  )
  t.equal(
    (await run(whitelistBlock, makePair(dir, { ip: '2001:db8::1' }))).code,
    '200',
    'the entry for all others counts',
  )

  writeFileSync(join(folder, 'smtpaccess.dat'), 'broken')
  await t.rejects(
    run(whitelistBlock, makePair(dir, { ip: '192.0.2.55' })),
    /smtpaccess\.dat/,
    'a broken database is an error, not "no entry"',
  )
  unlinkSync(join(folder, 'smtpaccess.dat'))
  t.equal((await run(whitelistBlock, makePair(dir, { ip: '192.0.2.55' }))).code, 'pass', 'a missing one has no entries')
  t.match(await start(whitelistBlock), [/^warn: there is no .*smtpaccess\.dat/], 'and is told at start')
})

t.test('T30, T31 whitelist_relayclients', async (t) => {
  const dir = t.testdir()
  const folder = useCourier(dir)
  t.strictSame(await start(whitelistRelayclients), [], 'nothing to tell at start')
  const noted = { extra: ['ORELAYCLIENT='] }
  const rows: Row[] = [
    { name: 'T30: 127.0.0.1', ip: '127.0.0.1', want: '200' },
    { name: 'T30: an IPv6 network', ip: '2001:db8:0:1::5', want: '200' },
    { name: 'T30: the network beside it', ip: '2001:db8:0:2::5', want: 'pass' },
    { name: 'T30: ::1 without an entry', ip: '::1', want: 'pass' },
    { name: 'T31: the control record alone', ip: '203.0.113.9', ...noted, want: 'pass' },
    { name: 'no address', ip: null, want: 'pass' },
    { name: 'no address in what should be one', ip: 'x', want: '451' },
    { name: 'an entry without RELAYCLIENT', ip: '192.0.2.55', want: 'pass' },
  ]
  for (const { name, want, ...options } of rows) {
    t.equal((await run(whitelistRelayclients, makePair(dir, options))).code, want, name)
  }

  await start(whitelistRelayclients, { control_record: true })
  const withRecord: Row[] = [
    { name: 'T31: control_record, and the record', ip: '203.0.113.9', ...noted, want: '200' },
    { name: 'control_record, and no record', ip: '203.0.113.9', want: 'pass' },
    { name: 'control_record, and the database as before', ip: '127.0.0.1', want: '200' },
    { name: 'control_record, a record and no address', ip: null, ...noted, want: '200' },
    { name: 'control_record, a record and an address that is none', ip: 'x', ...noted, want: '451' },
  ]
  for (const { name, want, ...options } of withRecord) {
    t.equal((await run(whitelistRelayclients, makePair(dir, options))).code, want, name)
  }
  await start(whitelistRelayclients)
  t.equal(
    (await run(whitelistRelayclients, makePair(dir, { ip: '203.0.113.9', ...noted }))).code,
    'pass',
    'the setting goes with the next start',
  )

  writeFileSync(join(folder, 'smtpaccess.dat'), '')
  await t.rejects(
    run(whitelistRelayclients, makePair(dir, { ip: '127.0.0.1' })),
    /smtpaccess\.dat/,
    'an empty database file is an error',
  )
  unlinkSync(join(folder, 'smtpaccess.dat'))
  t.match(
    await start(whitelistRelayclients),
    [/^warn: there is no .*smtpaccess\.dat/],
    'a missing one is told at start',
  )
})

const withFields = (...fields: string[]) => `${fields.map((field) => `${field}\n`).join('')}Subject: x\n\ntext\n`

t.test('T70 deliveredto', async (t) => {
  const dir = t.testdir()
  const folder = useCourier(dir, {
    ...settingE0,
    locals: 'example.org\nmx.example.org\n.sub.example.org\nexämple.org\n',
  })
  await start(deliveredto)
  const to = (...values: string[]) => ({ content: withFields(...values.map((value) => `Delivered-To: ${value}`)) })
  const rows: Row[] = [
    { name: 'T70: local', ...to('u@example.org'), want: '501' },
    { name: 'T70: hosted', ...to('u@hosted.example'), want: '501' },
    { name: 'T70: remote', ...to('u@remote.example'), want: 'pass' },
    { name: 'T70: upper case', ...to('u@EXAMPLE.org'), want: '501' },
    { name: 'T70: the second of two', ...to('u@remote.example', 'u@example.org'), want: '501' },
    { name: 'hosted by a wildcard', ...to('u@a.b.wild.example'), want: '501' },
    { name: 'local by a wildcard', ...to('u@a.sub.example.org'), want: '501' },
    { name: 'folded', ...to('\n u@example.org'), want: '501' },
    { name: 'angle brackets', ...to('<u@example.org>'), want: '501' },
    { name: 'blanks after it', ...to('u@example.org  '), want: '501' },
    { name: 'a dot after it', ...to('u@example.org.'), want: '501' },
    { name: 'an @ in quotes', ...to('"a@remote.example"@example.org'), want: '501' },
    { name: 'the domain in xn--', ...to('u@xn--exmple-cua.org'), want: '501' },
    { name: 'CRLF', content: 'Delivered-To: u@example.org\r\n\r\ntext\r\n', want: '501' },
    { name: 'the name in another case', content: withFields('delivered-TO: u@example.org'), want: '501' },
    {
      name: 'octets that are not UTF-8',
      content: Buffer.from('Delivered-To: \xff@example.org\n\n', 'latin1'),
      want: '501',
    },
    { name: 'a domain that is not UTF-8', content: Buffer.from('Delivered-To: u@\xff\n\n', 'latin1'), want: 'pass' },
    { name: 'no @', ...to('example.org'), want: 'pass' },
    { name: 'nothing', ...to('', '<>', '@', 'u@'), want: 'pass' },
    { name: 'in the body', content: 'Subject: x\n\nDelivered-To: u@example.org\n', want: 'pass' },
    {
      name: 'another field',
      content: withFields('X-Delivered-To: u@example.org', 'Old-Delivered-To: u@example.org'),
      want: 'pass',
    },
    { name: 'no such field', want: 'pass' },
    { name: "one of Courier's own notices", ...to('u@example.org'), source: 'local/dsn', want: 'pass' },
    { name: 'an authenticated client', ...to('u@example.org'), authUser: 'bob', want: '501' },
    { name: 'a program on this machine', ...to('u@example.org'), source: 'local', ip: '127.0.0.1', want: '501' },
    {
      name: 'a forward that was delivered here just now',
      ...to('u@example.org'),
      source: 'local',
      ip: null,
      want: 'pass',
    },
    {
      name: 'a forward that comes back to where it was',
      ...to('user@example.org', 'u@example.org'),
      ...{ source: 'local', ip: null, recipients: ['other@example.org', 'user@EXAMPLE.org'] },
      want: '501',
    },
    {
      name: 'a flood of fields is cut: the oldest of 300',
      ...to(...Array<string>(299).fill('u@remote.example'), 'u@example.org'),
      want: 'pass',
    },
    { name: 'the newest of 300', ...to('u@example.org', ...Array<string>(299).fill('u@remote.example')), want: '501' },
  ]
  for (const { name, want, ...options } of rows)
    t.equal((await run(deliveredto, makePair(dir, options))).code, want, name)

  const dots = Array<string>(60).fill(`u@${'a.'.repeat(8000)}sub.example.org`)
  const beganMs = performance.now()
  t.equal((await run(deliveredto, makePair(dir, to(...dots)))).code, 'pass', 'a flood of labels is no domain')
  t.ok(performance.now() - beganMs < 2000, 'and costs no time')

  const { reply, lines } = await run(deliveredto, makePair(dir, to('u@example.org')))
  t.match(reply, /^501 5\.4\.6 .*[Ll]oop/, 'the reply names the loop')
  t.strictSame(lines, ['info: mail loop: Delivered-To <u@example.org>, 1 such fields'], 'the log the address')

  const byRecipient: Row[] = [
    { name: 'match = recipient: a recipient', ...to('user@example.org'), want: '501' },
    { name: 'another account here', ...to('u@example.org'), want: 'pass' },
    { name: 'the recipient in another local domain', ...to('user@mx.example.org'), want: '501' },
    { name: 'in a hosted domain it is another', ...to('user@hosted.example'), want: 'pass' },
    { name: 'a local part in another case', ...to('User@example.org'), want: 'pass' },
    { name: 'a recipient elsewhere', ...to('r@remote.example'), recipients: ['r@Remote.example'], want: '501' },
    {
      name: 'a recipient that is done',
      ...to('r@example.org'),
      recipients: ['user@example.org', { address: 'r@example.org', done: true }],
      want: 'pass',
    },
  ]
  await start(deliveredto, { match: 'recipient' })
  for (const { name, want, ...options } of byRecipient) {
    t.equal((await run(deliveredto, makePair(dir, options))).code, want, `by recipient: ${name}`)
  }
  writeCourierFiles(folder, { locallowercase: '' })
  t.equal(
    (await run(deliveredto, makePair(dir, to('User@example.org')))).code,
    '501',
    'locallowercase: in another case',
  )

  await start(deliveredto, { limit: 2 })
  t.equal(
    (await run(deliveredto, makePair(dir, to('u@example.org', 'u@remote.example')))).code,
    'pass',
    'limit = 2: one is a detour',
  )
  t.equal(
    (await run(deliveredto, makePair(dir, to('u@example.org', 'v@hosted.example')))).code,
    '501',
    'two are a loop',
  )
  await start(deliveredto)

  const large = makePair(dir, { content: `${withFields('Delivered-To: u@remote.example')}${'x\n'.repeat(2_000_000)}` })
  t.ok(statSync(large.bodyPath).size > 3_000_000, 'a large message')
  t.equal((await run(deliveredto, large)).code, 'pass', 'passes like a small one')

  writeFileSync(join(folder, 'hosteddomains.dat'), 'broken')
  await t.rejects(
    run(deliveredto, makePair(dir, to('u@remote.example'))),
    /hosteddomains\.dat/,
    'a broken database is an error',
  )
  const gone = makePair(dir)
  unlinkSync(gone.bodyPath)
  const { context } = makeContext(gone.controlPaths)
  t.throws(
    () => deliveredto.doFilter(gone.bodyPath, gone.controlPaths, context),
    { code: 'ENOENT' },
    'a missing message is an error',
  )
})
