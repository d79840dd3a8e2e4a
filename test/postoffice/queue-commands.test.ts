/** The commands of `postoffice` upon queues: what they print, what they change, and how they end. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { CommandIo } from '../../filters/postoffice/cli/command.ts'
import { runProgram } from '../../filters/postoffice/cli/program.ts'
import { groupNumber } from '../../queue-store/group-number.ts'
import { queueCommands } from '../../filters/postoffice/cli/queue-commands/index.ts'
import { createQuoting, fromLine } from '../../filters/postoffice/cli/queue-commands/mbox.ts'
import { spanText, table, visible } from '../../filters/postoffice/cli/queue-commands/text.ts'
import { openDepot } from '../../queue-store/index.ts'
import type { QueueSettings } from '../../queue-store/index.ts'
import { until } from '../helpers/until.ts'

interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

const main = join(import.meta.dirname, '../../filters/postoffice/cli/main.ts')

/** Runs a command in this process. */
async function run(args: readonly string[], more: Partial<CommandIo> = {}): Promise<Said> {
  const output = new PassThrough()
  const pieces: Buffer[] = []
  output.on('data', (piece: Buffer) => pieces.push(piece))
  let err = ''
  const code = await runProgram(args, {
    out: (text) => void output.write(text),
    err: (text) => void (err += text),
    output,
    input: Readable.from([]),
    env: {},
    currentDirectory: '/',
    program: '',
    isErrTty: false,
    signal: new AbortController().signal,
    now: () => Date.now(),
    ...more,
  })
  output.end()
  await new Promise((resolve) => output.once('end', resolve))
  return { code, out: Buffer.concat(pieces).toString('latin1'), err }
}

/** A depot with messages in it, and the commands upon it. */
async function stage(t: Test, messages: readonly (string | Buffer)[] = [], settings: Partial<QueueSettings> = {}) {
  const folder = t.testdir({})
  const store = join(folder, 'depot')
  const depot = await openDepot(store, { insideOctets: 1000 })
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in', { firstRetrySeconds: 0, ...settings })
  const envelope = { sender: 'bob@example.com', recipients: ['a@example.org', 'b@example.org'] }
  for (const message of messages) {
    await queue.add({
      message: Buffer.from(message),
      envelope,
      facts: { matched: ['to_hostname'], odd: '\u001b[2J\n' },
    })
  }
  const command = (name: string, ...args: readonly string[]): Promise<Said> => run([name, '--store', store, ...args])
  const json = async (name: string, ...args: readonly string[]): Promise<unknown> => {
    const { code, out, err } = await command(name, ...args, '--json')
    if (code !== 0) throw new Error(`${code} ${err}`)
    t.match(out, /^[ -~\n]*$/, 'JSON is plain ASCII')
    return JSON.parse(out)
  }
  return { folder, store, depot, queue, command, json }
}

t.test('every command has a help text that names its options and exit codes', async (t) => {
  for (const { name, summary, help } of queueCommands) {
    const { code, out } = await run([name, '--help'])
    t.equal(code, 0)
    t.equal(out, help)
    t.match(help, new RegExp(`^usage: postoffice ${name} `), name)
    t.match(help, /Exit status: 0/, name)
    t.match(help, /--store DIR/, name)
    t.ok(
      help.split('\n').every((line) => line.length <= 132),
      `${name}: lines fit`,
    )
    t.notMatch(summary, /\.$/)
  }
})

t.test('queues', async (t) => {
  const { command, json, store, folder } = await stage(t, ['one', 'two'])
  t.match(await command('queues'), { code: 0, out: /^queue +waiting +leased .*\nin +2 +0 +0 +0 +0 +0 s\n$/ })
  t.match(await command('queues', 'make', 'new one', '--order', 'strict', '--max-deliveries', '3'), {
    code: 0,
    out: /^new one: order strict, maxDeliveries 3, /,
  })
  t.match(await json('queues'), {
    queues: [
      { name: 'in', counts: { ready: 2 } },
      { name: 'new one', settings: { order: 'strict' } },
    ],
  })
  t.match(await command('queues', 'rename', 'new one', 'other'), { code: 0 })
  t.match(await json('queues', 'make', 'other', '--retry-factor', '1.5'), {
    settings: { order: 'strict', retryFactor: 1.5 },
  })
  t.match(await command('queues', 'rename', 'other', 'in'), { code: 69, err: /there is a queue of that name/ })
  t.match(await command('queues', 'rename', 'none', 'x'), { code: 66, err: /no such queue/ })
  t.match(await command('queues', 'make', 'a\nb'), { code: 66, err: /no name for a queue/ })
  t.match(await command('queues', 'make', 'x', '--order', 'any'), { code: 64, err: /strict, key, none/ })
  t.match(await command('queues', 'make', 'x', '--max-deliveries', '0'), { code: 64, err: /from 1 to/ })
  t.match(await command('queues', 'make'), { code: 64, err: /NAME is missing/ })
  t.match(await command('queues', 'remove', 'in'), { code: 69, err: /holds messages/ })
  t.match(await command('queues', 'remove', 'in', '--with-messages'), {
    code: 0,
    out: 'in is removed, with 2 messages.\n',
  })
  t.match(await json('queues', 'remove', 'other'), { removed: 'other', messages: 0 })
  t.match(await command('queues'), { code: 0, out: 'There are no queues.\n' })

  // The depot of the ini file, whose option may stand before the command.
  const ini = join(folder, 'p.ini')
  writeFileSync(ini, `[post office]\nmaildir = m\nstore = ${store}\n`)
  t.match(await run(['-C', ini, 'queues', 'make', 'by ini']), { code: 0 })
  t.match(await run(['queues', '-C', 'p.ini'], { currentDirectory: folder }), { code: 0, out: /by ini/ })
  t.match(await run(['queues', '-C', join(folder, 'none.ini')]), { code: 78 })
  t.match(await run(['queues', '--store', join(folder, 'nowhere')]), { code: 66, err: /there is no depot in/ })
  t.notOk(existsSync(join(folder, 'nowhere')), 'a mistyped name makes no depot')
  t.match(await run(['queues', 'make', 'first', '--store', 'made'], { currentDirectory: folder }), { code: 0 })
  t.equal(statSync(join(folder, 'made')).mode & 0o7777, 0o700)
  const group = String(process.getgid?.())
  t.match(await run(['queues', 'make', 'first', '--store', 'shared', '--group', group], { currentDirectory: folder }), {
    code: 0,
  })
  t.equal(statSync(join(folder, 'shared')).mode & 0o7777, 0o2770)
  t.match(await command('queues', 'make', 'x', '--group', 'no such group'), { code: 64, err: /there is no such group/ })
})

t.test('list and show', async (t) => {
  const eight = Buffer.concat([
    Buffer.from('Subject: \u001b]0;x\u0007 evil\u202e\r\nX: y\r\n\r\nbody\r\n'),
    Buffer.from([0x80, 0xff]),
  ])
  const { command, json, queue } = await stage(t, [eight, Buffer.alloc(5000, 'large\n'), 'three'])
  const [dead] = await queue.receive()
  await dead?.bury('odd \u001b[31m\nreason')
  t.match(await command('list', 'in'), {
    code: 0,
    out: /^id +state .*\n +2 +ready +0 +5000 .*bob@example.com\n +3 +ready .*\n$/,
  })
  t.match(await command('list', 'in', '--what', 'buried'), {
    code: 0,
    out: /^.*\n +1 +buried +1 .*odd \?\[31m\?reason\n$/,
  })
  t.match(await command('list', 'in', '--what', 'dead'), { code: 0, out: 'There are none.\n' })
  t.match(await json('list', 'in', '--max', '1'), { id: '2', octets: 5000, state: 'ready' })
  t.match(await json('list', 'in', '--after', '2'), { id: '3' })
  t.match(await command('list', 'in', '--what', 'dead', '--json'), { code: 0, out: '' })
  const shown = await command('show', 'in', '1')
  t.match(shown, {
    code: 0,
    out: /state +buried\n[^]*recipient +a@example.org\nrecipient +b@example.org\nfact matched +\["to_hostname"\]\n/,
  })
  t.notMatch(shown.out, /[^\n -~]/, 'nothing for a terminal to obey')
  t.match(await json('show', 'in', '1'), { id: '1', reason: 'odd \u001b[31m\nreason', facts: { odd: '\u001b[2J\n' } })
  t.match(await command('show', 'in', '1', '--headers'), { code: 0, out: /^Subject: \?\]0;x\? evil.*\nX: y\n$/ })
  t.equal((await command('show', 'in', '1', '--raw')).out, eight.toString('latin1'), 'octet for octet')
  t.equal((await command('show', 'in', '2', '--raw')).out, Buffer.alloc(5000, 'large\n').toString())
  const wrong: readonly [args: readonly string[], code: number, err: RegExp][] = [
    [['list', 'none'], 66, /no such queue/],
    [['list'], 64, /QUEUE is missing/],
    [['list', 'in', 'more'], 64, /unexpected argument "more"/],
    [['list', 'in', '--what', 'all'], 64, /live, buried, dead/],
    [['list', 'in', '--max', '1e3'], 64, /--max 1e3/],
    [['list', 'in', '--after', 'x'], 66, /no id of a message/],
    [['show', 'in', '77'], 66, /no such message/],
    [['show', 'in', '0'], 66, /no id of a message/],
    [['show', 'in', '1', '--raw', '--json'], 64, /in one way/],
    [['show', 'in', '1', '--frob'], 64, /unknown option '--frob'/],
  ]
  for (const [[name = '', ...args], code, err] of wrong)
    t.match(await command(name, ...args), { code, err }, args.join(' '))
})

t.test('receive, and what becomes of it', async (t) => {
  const { command, json, queue, folder } = await stage(t, ['one', Buffer.alloc(3000, 'x'), 'three'])
  const file = join(folder, 'message')
  const first = await command('receive', 'in', '--lease', '30', '--out', file)
  t.match(first, { code: 0, out: /^1\t1\t3\t1\t[0-9T:.Z-]+\n$/ })
  t.equal(readFileSync(file, 'utf8'), 'one')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(await command('extend', 'in', '1', '1', '--lease', '5'), { code: 0, out: 'done\n' })
  t.match(await command('ack', 'in', '1', '1'), { code: 0, out: 'done\n' })
  t.match(await json('ack', 'in', '1', '1'), { settled: 'gone' })
  t.match(await command('extend', 'in', '1', '1'), { code: 69, err: /the lease ran out/ })

  const toOutput = await command('receive', 'in', '--out', '-')
  t.match(toOutput, { code: 0, out: 'x'.repeat(3000), err: /^2\t2\t3000\t1\t/ })
  t.match(await command('nack', 'in', '2', '2', '--delay', '0', '--reason', 'busy'), { code: 0, out: 'done\n' })
  t.match(await command('ack', 'in', '2', '2'), { code: 69 }, 'too late')
  const both = (await command('receive', 'in', '--max', '5', '--json')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; token: number })
  t.match(both, [
    { id: '2', token: 3, deliveries: 2, reason: 'busy', queue: 'in', state: 'leased' },
    { id: '3', token: 4 },
  ])
  t.match(await command('receive', 'in'), { code: 75, out: '', err: '' }, 'nothing is there')
  const startedMs = performance.now()
  t.match(await command('receive', 'in', '--wait', '0.3', '--json'), { code: 75, out: '' })
  t.ok(performance.now() - startedMs > 250, 'it did wait')

  t.match(await command('bury', 'in', '2', '3', '--reason', 'odd'), { code: 0, out: 'done\n' })
  t.match(await command('bury', 'in', '3', '--reason', 'odd'), { code: 69, err: /leased/ })
  t.match(await command('nack', 'in', '3', '4', '--delay', '3600'), { code: 0 })
  t.match(await json('bury', 'in', '3', '--reason', 'odd'), { settled: 'done' }, 'one that nobody has')
  t.match(await command('requeue', 'in', '3'), { code: 0, out: '1 message put at the end of the queue\n' })
  t.match(await command('requeue', 'in', '3'), { code: 69, err: /neither buried nor dead/ })
  t.match(await json('requeue', 'in', '--all'), { requeued: 0 }, 'dead letters, where nothing else is said')
  t.match(await json('requeue', 'in', '--all', '--what', 'buried'), { requeued: 1 })

  t.match(await command('receive', 'in', '--out', join(folder, 'no', 'folder')), {
    code: 74,
    err: /could not be written/,
  })
  const [entry] = await queue.peek()
  t.match(entry, { state: 'ready', deliveries: 1, reason: 'it could not be written' }, 'it is let go at once')
  const wrong: readonly [args: readonly string[], err: RegExp][] = [
    [['receive', 'in', '--max', '2', '--out', 'x'], /one message at a time/],
    [['receive', 'in', '--json', '--out', '-'], /would both write/],
    [['receive', 'in', '--lease', '-1'], /--lease/],
    [['ack', 'in', '1'], /TOKEN is missing/],
    [['ack', 'in', '1', 'x'], /"x" is no token/],
    [['nack', 'in', '1', '1', '--delay', 'x'], /--delay x/],
    [['bury', 'in', '1'], /say why/],
    [['requeue', 'in'], /name one message, or all/],
    [['requeue', 'in', '1', '--all'], /name one message, or all/],
    [['requeue', 'in', '1', '--what', 'dead'], /goes with --all/],
  ]
  for (const [[name = '', ...args], err] of wrong)
    t.match(await command(name, ...args), { code: 64, err }, args.join(' '))
})

t.test('facts as header fields, in a copy', async (t) => {
  const { depot, command, folder } = await stage(t)
  const queue = await depot.queue('in')
  const facts = { arrivedAtMs: 1_433_152_800_999, marks: ['Throttled', 'Auto-response', 7], isBulk: true }
  const from =
    'X-Postoffice-Date: 1433152800\nX-Postoffice-Rejected: Auto-response\nX-Postoffice-Rejected: Throttled\nX-Postoffice-List: Bulk\n'
  const body = Buffer.alloc(150_000, 'body\n').toString()
  const fields = Array.from({ length: 3000 }, (_, at) => `X-Field-${at}: ${'x'.repeat(600)}\n`).join('')
  const cases: readonly { name: string; message: string; wanted: string }[] = [
    { name: 'a message', message: `Subject: x\n\n${body}`, wanted: `${from}Subject: x\n\n${body}` },
    {
      name: 'a forged field',
      message: `X-Postoffice-Date: 1\nX-Postoffice: Bounced\n\nx-postoffice-date: in the body\n`,
      wanted: `${from}X-Original-X-Postoffice-Date: 1\nX-Postoffice: Bounced\n\nx-postoffice-date: in the body\n`,
    },
    {
      name: 'CRLF',
      message: 'A: b\r\n c\r\n\r\nbody',
      wanted: `${from.replaceAll('\n', '\r\n')}A: b\r\n c\r\n\r\nbody`,
    },
    { name: 'no body', message: 'A: b', wanted: `${from}A: b` },
    { name: 'nothing', message: '', wanted: from },
    { name: 'a section that is too large', message: `${fields}\n${body}`, wanted: `${from}${fields}\n${body}` },
  ]
  for (const { name, message, wanted } of cases) {
    const { id } = await queue.add({ message: Buffer.from(message), facts })
    t.ok((await command('show', 'in', id, '--raw', '--fields')).out === wanted, name)
    t.ok((await command('show', 'in', id, '--raw')).out === message, `${name} stays as it came`)
  }
  const path = join(folder, 'copy')
  t.match(await command('receive', 'in', '--out', path, '--fields'), { code: 0 })
  t.ok(readFileSync(path, 'utf8') === cases[0]?.wanted)
  const { id } = await queue.add({ message: Buffer.from('\n') })
  t.match(
    (await command('show', 'in', id, '--raw', '--fields')).out,
    /^X-Postoffice-Date: [0-9]+\n\n$/,
    'without facts',
  )
  t.match(await command('show', 'in', id, '--fields'), { code: 64 })
  t.match(await command('receive', 'in', '--fields'), { code: 64 })
})

t.test('purge', async (t) => {
  const { command, json, queue } = await stage(
    t,
    Array.from({ length: 450 }, (_, at) => `m${at}`),
  )
  await Promise.all((await queue.receive({ max: 448 })).map((delivery) => delivery.bury('x')))
  t.match(await command('purge', 'in', '449'), { code: 64, err: /1 message would be removed for good/ })
  t.match(await command('purge', 'in', '--all', '--what', 'buried'), { code: 64, err: /448 messages would be removed/ })
  t.match(await queue.counts(), { ready: 2, buried: 448 }, 'nothing was')
  t.match(await command('purge', 'in', '449', '--yes'), { code: 0, out: '1 message removed\n' })
  t.match(await command('purge', 'in', '449', '--yes'), { code: 66 })
  t.match(await json('purge', 'in', '--all', '--what', 'dead', '--yes'), { removed: 0 })
  t.match(await json('purge', 'in', '--all', '--what', 'buried', '--yes'), { removed: 448 })
  t.match(await queue.counts(), { ready: 1, buried: 0 })
  t.match(await command('purge', 'in', '--all', '--yes'), { code: 64, err: /say which/ })
  t.match(await command('purge', 'in', '450', '--what', 'dead', '--yes'), { code: 64, err: /goes with --all/ })
})

t.test('export', async (t) => {
  const odd = Buffer.concat([Buffer.from('From x\r\n>From y\r\n\r\nFrom z'), Buffer.from([0xff, 0])])
  const large = Buffer.alloc(200_000, 'From the start\n')
  const { command, json, queue, folder } = await stage(t, [odd, large, 'three'])
  const [first] = await queue.receive()
  await first?.bury('odd')
  const to = join(folder, 'out')
  t.match(await command('export', 'in', '--to', to), { code: 0, out: '', err: '3 messages exported\n' })
  t.same(readdirSync(to).sort(), ['1.eml', '1.json', '2.eml', '2.json', '3.eml', '3.json'])
  t.ok(readFileSync(join(to, '1.eml')).equals(odd), 'octet for octet')
  t.ok(readFileSync(join(to, '2.eml')).equals(large))
  t.match(JSON.parse(readFileSync(join(to, '1.json'), 'utf8')), { id: '1', state: 'buried', reason: 'odd' })
  t.match(await command('export', 'in', '--to', to), { code: 73, err: /is not empty/ })
  mkdirSync(join(folder, 'empty'))
  t.match(await json('export', 'in', '--to', join(folder, 'empty'), '--what', 'live'), { exported: 2 })

  const mbox = join(folder, 'mbox')
  t.match(await command('export', 'in', '--mbox', mbox), { code: 0 })
  const text = readFileSync(mbox, 'latin1')
  t.equal([...text.matchAll(/^From bob@example\.com \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/gm)].length, 3)
  t.ok(text.includes(`\n>From x\r\n>>From y\r\n\r\n>From z${odd.subarray(-2).toString('latin1')}\n\n`))
  t.equal([...text.matchAll(/^>From the start$/gm)].length, Math.floor(200_000 / 15))
  t.match(await command('export', 'in', '--mbox', mbox), { code: 73, err: /EEXIST/ })
  t.equal((await command('export', 'in', '--mbox', '-')).out, text, 'on standard output too')
  t.match(await command('export', 'in'), { code: 64, err: /say where/ })
  t.match(await command('export', 'in', '--mbox', '-', '--json'), { code: 64 })
  t.match(await queue.counts(), { ready: 2, buried: 1, leased: 0 }, 'nothing changed')
})

t.test('an mbox line before each message, and quoted lines, whatever the pieces', async (t) => {
  t.equal(fromLine('a b\n@example.com', 0), 'From a_b_@example.com Thu Jan  1 00:00:00 1970\n')
  t.equal(fromLine(null, 86_400_000 * 20), 'From MAILER-DAEMON Wed Jan 21 00:00:00 1970\n')
  const part = fc.constantFrom('From ', 'Fr', 'From', '>', '>>', '\n', '\r\n', 'x', ' ', 'F')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(part).map((parts) => parts.join(''))), async (pieces) => {
      const whole = pieces.join('')
      let got = ''
      const quoting = createQuoting()
      Readable.from(pieces.map((piece) => Buffer.from(piece))).pipe(quoting)
      for await (const piece of quoting) got += (piece as Buffer).toString()
      const wanted = whole.replace(/^(>*From )/gm, '>$1') + (whole === '' || whole.endsWith('\n') ? '\n' : '\n\n')
      return got === wanted
    }),
  )
})

t.test('text', (t) => {
  t.equal(visible('a\u0000\u001b\u202e\u2028\r\nö'), 'a??????ö')
  t.equal(
    table(
      ['a', 'long'],
      [
        ['1', 'x\n'],
        ['22', ''],
      ],
    ),
    'a   long\n 1  x?\n22\n',
  )
  const spans: readonly [number | null, string][] = [
    [null, '-'],
    [-5, '0 s'],
    [999, '0 s'],
    [61_000, '1 min 1 s'],
    [90_000_000, '1 d 1 h'],
  ]
  for (const [ms, text] of spans) t.equal(spanText(ms), text)
  const groups = join(t.testdir({ group: 'root:x:0:\nmail:x:8:a,b\nbroken\n' }), 'group')
  t.equal(groupNumber('mail', groups), 8)
  t.equal(groupNumber('12', groups), 12)
  t.equal(groupNumber('broken', groups), null)
  t.equal(groupNumber('none', groups), null)
  t.end()
})

t.test('depot check and salvage', async (t) => {
  const { store, depot, folder, command, json, queue } = await stage(t, ['one', Buffer.alloc(3000, 'x')])
  t.match(await command('depot', 'check', '--contents'), { code: 0, out: '1 queue, 2 messages: all is well\n' })
  const [, large] = await queue.peek()
  const { message } = await queue.open(large?.id ?? '')
  truncateSync(message.path ?? '', 10)
  t.match(await command('depot', 'check'), { code: 65, out: /message 2: .* has 10 octets, not 3000\n.*: 1 problem\n$/ })
  t.match(JSON.parse((await command('depot', 'check', '--json')).out), {
    queues: 1,
    messages: 2,
    problems: [/has 10 octets/],
  })
  await depot.close()
  const target = join(folder, 'saved')
  t.match(await json('depot', 'salvage', target), { messages: 2, loose: 0, problems: [] })
  t.equal(readFileSync(join(target, '1-1.eml'), 'utf8'), 'one')
  t.match(await command('depot', 'salvage', target), { code: 73, err: /EEXIST/ })
  truncateSync(join(store, 'store.mdb'), 100)
  t.match(await command('depot', 'check'), { code: 65, err: /damaged/ })
  t.match(await command('depot', 'salvage', join(folder, 'loose')), {
    code: 65,
    out: /1 message saved in .*, 1 of them loose\n$/,
  })
  t.match(await command('depot'), { code: 64, err: /check or salvage/ })
})

t.test('as processes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-commands-'))
  const store = join(folder, 'depot')
  const depot = await openDepot(store)
  const queue = await depot.makeQueue('in', { firstRetrySeconds: 0 })
  t.teardown(async () => {
    await depot.close()
    rmSync(folder, { recursive: true })
  })
  /** Whether a command has the depot open. Its descriptors do not tell: it may have inherited one from this process. */
  const hasOpened = (pid: number): boolean => {
    const isCommand = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(store)
    return isCommand && readFileSync(`/proc/${pid}/maps`, 'utf8').includes(join(store, 'store.mdb'))
  }
  const postoffice = (...args: readonly string[]): Promise<Said> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [main, ...args, '--store', store], { timeout: 30_000 }, (_, out, err) =>
        resolve({ code: child.exitCode ?? -1, out, err }),
      )
    })

  t.test('receive hears of a message that another process adds', async (t) => {
    const child = spawn(process.execPath, [main, 'receive', 'in', '--wait', '30', '--json', '--store', store])
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    const ended = new Promise((resolve) => child.once('close', resolve))
    await until('it has the depot open', () => hasOpened(child.pid ?? 0))
    await queue.add({ message: Buffer.from('x') })
    t.equal(await ended, 0)
    const { id, token } = JSON.parse(out) as { readonly id: string; readonly token: number }
    t.match(await postoffice('ack', 'in', id, String(token)), { code: 0, out: 'done\n' })
  })

  t.test('a wait that is ended takes no message', async (t) => {
    const child = spawn(process.execPath, [main, 'receive', 'in', '--wait', '60', '--store', store])
    await until('it has the depot open', () => hasOpened(child.pid ?? 0))
    child.kill('SIGTERM')
    const code = await new Promise((resolve) => child.once('close', resolve))
    t.equal(code, 75)
    t.match(await queue.counts(), { ready: 0, leased: 0 })
  })

  const isRoot = process.getuid?.() === 0
  t.test(
    'another user may not, and hears so',
    { skip: isRoot ? false : 'only root can be another user' },
    async (t) => {
      const ended = await new Promise<Said>((resolve) => {
        const args = [main, 'queues', '--store', store]
        const child = execFile(process.execPath, args, { uid: 65_534, gid: 65_534 }, (_, out, err) =>
          resolve({ code: child.exitCode ?? -1, out, err }),
        )
      })
      t.match(ended, { code: 77, out: '', err: /EACCES/ })
    },
  )

  t.test('a message that nobody can be told of is let go at once', async (t) => {
    const child = spawn(process.execPath, [main, 'receive', 'in', '--wait', '60', '--json', '--store', store])
    child.stdout.destroy()
    await until('it has the depot open', () => hasOpened(child.pid ?? 0))
    const { id } = await queue.add({ message: Buffer.from('y') })
    t.equal(await new Promise((resolve) => child.once('close', resolve)), 75)
    const { entry } = await queue.open(id)
    t.match(entry, { state: 'ready', reason: 'it could not be written' })
    await queue.remove(id)
  })

  const curl = spawnSync('curl', ['--version']).status === 0
  t.test('serve, on a socket and with a token', { skip: curl ? false : 'curl is not installed' }, async (t) => {
    const ask = (...args: readonly string[]) =>
      spawnSync('curl', ['-sS', '--max-time', '10', ...args], { encoding: 'utf8' }).stdout
    const socket = join(folder, 's')
    const token = join(folder, 'token')
    writeFileSync(token, 'a-token-of-these-tests\n', { mode: 0o600 })
    const cases = [
      {
        where: ['--socket', socket, '--mode', '0600'],
        how: () => ['--unix-socket', socket, 'http://localhost/v1/health'],
      },
      {
        where: ['--listen', '127.0.0.1:0', '--token-file', token],
        how: (address: string) => ['-H', 'authorization: Bearer a-token-of-these-tests', `${address}/v1/health`],
      },
    ]
    for (const { where, how } of cases) {
      const child = spawn(process.execPath, [main, 'serve', '--json', ...where, '--store', store])
      let out = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      await until('it listens', () => out.endsWith('\n'))
      const { address } = JSON.parse(out) as { readonly address: string }
      t.same(JSON.parse(ask(...how(address))), { status: 'ok', waiting: 0 })
      child.kill('SIGTERM')
      t.equal(await new Promise((resolve) => child.once('close', resolve)), 0)
    }
    t.notOk(existsSync(socket))
    chmodSync(token, 0o644)
    const wrong: readonly [args: readonly string[], code: number, err: RegExp][] = [
      [['--listen', '127.0.0.1:0', '--token-file', token], 64, /everybody/],
      [['--listen', '127.0.0.1:0'], 64, /needs --token-file/],
      [['--listen', '127.0.0.1'], 64, /HOST:PORT/],
      [['--socket', socket, '--mode', '9'], 64, /octal/],
      [['--socket', socket, '--group', 'no such group'], 64, /no such group/],
      [['--socket', token], 64, /something else than a socket/],
      [['--socket', join(folder, 'no', 's')], 69, /ENOENT|EACCES|EINVAL/],
      [[], 64, /say where/],
    ]
    for (const [args, code, err] of wrong) {
      t.match(await run(['serve', '--store', store, ...args]), { code, err }, args.join(' '))
    }
    chmodSync(token, 0o600)
    const open = await run(['serve', '--store', store, '--listen', '0.0.0.0:0', '--token-file', token])
    t.match(open, { code: 64, err: /other machines/ })
  })
})
