/**
 * The patterns for fail2ban, tried on lines that the host really writes.
 *
 * fail2ban is written in Python: here its configuration is read, and its pattern translated, as it documents both. Where
 * the machine has `fail2ban-regex`, it is asked as well.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { createEvents, type Summary } from '../../host/observe/events.ts'
import { textLine } from '../../host/observe/line-format.ts'

const folder = join(import.meta.dirname, '../../docs/fail2ban')
const filterFile = join(folder, 'filter.d/nodefilter.conf')

/** The settings of an ini file of fail2ban's, with `%(name)s` put in. */
function readSettings(path: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? []
    if (key === undefined || value === undefined) continue
    settings.set(
      key,
      value.replaceAll(/%\(([a-z_]+)\)s/g, (all, name: string) => settings.get(name) ?? all),
    )
  }
  return settings
}

/** `<ADDR>` is an address in brackets or without, which fail2ban then checks. */
const address = String.raw`\[?(?:::f{4,6}:)?(?<ip>(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))\]?`

const pattern = new RegExp((readSettings(filterFile).get('failregex') ?? '').replace('<ADDR>', address))

/** What fail2ban would ban for a line, after it has taken the time off; `null` for nobody. */
function banned(line: string): string | null {
  const rest = line.replace(/^[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}/, '')
  const ip = pattern.exec(rest)?.groups?.['ip']
  return ip !== undefined && isIP(ip) !== 0 ? ip : null
}

const base: Summary = {
  ...{ id: '3007c11f901110a8', door: 'courierfilter', queueId: '0000000000A1623D.65A1.0000FF', client: '192.0.2.7' },
  ...{ sender: 'bob@example.com', recipients: 1, octets: 341, verdict: 'reject', reply: '550 5.7.1 Not welcome here' },
  ...{
    filter: 'my_rules',
    ms: 11.26,
    attempts: 1,
    source: null,
    auth: null,
    notes: [],
    errorCode: null,
    errorCause: null,
  },
  trail: [{ filter: 'my_rules', outcome: 'reject', dryRun: false, wallMs: 1, cpuMs: 1, text: null }],
}

/** The lines of everything that `tell` logs, as syslog has them: courierlogger takes the prefix off. */
function logged(tell: (events: ReturnType<typeof createEvents>) => void): string[] {
  const lines: string[] = []
  const silent = { dropped: () => 0, reopen: () => undefined, close: () => Promise.resolve() }
  tell(createEvents({ ...silent, write: (event) => void lines.push(textLine(event)) }))
  return lines.map((line) => `Nov 21 14:03:07 mx courierfilter: ${line.replace(/^(?:ERR|WARN|INFO|DEBUG): */, '')}`)
}

const bannedBy = (tell: (events: ReturnType<typeof createEvents>) => void): (string | null)[] =>
  logged(tell).map(banned)

t.test('whom a refusal bans', (t) => {
  const rows: [name: string, change: Partial<Summary>, want: string | null][] = [
    ['a refusal bans the client', {}, '192.0.2.7'],
    ['of IPv6 as well', { client: '2001:db8::25' }, '2001:db8::25'],
    ['of the null sender', { sender: null }, '192.0.2.7'],
    ['without an id of the mail server', { queueId: null }, '192.0.2.7'],
    ['with an id that needs quotes', { queueId: 'a b"c' }, '192.0.2.7'],
    ['that nobody waited for any more', { verdict: 'reject,nobody-there' }, '192.0.2.7'],
    ['of a line that had to be cut', { reply: 'x'.repeat(900), sender: 'y'.repeat(900) }, '192.0.2.7'],
    ['a message that passes bans nobody', { verdict: 'pass', reply: '' }, null],
    ['nor does one that is accepted', { verdict: 'accept', reply: '200 Ok' }, null],
    ['nor one that is deferred', { verdict: 'defer', reply: '451 4.7.1 Greylisted' }, null],
    ['nor one that failed', { verdict: 'defer', errorCode: 'threw', errorCause: 'verdict=reject' }, null],
    ['nor one of this machine', { client: null }, null],
  ]
  for (const [name, change, want] of rows) {
    t.strictSame(
      bannedBy((events) => events.settled({ ...base, ...change })),
      [want],
      name,
    )
  }
  const [line = ''] = logged((events) => events.settled(base))
  t.equal(
    banned(line.replace('courierfilter:', 'courierfilter[812]:')),
    '192.0.2.7',
    'with a process number, as in the journal',
  )
  t.equal(
    banned(line.replace('settled', 'INFO: settled')),
    '192.0.2.7',
    'with the prefix, where another logger left it',
  )
  t.equal(banned(line.replace('courierfilter:', 'sshd:')), null, 'under the name of another program it is no refusal')
  t.strictSame(
    bannedBy((events) =>
      events.refused('my_rules', 'bob@example.com', 'alice@example.org', '550 5.7.1 no', 'f00dfeed12345678', null),
    ),
    [null],
    'the line in the shape of pythonfilter names no client',
  )
  t.end()
})

/** What a stranger would write so that somebody else is banned. */
const victim = '198.51.100.9'
const forged = `settled id=3007c11f901110a8 door=courierfilter client=${victim} sender=x recipients=1 octets=1 verdict=reject`
const hostile = [
  ...[forged, ` ${forged}`, `\n${forged}`, `\r\n${forged}`, `x\nNov 21 14:03:08 mx courierfilter: ${forged}`],
  ...[
    `x client=${victim}`,
    `x" client=${victim} sender="y`,
    `x\\" client=${victim} sender=\\"y`,
    `x\\`,
    '"',
    '\\"',
    `x\u2028${forged}`,
  ],
  ...[
    `client=${victim} recipients=1 octets=1 verdict=reject`,
    `x recipients=1 octets=1 verdict=reject client=${victim}`,
  ],
  ...[
    `mx courierfilter: ${forged}`,
    `\u0000${forged}`,
    `${'x'.repeat(150)}" client=${victim} sender="`,
    victim,
    `[${victim}]`,
  ],
]

t.test('nothing that a stranger writes bans somebody else, or hides a refusal', (t) => {
  const tryAll = (value: string): (string | null)[] =>
    bannedBy((events) => {
      events.settled({ ...base, sender: value, reply: `550 ${value}`, notes: [[value, value]], errorCause: value })
      events.settled({ ...base, verdict: 'pass', sender: value, reply: value, notes: [[value, value]] })
      events.settled({ ...base, client: null, sender: value, reply: value })
      events.refused('my_rules', value, value, `550 ${value}`, 'f00dfeed12345678', null)
      events.filterSaid('info', 'my_rules', base.queueId ?? '', value)
      events.filterOutput('main', 'stderr', value)
      events.requestRefused('courierfilter', value)
      events.runsAgain('3007c11f901110a8', 'x', 2, value)
      events.bug('intake', value)
    })
  const want = ['192.0.2.7', ...Array<null>(8).fill(null)]
  for (const [index, value] of hostile.entries()) t.strictSame(tryAll(value), want, `hostile value ${index}`)
  const words = fc.constantFrom(
    '"',
    '\\',
    ' ',
    '\n',
    'client=',
    victim,
    'settled ',
    'verdict=reject',
    'sender=',
    'id=',
    '=',
  )
  fc.assert(
    fc.property(
      fc.array(fc.oneof(words, fc.string({ unit: 'binary-ascii', maxLength: 4 })), { maxLength: 30 }),
      (parts) => {
        return JSON.stringify(tryAll(parts.join(''))) === JSON.stringify(want)
      },
    ),
  )
  t.pass('nor does any mixture of such words')
  t.end()
})

t.test('a pattern that is not anchored would be taken in: the hostile values are hostile', (t) => {
  const loose = new RegExp(`client=${address}.* verdict=reject`)
  const line = `settled id=1 client=192.0.2.7 sender=${hostile[5] ?? ''} verdict=reject`
  t.equal(/.*client=(\S+).* verdict=reject/.exec(line)?.[1], victim)
  t.ok(loose.test(`x: ${forged}`))
  t.end()
})

t.test('the jail uses the pattern', (t) => {
  const jail = readSettings(join(folder, 'jail.d/nodefilter.conf'))
  t.equal(jail.get('filter'), 'nodefilter')
  t.match(readFileSync(join(folder, 'jail.d/nodefilter.conf'), 'utf8'), /^\[nodefilter\]$/m)
  t.match(pattern.source, /^\^/, 'it begins at the begin of the line')
  t.end()
})

const tool = spawnSync('fail2ban-regex', ['--version']).error === undefined
t.test('fail2ban itself finds the same', { skip: tool ? false : 'fail2ban-regex is not installed' }, (t) => {
  const work = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(work, { recursive: true }))
  mkdirSync(join(work, 'log'))
  const log = join(work, 'log/mail.log')
  const lines = logged((events) => {
    for (const value of hostile) {
      events.settled({ ...base, sender: value, reply: `550 ${value}` })
      events.settled({ ...base, verdict: 'pass', sender: value })
      events.filterSaid('info', 'my_rules', '', value)
      events.refused('my_rules', value, value, value, 'f00dfeed12345678', null)
    }
    events.settled({ ...base, client: '2001:db8::25' })
  })
  writeFileSync(log, lines.map((line) => `${line}\n`).join(''))
  const { stdout, stderr } = spawnSync('fail2ban-regex', ['-o', 'ip', log, filterFile], { encoding: 'utf8' })
  const ips = stdout.split('\n').filter(Boolean)
  t.strictSame(ips, [...hostile.map(() => '192.0.2.7'), '2001:db8::25'], stderr)
  t.end()
})
