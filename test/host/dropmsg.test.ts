/** `nodefilter dropmsg` on queues made for it: which messages are meant, what is written, what is kept, what comes back. */
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseControlFacts } from '../../courier-compat/control.ts'
import { SendmailError, type Submission } from '../../courier-compat/sendmail.ts'
import type { CommandIo } from '../../host/cli/command.ts'
import { createDropmsgCommand } from '../../host/cli/dropmsg.ts'
import { dropMessage, droppingBytes } from '../../host/cli/dropmsg/drop.ts'
import { canonicalIp } from '../../host/cli/dropmsg/match.ts'
import { resubmissions } from '../../host/cli/dropmsg/restore.ts'

interface Queued {
  readonly sender?: string
  readonly recipients?: readonly string[]
  /** Those that are done already. */
  readonly done?: readonly number[]
  readonly user?: string
  readonly ip?: string
  readonly id?: string
  readonly notify?: string
}

let inode = 1000

/** A queue, with its second links as Courier has them. */
function makeQueue(t: Test): {
  top: string
  folder: string
  put: (message: Queued) => { control: string; data: string; id: string }
} {
  // It would be emptied if it were asked for once more.
  const top = t.testdir()
  const folder = mkdtempSync(join(top, 'courier-'))
  mkdirSync(join(folder, 'msgq/179529'), { recursive: true })
  const put = (message: Queued) => {
    const { sender = 'a@example.com', recipients = ['b@example.org'], done = [], user, ip, notify = '' } = message
    const number = ++inode
    const id = message.id ?? `${number.toString(16).toUpperCase().padStart(16, '0')}.000000006B020767.0000403D`
    const place = join(folder, 'msgs', String(number % 3))
    mkdirSync(place, { recursive: true })
    const [control, data] = [join(place, `C${number}`), join(place, `D${number}`)]
    const records = [
      ...[`s${sender}`, 'fdns; x (x [192.0.2.1])', 'e', 't', `M${id}`],
      ...recipients.flatMap((address) => [`r${address}`, 'R', `N${notify}`]),
      ...done.map((index) => `S${index} 1795295071 r`),
      ...(user === undefined ? [] : [`i${user}`]),
      ...(ip === undefined ? [] : [`OTCPREMOTEIP=${ip}`]),
      ...['usmtp', 'E1795899871', 'A1795295371', ''],
    ]
    writeFileSync(control, records.join('\n'))
    writeFileSync(data, `Subject: ${number}\n\ntext\n`)
    linkSync(control, join(folder, 'msgq/179529', `C${number}.1795295371`))
    return { control, data, id }
  }
  return { top, folder, put }
}

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly flushed: readonly string[]
  readonly sent: readonly Submission[]
}

async function dropmsg(
  args: readonly string[],
  { flushStatus = 0, failAt = -1 }: { readonly flushStatus?: number; readonly failAt?: number } = {},
): Promise<Outcome> {
  const texts = { out: '', err: '' }
  const io: CommandIo = { out: (text) => (texts.out += text), err: (text) => (texts.err += text), env: {} }
  const flushed: string[] = []
  const sent: Submission[] = []
  const command = createDropmsgCommand({
    run: (_, words) => {
      if (words[0] === 'flush') flushed.push(words[1] ?? '')
      const status = words[0] === 'flush' ? flushStatus : 1
      return Promise.resolve({ status, stdout: 'only the superuser\n', stderr: '' })
    },
    submit: (submission) => {
      if (sent.length === failAt) {
        const end = { exitCode: 75, signal: null, reply: '432 later', stderr: '' }
        return Promise.reject(new SendmailError('sendmail ended with status 75', end))
      }
      sent.push(submission)
      return Promise.resolve()
    },
    nowMs: () => 1_796_126_400_000,
  })
  return { code: await command.run(args, io), ...texts, flushed, sent }
}

interface Report {
  readonly dryRun: boolean
  readonly problems: readonly string[]
  readonly messages: readonly { readonly id: string; readonly fate: string; readonly reasons: readonly string[] }[]
}

t.test('which messages are meant', async (t) => {
  const { folder, put } = makeQueue(t)
  const names = new Map<string, string>()
  const add = (name: string, message: Queued): void => void names.set(put(message).id, name)
  add('from bad', { sender: 'bad@example.com' })
  add('from BAD', { sender: 'bad@EXAMPLE.com' })
  add('from Bad', { sender: 'Bad@example.com' })
  add('bounce to bad', { sender: '', recipients: ['bad@example.com'] })
  add('bounce to good and bad', { sender: '', recipients: ['good@example.com', 'bad@Example.Com'] })
  add('bounce that bad has', { sender: '', recipients: ['good@example.com', 'bad@example.com'], done: [1] })
  add('from odd', { sender: 'odd@example.com' })
  add('from IDN', { sender: 'odd@ex\u00c4mple.example' })
  add('from dots', { sender: 'a..b@example.com' })
  add('from root', { sender: 'root' })
  add('from Root', { sender: 'Root' })
  add('to bad', { recipients: ['bad@example.com'] })
  add('by amy', { user: 'amy', ip: '::ffff:192.0.2.7' })
  add('by Amy', { user: 'Amy' })
  add('by six', { ip: '2001:DB8:0::7' })
  add('all done', { sender: 'bad@example.com', done: [0] })
  add('nobody to bounce to', { sender: '', recipients: [] })
  const rows: { name: string; args: string[]; want: string[] }[] = [
    {
      name: 'a sender',
      args: ['-s', 'bad@example.com'],
      want: ['bounce to bad', 'bounce to good and bad', 'from BAD', 'from bad'],
    },
    {
      name: 'another form of it',
      args: ['--sender', 'bad@EXAMPLE.COM'],
      want: ['bounce to bad', 'bounce to good and bad', 'from BAD', 'from bad'],
    },
    {
      name: 'the null sender',
      args: ['-s', '<>'],
      want: ['bounce that bad has', 'bounce to bad', 'bounce to good and bad'],
    },
    { name: 'a user, to the letter', args: ['-a', 'amy'], want: ['by amy'] },
    { name: 'two users', args: ['-a', 'amy', '-a', 'Amy'], want: ['by Amy', 'by amy'] },
    { name: 'a client', args: ['-i', '192.0.2.7'], want: ['by amy'] },
    { name: 'a client as Courier writes it', args: ['-i', '::ffff:192.0.2.7'], want: ['by amy'] },
    { name: 'a client of IPv6', args: ['-i', '2001:db8::7'], want: ['by six'] },
    {
      name: 'options are alternatives',
      args: ['-i', '192.0.2.7', '-a', 'amy', '-a', 'Amy'],
      want: ['by Amy', 'by amy'],
    },
    { name: 'quotes that say nothing', args: ['-s', '"odd"@example.com'], want: ['from odd'] },
    { name: 'brackets', args: ['-s', '<odd@xn--exmple-cua.example>'], want: ['from IDN'] },
    { name: 'no address at all, its domain in any form', args: ['-s', 'a..b@EXAMPLE.com'], want: ['from dots'] },
    { name: 'a name without a domain', args: ['-s', 'root'], want: ['from root'] },
    { name: 'nobody', args: ['-s', 'nobody@example.com'], want: [] },
  ]
  for (const { name, args, want } of rows) {
    const { code, out } = await dropmsg([...args, '--queue', folder, '--json'])
    const { messages, dryRun } = JSON.parse(out) as Report
    t.strictSame(messages.map(({ id }) => names.get(id)).sort(), want, name)
    t.ok(code === 0 && dryRun && messages.every(({ fate }) => fate === 'matched'))
  }
  const text = await dropmsg(['-i', '192.0.2.7', '-a', 'amy', '--queue', folder])
  t.match(text.out, /\n\S+ +a@example\.com +amy +192\.0\.2\.7 +b@example\.org +user,ip +matched\n1 found; nothing was/)
  t.strictSame(text.flushed, [], 'nothing was done')
  t.strictSame([canonicalIp('192.0.2.7\nia'), canonicalIp('192.0.2'), canonicalIp('fe80::1%eth0')], [null, null, null])
})

t.test('dropping, and sending again', async (t) => {
  const { top, folder, put } = makeQueue(t)
  const keep = join(top, 'keep')
  const other = put({})
  const bad = put({
    sender: 'bad@example.com',
    recipients: ['x@example.org', 'y@example.org', 'z@example.org'],
    done: [1],
  })
  const [before, content] = [readFileSync(bad.control, 'latin1'), readFileSync(bad.data)]
  const untouched = readFileSync(other.control, 'latin1')
  const args = ['--queue', folder, '--keep', keep, '-s', 'bad@example.com', '-s', 'bad@EXAMPLE.com']

  const dry = await dropmsg(args)
  t.equal(readFileSync(bad.control, 'latin1'), before, 'a dry run changes nothing')
  t.notOk(existsSync(keep))
  t.equal(dry.code, 0)

  const inodeBefore = statSync(bad.control).ino
  const done = await dropmsg([...args, '--do'])
  t.match(done, { code: 0, flushed: [bad.id], out: /dropped\n1 dropped; copies are in .*keep\n$/ })
  const records =
    'I0 R 250 Ok - dropped by nodefilter dropmsg\nS0 1796126400\nI2 R 250 Ok - dropped by nodefilter dropmsg\nS2 1796126400\n'
  t.equal(readFileSync(bad.control, 'latin1'), before + records, 'those that were left are completed')
  t.match(statSync(bad.control), { ino: inodeBefore, nlink: 2 }, 'in place: both names show it')
  t.equal(readFileSync(other.control, 'latin1'), untouched)
  t.equal(readFileSync(join(keep, bad.id, 'envelope'), 'latin1'), before)
  t.strictSame(readFileSync(join(keep, bad.id, 'message')), content)
  t.equal(statSync(keep).mode & 0o777, 0o700)
  t.match((await dropmsg([...args, '--do'])).out, /^0 dropped\n$/, 'what is dropped is not meant again')

  // Courier removes what it is done with.
  unlinkSync(bad.data)
  unlinkSync(bad.control)
  t.match(await dropmsg(['--restore', bad.id, '--keep', keep]), {
    code: 0,
    sent: [],
    out: /would be sent again\nnothing/,
  })
  const again = await dropmsg(['--restore', bad.id, '--keep', keep, '--do'])
  t.match(again, { code: 0, out: `${bad.id}: sent again to 2\n` })
  t.match(again.sent, [
    {
      ...{ sender: 'bad@example.com', recipients: ['x@example.org', 'z@example.org'] },
      message: { path: join(keep, bad.id, 'message') },
    },
  ])
  t.strictSame(readdirSync(keep), [])
  t.match(await dropmsg(['--restore', bad.id, '--keep', keep, '--do']), { code: 66, err: /no copy in/ })
})

t.test('a message that is sent again in several parts, and fails in between', async (t) => {
  const { top, folder, put } = makeQueue(t)
  const keep = join(top, 'keep')
  const recipients = Array.from({ length: 150 }, (_, index) => `r${index}@example.org`)
  const { id } = put({ sender: '', recipients, notify: 'SF' })
  await dropmsg(['-s', '<>', '--queue', folder, '--keep', keep, '--do'])
  const failed = await dropmsg(['--restore', id, '--keep', keep, '--do'], { failAt: 1 })
  t.match(failed, { code: 75, err: /status 75: 432 later/ })
  t.match(failed.sent, [{ sender: '', dsn: { notify: ['success', 'fail'] } }])
  const rest = await dropmsg(['--restore', id, '--keep', keep, '--do'])
  t.equal(rest.code, 0)
  const all = [...failed.sent, ...rest.sent].flatMap(({ recipients }) => recipients)
  t.strictSame(all, recipients, 'everybody once')

  const mixed = 'sa@example.com\ntH\nra\nrb\nrc\nRx\nR\nR\nNN\nN\nNN\nS1 5\n'
  t.strictSame(resubmissions(Buffer.from(mixed)), [
    { sender: 'a@example.com', recipients: ['a', 'c'], indexes: [0, 2], dsn: { notify: 'never', return: 'hdrs' } },
  ])
})

t.test('a bounce instead', async (t) => {
  const { folder, put } = makeQueue(t)
  const { control } = put({ user: 'amy' })
  const before = readFileSync(control, 'latin1')
  const args = ['-a', 'amy', '--queue', folder, '--do', '--no-keep', '--bounce', 'No longer here']
  t.match(await dropmsg(args), { code: 0, out: /1 dropped\n$/ })
  t.equal(readFileSync(control, 'latin1'), `${before}XNo longer here\n`)
  t.equal(droppingBytes(Buffer.from('sa\nrb'), { bounce: 'x', nowMs: 0 })?.toString(), '\nXx\n', 'a cut line is ended')
})

t.test('what is in the way', async (t) => {
  const { top, folder, put } = makeQueue(t)
  const keep = join(top, 'keep')
  const target = join(top, 'target')
  writeFileSync(target, 'sbad@example.com\nrx@example.org\n')
  const bad = { sender: 'bad@example.com' }
  const link = put(bad)
  rmSync(link.control)
  symlinkSync(target, link.control)
  const odd = put({ ...bad, id: '../../../tmp/x' })
  const noData = put(bad)
  rmSync(noData.data)
  const good = put(bad)
  mkdirSync(join(folder, 'msgs/9'))
  writeFileSync(join(folder, 'msgs/9/notes'), 'sbad@example.com\nrx@example.org\n')
  const args = ['-s', 'bad@example.com', '--queue', folder, '--keep', keep, '--do', '--json']
  const done = await dropmsg(args, { flushStatus: 1 })
  const { messages, problems } = JSON.parse(done.out) as Report
  const fates = new Map(messages.map(({ id, fate }) => [id, fate]))
  t.equal(done.code, 75)
  t.match(problems, [/C[0-9]+: ELOOP/], 'a link is not followed')
  t.strictSame([fates.get(odd.id), fates.get(noData.id), fates.get(good.id)], ['failed', 'failed', 'dropped'])
  t.notMatch(readFileSync(noData.control, 'latin1'), /^S0/m, 'what cannot be kept is not dropped')
  t.match(done.out, /goes at its next attempt, since Courier was not told: only the superuser/)
  t.strictSame(readdirSync(keep).sort(), [good.id, noData.id].sort())

  t.equal(
    dropMessage({ controlPath: join(folder, 'gone'), dataPath: '' }, good.id, { keep, bounce: null, nowMs: 0 }),
    'gone',
  )
  const other = put({})
  const paths = { controlPath: other.control, dataPath: other.data }
  t.equal(dropMessage(paths, good.id, { keep, bounce: null, nowMs: 0 }), 'gone', 'another message under the same name')
  t.equal(parseControlFacts([readFileSync(other.control)]).recipients.length, 1)

  const [foreign, open] = [join(top, 'link'), join(top, 'open')]
  symlinkSync(keep, foreign)
  mkdirSync(open)
  chmodSync(open, 0o777)
  for (const unsafe of [foreign, open]) {
    const refused = await dropmsg(['-s', 'bad@example.com', '--queue', folder, '--keep', unsafe, '--do'])
    t.match(refused, { code: 73, err: /is no folder of ours alone/ }, unsafe)
  }

  const file = join(top, 'file')
  writeFileSync(file, '')
  const rows: { args: string[]; want: { code: number; err: RegExp } }[] = [
    { args: ['-s', 'x', '--queue', join(folder, 'absent')], want: { code: 66, err: /ENOENT/ } },
    { args: ['-s', 'x', '--queue', folder, '--do', '--keep', join(file, 'x')], want: { code: 73, err: /--no-keep/ } },
    { args: [], want: { code: 64, err: /say what to drop: -a USER, -i IP or -s SENDER\nTry/ } },
    { args: ['-x'], want: { code: 64, err: /-x/ } },
    { args: ['-s', ''], want: { code: 64, err: /the null sender is <>/ } },
    { args: ['-i', '192.0.2'], want: { code: 64, err: /"192\.0\.2" is no IP address/ } },
    { args: ['-a', 'amy', 'stray'], want: { code: 64, err: /stray/ } },
    { args: ['-a', 'amy', '--restore', good.id], want: { code: 64, err: /goes with no/ } },
    { args: ['--restore', good.id, '--restore', good.id, '--keep', folder], want: { code: 66, err: /no copy in/ } },
    { args: ['--restore', '../x'], want: { code: 64, err: /"\.\.\/x" is no id/ } },
    { args: ['-a', 'amy', '--bounce', 'a\nb'], want: { code: 64, err: /one line of printable ASCII/ } },
    { args: ['-a', 'amy', '--keep', '/x', '--no-keep'], want: { code: 64, err: /--keep and --no-keep/ } },
  ]
  for (const { args, want } of rows) t.match(await dropmsg(args), want, args.join(' ') || 'no arguments')
})
