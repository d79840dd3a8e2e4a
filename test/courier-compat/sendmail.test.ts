/** Submitting through sendmail: what the program is given, and what becomes of every way in which it can end. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { maxSendmailRecipients, sendmail, SendmailError, type Submission } from '../../courier-compat/sendmail.ts'
import { sendmailArguments, type SubmissionEnvelope } from '../../courier-compat/sendmail/arguments.ts'
import { withLfLineEnds, type MessageSource } from '../../courier-compat/sendmail/content.ts'
import { findSendmail, sendmailPlaces } from '../../courier-compat/sendmail/find.ts'
import { standIns, withStandIns } from '../../courier-compat/stand-ins.ts'
import { until } from '../helpers/until.ts'

const folder = t.testdir()
let scripts = 0

/** A program that takes the place of sendmail; `$DIR` is its folder. */
function script(lines: string): { program: string; path: (name: string) => string } {
  const name = `sendmail-${++scripts}`
  const program = join(folder, name)
  const path = (file: string): string => join(folder, `${name}.${file}`)
  writeFileSync(program, `#!/bin/sh\nOUT=${program}\n${lines}\n`)
  chmodSync(program, 0o755)
  return { program, path }
}

const plain = { sender: 'a@example.com', recipients: ['b@example.org'], message: Buffer.from('Subject: x\n\ntext\n') }

/** What the shell that runs the program puts into its environment, and what the test runner puts into every process. */
const isOfOthers = (name: string): boolean =>
  ['_', 'PWD', 'OLDPWD', 'SHLVL', 'NODE_OPTIONS'].includes(name) || name.startsWith('_TAPJS_')

t.test('the program is given these arguments, this message, and little more', async (t) => {
  const { program, path } = script(
    'for a; do echo "[$a]"; done >$OUT.args; env -0 >$OUT.env; pwd >$OUT.cwd; cat >$OUT.in',
  )
  process.env['LOGNAME'] = 'somebody'
  await sendmail({ ...plain, program, sender: '', recipients: ['b@example.org', 'c"; touch x" $(id)@example.org'] })
  t.equal(readFileSync(path('args'), 'utf8'), '[-f]\n[]\n[-]\n[b@example.org]\n[c"; touch x" $(id)@example.org]\n')
  t.equal(readFileSync(path('in'), 'utf8'), 'Subject: x\n\ntext\n')
  const entries = readFileSync(path('env'), 'utf8').split('\0')
  const names = entries.flatMap((entry) => (entry === '' ? [] : [entry.slice(0, entry.indexOf('='))]))
  t.strictSame(names.filter((name) => !isOfOthers(name)).sort(), ['LC_ALL', 'PATH'])
  t.equal(readFileSync(path('cwd'), 'utf8'), '/\n')

  const file = join(folder, 'message')
  const large = `Subject: large\r\n\r\n${'A line of some length, and a dot.\r\n.\r\n'.repeat(50_000)}end`
  const wanted = `${large.replaceAll('\r\n', '\n')}\n`
  writeFileSync(file, large)
  const sources: { name: string; message: () => MessageSource }[] = [
    { name: 'octets', message: () => Buffer.from(large) },
    { name: 'a file', message: () => ({ path: file }) },
    {
      name: 'a stream',
      message: () => Readable.from(large.match(/[^]{1,9973}/g) ?? []),
    },
  ]
  for (const { name, message } of sources) {
    await sendmail({ ...plain, program, message: message() })
    const got = readFileSync(path('in'), 'utf8')
    t.ok(
      got === (name === 'a file' ? large : wanted),
      `${name}: nothing is lost; line ends are LF, those of a file its own`,
    )
  }
})

t.test('arguments', (t) => {
  const rows: { name: string; envelope: Partial<SubmissionEnvelope>; want: string[] | RegExp }[] = [
    { name: 'a sender in one word', envelope: {}, want: ['-fa@example.com', '-', 'b@example.org'] },
    { name: 'that looks like an option', envelope: { sender: '-n' }, want: ['-f-n', '-', 'b@example.org'] },
    { name: 'the null sender', envelope: { sender: '' }, want: ['-f', '', '-', 'b@example.org'] },
    {
      name: 'all of DSN',
      envelope: { dsn: { notify: ['success', 'fail'], return: 'hdrs', envelopeId: 'id+1' } },
      want: ['-fa@example.com', '-N', 'success,fail', '-R', 'hdrs', '-V', 'id+1', '-', 'b@example.org'],
    },
    {
      name: 'no notices',
      envelope: { dsn: { notify: 'never' } },
      want: ['-fa@example.com', '-N', 'never', '-', 'b@example.org'],
    },
    { name: 'a name in UTF-8', envelope: { recipients: ['gr\u00fcn@example.org'] }, want: /^ok$/ },
    { name: 'no recipients', envelope: { recipients: [] }, want: /needs a recipient/ },
    { name: 'an empty recipient', envelope: { recipients: ['b@example.org', ''] }, want: /a recipient is empty/ },
    { name: 'an option for a recipient', envelope: { recipients: ['-n'] }, want: /a recipient begins with "-": "-n"/ },
    {
      name: 'a line end',
      envelope: { recipients: ['b@example.org\nc@d'] },
      want: /a recipient has a control char.*\\n/,
    },
    { name: 'a NUL', envelope: { sender: 'a\0@example.com' }, want: /the sender has a control character/ },
    { name: 'a line separator', envelope: { sender: 'a\u2028@example.com' }, want: /the sender has a control char/ },
    { name: 'half a character', envelope: { sender: 'a\ud800' }, want: /the sender stands for no UTF-8/ },
    { name: 'other octets', envelope: { sender: '(malformed utf8):%FF' }, want: /the sender stands for no UTF-8/ },
    {
      name: 'a long one',
      envelope: { recipients: ['b'.repeat(1001)] },
      want: /longer than 1000 octets: "b{60}\.\.\."$/,
    },
    {
      name: 'too many',
      envelope: { recipients: Array.from({ length: maxSendmailRecipients + 1 }, (_, n) => `b${n}@example.org`) },
      want: /101 recipients are more than the 100/,
    },
    { name: 'no word of DSN', envelope: { dsn: { notify: ['often'] as unknown as ['fail'] } }, want: /dsn\.notify is/ },
    { name: 'an empty list', envelope: { dsn: { notify: [] } }, want: /dsn\.notify is/ },
    { name: 'no extent', envelope: { dsn: { return: 'all' as 'full' } }, want: /dsn\.return is/ },
    { name: 'no identifier', envelope: { dsn: { envelopeId: 'a b' } }, want: /dsn\.envelopeId is/ },
  ]
  for (const { name, envelope, want } of rows) {
    const call = (): string[] =>
      sendmailArguments({ sender: 'a@example.com', recipients: ['b@example.org'], ...envelope })
    if (Array.isArray(want)) t.strictSame(call(), want, name)
    else if (want.source === '^ok$') t.doesNotThrow(call, name)
    else t.throws(call, { name: 'RangeError', message: want }, name)
  }
  t.end()
})

t.test('every way in which the program can fail', async (t) => {
  const file = join(folder, 'any')
  writeFileSync(file, 'x\n')
  const big = Buffer.alloc(4 * 1024 * 1024, 'text\n')
  const rows: {
    name: string
    run?: string
    submission?: Partial<Submission>
    want: { message: RegExp; isTemporary: boolean; exitCode: number | null; signal?: string | null; stderr?: RegExp }
  }[] = [
    {
      name: 'a temporary refusal',
      run: 'cat >/dev/null; echo "432 Filter is down"; echo "sendmail: oops" >&2; exit 75',
      want: {
        ...{ message: /^sendmail ended with status 75: 432 Filter is down$/, isTemporary: true, exitCode: 75 },
        stderr: /^sendmail: oops$/,
      },
    },
    {
      name: 'bad data',
      run: 'cat >/dev/null; exit 65',
      want: { message: /^sendmail ended with status 65$/, isTemporary: false, exitCode: 65 },
    },
    {
      name: 'a refusal for good, in two lines and with a control character',
      run: 'cat >/dev/null; printf "550-No\\n550 \\033[2JNever\\n"; exit 67',
      want: { message: /: 550-No\\n550 \\u001b\[2JNever$/, isTemporary: false, exitCode: 67 },
    },
    {
      name: 'a status in no list',
      run: 'cat >/dev/null; exit 3',
      want: { message: /status 3/, isTemporary: true, exitCode: 3 },
    },
    {
      name: 'killed',
      run: 'kill -9 $$',
      want: { message: /^sendmail was ended by SIGKILL$/, isTemporary: true, exitCode: null, signal: 'SIGKILL' },
    },
    {
      name: 'it hangs',
      run: 'exec sleep 60',
      submission: { timeoutMs: 200 },
      want: { message: /^sendmail was ended after 200 ms$/, isTemporary: true, exitCode: null, signal: 'SIGKILL' },
    },
    {
      name: 'it hangs over a large message',
      run: 'exec sleep 60',
      submission: { timeoutMs: 200, message: big },
      want: { message: /^sendmail was ended after 200 ms$/, isTemporary: true, exitCode: null },
    },
    {
      name: 'it closes its input early, and refuses',
      run: 'exec <&-; sleep 0.05; exit 67',
      submission: { message: big },
      want: { message: /status 67/, isTemporary: false, exitCode: 67 },
    },
    {
      name: 'it floods both outputs',
      run: 'cat >/dev/null; head -c 3000000 /dev/zero | tr "\\0" "é" >&2; head -c 3000000 /dev/zero | tr "\\0" o; exit 75',
      want: { message: /^.{2000,2100}\.\.\.$/, isTemporary: true, exitCode: 75, stderr: /^.{2000}\.\.\.$/ },
    },
    {
      name: 'a child of it keeps the outputs open',
      run: 'cat >/dev/null; sleep 20 & echo $! >$OUT.pid; exit 75',
      want: { message: /status 75/, isTemporary: true, exitCode: 75 },
    },
    {
      name: 'it is not there',
      submission: { program: join(folder, 'absent') },
      want: { message: /cannot be started as .*absent: ENOENT$/, isTemporary: true, exitCode: null, signal: null },
    },
    {
      name: 'it is no program',
      submission: { program: file },
      want: { message: /cannot be started as .*: EACCES$/, isTemporary: true, exitCode: null },
    },
    {
      name: 'the arguments are longer than the system takes',
      submission: { recipients: Array.from({ length: 100 }, () => 'b'.repeat(1000)), program: '/bin/false' },
      want: { message: /status 1$/, isTemporary: true, exitCode: 1 },
    },
  ]
  for (const { name, run, submission = {}, want } of rows) {
    const { program } = script(run ?? 'exit 70')
    const error = await sendmail({ program, ...plain, ...submission }).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    t.ok(error instanceof SendmailError, name)
    t.match(error, want, name)
    const pid = `${program}.pid`
    if (existsSync(pid)) process.kill(Number(readFileSync(pid, 'utf8')))
  }
})

t.test('what the caller does wrong, or takes back', async (t) => {
  const { program, path } = script('sleep 60 & echo $! >$OUT.child; echo $$ >$OUT.pid; wait')
  const isGone = (name: string): boolean => {
    try {
      return /^[0-9]+ \(.*\) [ZX]/.test(readFileSync(`/proc/${Number(readFileSync(path(name), 'utf8'))}/stat`, 'utf8'))
    } catch {
      return true
    }
  }
  const control = new AbortController()
  const aborted = sendmail({ ...plain, program, signal: control.signal })
  await until('the program and its child', () => existsSync(path('pid')) && readFileSync(path('pid'), 'utf8') !== '')
  t.notOk(isGone('pid') || isGone('child'))
  control.abort(new Error('taken back'))
  await t.rejects(aborted, { message: 'taken back' })
  await until('the end of both', () => isGone('pid') && isGone('child'))
  t.pass('what the program started is ended with it, or it would queue what it has')

  const unused = script('echo $$ >$OUT.pid')
  const waiting = new Readable({ read: () => undefined })
  waiting.push('Subject: half\n\n')
  const limit = AbortSignal.timeout(50)
  const half = sendmail({ ...plain, program: unused.program, message: waiting, signal: limit })
  await t.rejects(half, { name: 'TimeoutError' })
  t.ok(waiting.destroyed, 'an aborted submission lets go of its stream')
  const slow = new Readable({ read: () => undefined })
  const late = sendmail({ ...plain, program: unused.program, message: slow, timeoutMs: 50 })
  await t.rejects(late, { name: 'SendmailError', message: /ended after 50 ms/ })
  const failing = async function* (): AsyncGenerator<string> {
    yield await Promise.resolve('Subject: half\n\n')
    throw new Error('the source broke')
  }
  const broken = sendmail({ ...plain, program: unused.program, message: Readable.from(failing()) })
  await t.rejects(broken, { message: 'the source broke' })
  t.notOk(existsSync(unused.path('pid')), 'the program is not run before the message is there whole')

  const read = Readable.from(['x'])
  read.destroy()
  const rows: {
    name: string
    submission: Partial<Submission>
    want: { message: string | RegExp }
  }[] = [
    { name: 'aborted before', submission: { signal: AbortSignal.abort(new Error('no')) }, want: { message: 'no' } },
    { name: 'no time', submission: { timeoutMs: 0 }, want: { message: /timeoutMs: 0/ } },
    { name: 'a time that no clock has', submission: { timeoutMs: 2 ** 31 }, want: { message: /timeoutMs/ } },
    { name: 'a time that is none', submission: { timeoutMs: Number.NaN }, want: { message: /timeoutMs/ } },
    { name: 'read before', submission: { message: read }, want: { message: /was read already/ } },
    { name: 'no such file', submission: { message: { path: join(folder, 'gone') } }, want: { message: /ENOENT/ } },
    { name: 'a folder', submission: { message: { path: folder } }, want: { message: /no regular/ } },
    { name: 'a device', submission: { message: { path: '/dev/zero' } }, want: { message: /no regular/ } },
    {
      name: 'text',
      submission: { message: 'Subject: x' as unknown as Buffer },
      want: { message: /^a message is a Uint8Array, a Readable, or \{ path \}$/ },
    },
    {
      name: 'a stream of things',
      submission: { message: Readable.from([{}]) },
      want: { message: /neither octets nor text/ },
    },
  ]
  for (const { name, submission, want } of rows)
    await t.rejects(sendmail({ ...plain, program: unused.program, ...submission }), want, name)
  const unread = Readable.from(['x'])
  await t.rejects(sendmail({ ...plain, program: '/bin/true', recipients: [], message: unread }), { name: 'RangeError' })
  t.ok(unread.destroyed, 'a stream that nobody reads is let go')
})

t.test('line ends in all cuts of a message', async (t) => {
  const rows = [
    { given: '', want: '' },
    { given: 'a', want: 'a\n' },
    { given: 'a\r\nb\r\n', want: 'a\nb\n' },
    { given: '\r\n\r\n', want: '\n\n' },
    { given: 'a\rb\r\r\nc\r', want: 'a\rb\r\nc\r\n' },
    { given: '\r', want: '\r\n' },
  ]
  for (const { given, want } of rows) {
    for (let size = 1; size <= 4; size++) {
      const pieces = given.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
      const out: Uint8Array[] = []
      for await (const piece of withLfLineEnds(Readable.from(['', ...pieces]))) out.push(piece)
      t.equal(Buffer.concat(out).toString(), want, `${JSON.stringify(given)} in pieces of ${size}`)
    }
  }
})

t.test('where the program is looked for', (t) => {
  const debian = 'sbindir=/usr/sbin\nbindir=/usr/bin\n'
  const usual = ['/usr/sbin/sendmail', '/usr/lib/courier/bin/sendmail', '/usr/lib/sendmail']
  t.strictSame(
    sendmailPlaces({}, () => debian),
    ['/usr/sbin/sendmail', '/usr/bin/sendmail', ...usual.slice(1)],
  )
  t.strictSame(
    sendmailPlaces({ prefix: '/opt/courier' }, () => null),
    ['/opt/courier/sbin/sendmail', '/opt/courier/bin/sendmail', ...usual],
  )
  t.strictSame(
    sendmailPlaces({ prefix: 'relative' }, () => 'bindir=also/relative\n'),
    usual,
  )

  const { program } = script('true')
  const env = { PATH: '', prefix: join(folder, 'prefix') }
  let asked = 0
  const run = (): string => `sbindir=${env.prefix}-${++asked}\n`
  const place = `${env.prefix}-1`
  mkdirSync(place)
  symlinkSync(program, join(place, 'sendmail'))
  const find = (): string | null => findSendmail(env, run)
  t.strictSame([find(), find(), asked], [join(place, 'sendmail'), join(place, 'sendmail'), 1], 'asked for once')
  rmSync(place, { recursive: true })
  find()
  t.equal(asked, 2, 'and again when it is gone')
  t.end()
})

t.test('a stand-in is called in its place, with what was checked', async (t) => {
  const seen: Submission[] = []
  const fake = {
    sendmail: (submission: Submission): Promise<void> => {
      seen.push(submission)
      return Promise.resolve()
    },
  }
  await withStandIns(fake, async () => {
    await sendmail({ ...plain, program: '/bin/false' })
    await t.rejects(sendmail({ ...plain, recipients: [] }), { name: 'RangeError' })
  })
  t.match(seen, [{ sender: 'a@example.com' }])
  t.equal(standIns().sendmail, undefined, 'and only there')
})
