/** Messages that are submitted through Courier's own sendmail; messages that wait, and are taken out of the queue. */
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { sendmail, SendmailError } from '../../courier-compat/sendmail.ts'
import type { CommandIo } from '../../host/cli/command.ts'
import { dropmsgCommand } from '../../host/cli/dropmsg.ts'
import { until } from '../helpers/until.ts'
import { awaitEmptyQueue, courier, courierObstacle, startCourier } from './courier-server.ts'
import { openBareStage } from './stage.ts'

const alice = (extension: string): string => `${courier.user}-${extension}@${courier.domain}`
const message = (subject: string): Buffer => Buffer.from(`Subject: ${subject}\n\n.\ntext\n`)

interface Found {
  readonly messages: readonly { readonly id: string; readonly fate: string; readonly problem: string | null }[]
}

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openBareStage()
  const { maildir } = stage
  await startCourier()
  t.teardown(() => stage.close())

  await t.test('a submission arrives', async (t) => {
    await sendmail({ sender: '', recipients: [alice('null')], message: message('null') })
    t.match(await maildir.await('null'), [{ returnPath: '<>', text: /\n\n\.\ntext\n$/ }])
    const large = 'A line of some length that goes on for a while, up to here.\r\n'.repeat(60_000)
    const stream = Readable.from(['Subject: large\r\n\r\n', large])
    await sendmail({ sender: 'a@example.com', recipients: [alice('large')], message: stream })
    const [delivered] = await maildir.await('large')
    t.equal(delivered?.returnPath, '<a@example.com>')
    t.ok(delivered?.text.endsWith(`\n\n${large.replaceAll('\r\n', '\n')}`), 'whole, with LF line ends')
    const two = { sender: '-n@example.com', recipients: [alice('two'), `"${courier.user}"@${courier.domain}`] }
    await sendmail({ ...two, message: message('two') })
    t.match(await maildir.await('two', 2), [{ returnPath: '<-n@example.com>' }, { returnPath: '<-n@example.com>' }])
  })

  await t.test('what is refused, or not handed over whole, does not arrive', async (t) => {
    const long = Buffer.from(`Subject: long\n\n${'x'.repeat(6000)}\n`)
    const refused: unknown = await sendmail({ sender: '', recipients: [alice('long')], message: long }).catch(
      (error: unknown) => error,
    )
    t.ok(refused instanceof SendmailError)
    t.match(refused, { exitCode: 67, isTemporary: false, reply: /^534 / })
    const broken = async function* (): AsyncGenerator<string> {
      yield await Promise.resolve(`Subject: broken\n\n${'half of it\n'.repeat(50_000)}`)
      throw new Error('the other half is lost')
    }
    await t.rejects(sendmail({ sender: '', recipients: [alice('broken')], message: Readable.from(broken()) }), {
      message: 'the other half is lost',
    })
    // While Courier takes it into its spool, so that the end of what it was handed could end the message.
    const seen = new Set<string>()
    for (let round = 0; round < 5; round++) {
      const control = new AbortController()
      const content = Buffer.from(`Subject: aborted\n\n${'text\n'.repeat(1_900_000)}`)
      const sent = sendmail({ sender: '', recipients: [alice('aborted')], message: content, signal: control.signal })
      const found = (): [string, number] | null => spooled(seen)[0] ?? null
      const [path, size] = await until('a half in the spool', found, 10_000, 1)
      seen.add(path)
      t.ok(size < content.length, `${size} octets of it are in the spool`)
      control.abort(new Error('taken back'))
      await t.rejects(sent, { message: 'taken back' })
    }
    const crlf = join(t.testdir(), 'crlf')
    writeFileSync(crlf, 'Subject: file\r\n\r\ntext\r\nend')
    await sendmail({ sender: '', recipients: [alice('file')], message: { path: crlf } })
    t.match(await maildir.await('file'), [{ text: /\n\ntext\nend\n$/ }], 'Courier mends the line ends of a file')
    await sendmail({ sender: '', recipients: [alice('after')], message: message('after') })
    await maildir.await('after')
    await awaitEmptyQueue()
    cleanStray()
    t.strictSame([maildir.with('long'), maildir.with('broken'), maildir.with('aborted')].flat(), [])
  })

  await t.test('messages that wait are dropped, and nobody hears of it', async (t) => {
    const bad = alice('bad')
    const dsn = { notify: ['success', 'fail', 'delay'] } as const
    const queue = async (sender: string, recipients: string[], subject: string): Promise<void> => {
      await sendmail({ sender, recipients, message: message(subject), dsn })
    }
    // No relay listens, so they wait.
    await queue(bad, ['a@example.org', 'b@example.net'], 'spam')
    await queue('', [`x@example.org`, 'bad@EXAMPLE.org'], 'bounce')
    await queue(alice('good'), ['c@example.org'], 'ham')
    await until('three messages that were tried', () => {
      const tried = waiting().filter((control) => control.includes('\nC'))
      return tried.length === 3
    })
    const keep = join(t.testdir(), 'keep')
    const criteria = ['-s', bad, '-s', 'bad@example.ORG', '--keep', keep, '--json']
    const dry = await dropmsg(criteria)
    t.equal(dry.messages.length, 2)
    t.equal(waiting().length, 3)
    const done = await dropmsg([...criteria, '--do'])
    t.match(done.messages, [
      { fate: 'dropped', problem: null },
      { fate: 'dropped', problem: null },
    ])
    await until('the end of both', () => waiting().length === 1)
    t.match(waiting(), [/rc@example\.org/], 'the third stays')
    t.strictSame(readdirSync(keep).sort(), done.messages.map(({ id }) => id).sort())

    for (const { id } of done.messages) await dropmsg(['--restore', id, '--keep', keep, '--do', '--json'])
    // Courier remembers for a while that the relay is down, so they wait once more.
    await until('what was dropped, once more', () => waiting().length === 3)
    const records = (control: string): string[] => control.split('\n').filter((line) => /^[srN]/.test(line))
    const again = waiting().map(records)
    const notify = 'NSFD'
    for (const want of [
      [`s${bad}`, 'ra@example.org', notify, 'rb@example.net', notify],
      ['s', 'rx@example.org', notify, 'rbad@example.org', notify],
    ]) {
      t.ok(
        again.some((lines) => lines.join() === want.join()),
        want.join(),
      )
    }
    t.ok(waitingContents().some((text) => text.includes('Subject: spam\n') && text.endsWith('\n\n.\ntext\n')))
    t.strictSame(readdirSync(keep), [])
    t.strictSame(maildir.with('delivery status'), [], 'no notice came, of failure or success')
  })

  await t.test('one that is to be returned is returned', async (t) => {
    const sender = alice('back')
    await sendmail({ sender, recipients: ['a@nowhere.example.org'], message: message('back') })
    await until('a message that waits', () =>
      waiting().some((control) => control.includes(sender) && control.includes('\nC')),
    )
    await dropmsg(['-s', sender, '--no-keep', '--bounce', 'Not sent by you', '--do', '--json'])
    const [notice] = await maildir.await('delivery status')
    t.match(notice, { returnPath: '<>', text: /a@nowhere\.example\.org>:\n <<< Not sent by you/ })
  })
}

async function dropmsg(args: readonly string[]): Promise<Found> {
  let out = ''
  const io: CommandIo = { out: (text) => (out += text), err: (text) => t.comment(text), env: {} }
  const code = await dropmsgCommand.run(args, io)
  if (code !== 0) throw new Error(`dropmsg ended with ${code}: ${out}`)
  return JSON.parse(out) as Found
}

/** The control files of messages that wait. */
function waiting(): string[] {
  return contentsBelow(join(courier.spool, 'msgs'), /^C/)
}

/** Their data files. */
function waitingContents(): string[] {
  return contentsBelow(join(courier.spool, 'msgs'), /^D/)
}

/** Path -> size of the large files that are being written, but for those in `known`. */
function spooled(known: ReadonlySet<string>): [string, number][] {
  return readdirSync(join(courier.spool, 'tmp'), { withFileTypes: true, recursive: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || known.has(path)) return []
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    return size > 100_000 ? [[path, size] as [string, number]] : []
  })
}

/** What a submission that was ended has left, which Courier removes after two days. */
function cleanStray(): void {
  for (const entry of readdirSync(join(courier.spool, 'tmp'), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && /^[DC0-9]/.test(entry.name)) rmSync(join(entry.parentPath, entry.name), { force: true })
  }
}

function contentsBelow(top: string, name: RegExp): string[] {
  return readdirSync(top, { withFileTypes: true, recursive: true }).flatMap((entry) => {
    if (!entry.isFile() || !name.test(entry.name)) return []
    try {
      return [readFileSync(join(entry.parentPath, entry.name), 'latin1')]
    } catch {
      // Courier removed it meanwhile.
      return []
    }
  })
}
