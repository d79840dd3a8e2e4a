/** The import from a Maildir: every acceptance case through the program, and what is in the Maildir and the depot afterwards. */
import { chownSync, linkSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'
import { consumerHeader, type FieldFacts } from '../../filters/postoffice/consumer-copy.ts'
import { lockName, takeImportLock } from '../../filters/postoffice/import/lock.ts'
import { listMaildir } from '../../filters/postoffice/import/maildir.ts'
import { openStoreMemory } from '../../filters/postoffice/store-memory.ts'
import { openDepot } from '../../queue-store/index.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { fileTimeMs, importCases, importClockMs, messageText, type ImportCase } from './cases-import.ts'
import { maildirCases } from './cases-maildir.ts'
import { contentOf, makeStage, octetsOf, queueA, type MaildirStage } from './maildir-stage.ts'

const day = 86_400_000

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What is held. */
function heapOctets(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

const reasons: Readonly<Record<string, string>> = {
  'no-from': 'no From',
  'from-equals-to': 'From equals To',
  'no-message-id': 'no Message-Id',
  ricochet: 'ricochet',
  rejected: 'rejected by filter',
  'no-queue': 'no queue',
}

/** What became of the one message of this run. */
async function importOne(stage: MaildirStage, name: string, text: string, nowMs: number): Promise<string> {
  stage.put(name, text, { timeMs: fileTimeMs(text) })
  const { out, code } = await stage.run(['--json'], { nowMs })
  if (code === 78) return 'config error'
  const report = JSON.parse(out) as { queued: object; dropped: object; duplicates: number }
  const [queue] = Object.keys(report.queued)
  if (queue !== undefined) {
    const marks = (await stage.entries(queue)).at(-1)?.facts['marks'] as string[]
    return marks.length === 0 ? queue : `${queue} [${marks.join(', ')}]`
  }
  const [reason = ''] = Object.keys(report.dropped)
  return `drop: ${report.duplicates > 0 ? 'duplicate' : (reasons[reason] ?? reason)}`
}

/** What becomes of all messages of a row, each imported by a run of its own. */
async function outcomes(t: Test, { ini, files = {}, messages }: ImportCase): Promise<string[]> {
  const stage = makeStage(t)
  const texts = messages.map(messageText)
  const size = texts[0]?.length ?? 0
  for (const [name, text] of Object.entries(files)) writeFileSync(join(stage.folder, name), text)
  stage.configure(ini.replace('SIZE-1', String(size - 1)).replace('SIZE', String(size)))
  const found: string[] = []
  for (const [index, text] of texts.entries()) {
    const nowMs = importClockMs + (messages[index]?.atS ?? 0) * 1000
    const outcome = await importOne(stage, `${index}.h`, text, nowMs)
    found.push(outcome)
    if (outcome === 'config error') return ['config error']
  }
  rmSync(stage.folder, { recursive: true })
  return found
}

t.test('the acceptance cases of the import, through the program and the depot', async (t) => {
  for (const each of importCases) t.same(await outcomes(t, each), each.outcomes, `${each.id}: ${each.about}`)
})

t.test('the acceptance cases of the Maildir', async (t) => {
  for (const { id, about, ini, before, after, queued, says, code } of maildirCases) {
    const stage = makeStage(t)
    stage.configure(ini)
    for (const [path, text] of Object.entries(before)) writeFileSync(join(stage.maildir, path), text, 'latin1')
    const said = await stage.run(['-v'], { nowMs: importClockMs })
    t.same(stage.files(), after, `${id}: ${about}`)
    const subjects = []
    for (const entry of await stage.entries('A')) {
      subjects.push(/^Subject: (.*)$/m.exec(await contentOf(stage, 'A', entry.id))?.[1])
    }
    t.same(subjects, queued, `${id}: what is in the queue`)
    t.equal(
      said.err
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^.* postoffice /, ''),
      says,
      `${id}: ${says}`,
    )
    t.equal(said.code, code, `${id}: exit status`)
  }
})

t.test('M04: a Maildir that is not there is made; what is there and none is left alone', async (t) => {
  const stage = makeStage(t)
  rmSync(stage.maildir, { recursive: true })
  const { code, err } = await stage.run(['-v'])
  t.equal(code, 0)
  t.match(err, /Processed 0 messages\.\n$/)
  for (const place of ['new', 'cur', 'tmp']) t.ok(statSync(join(stage.maildir, place)).isDirectory(), place)
  rmSync(stage.maildir, { recursive: true })
  mkdirSync(stage.maildir)
  t.match(await stage.run(), { code: 66, err: /is no Maildir/ })
  t.same(stage.files(), [])
})

t.test('M05: the time of the file is the date that consumers are told; what was forged is told apart', async (t) => {
  const stage = makeStage(t)
  const fields = ['X-Postoffice-Date: 1', 'X-Postoffice-Rejected: Throttled']
  const path = stage.put('1', messageText({ fields }))
  const before = octetsOf(path)
  await stage.import()
  const [entry] = await stage.entries('A')
  t.match(entry?.facts, { arrivedAtMs: 1_433_152_800_000, forgedFields: 2, marks: [], source: 'maildir', file: '1' })
  const octets = await contentOf(stage, 'A', entry?.id ?? '')
  t.equal(octets, before, 'the octets in the queue are those that came')
  const facts = entry?.facts as unknown as FieldFacts
  const section = consumerHeader(parseHeaderSection(Buffer.from(octets, 'latin1')), facts).toString()
  t.match(section, /^X-Postoffice-Date: 1433152800\n/)
  t.match(section, /\nX-Original-X-Postoffice-Date: 1\nX-Original-X-Postoffice-Rejected: Throttled\n/)
})

t.test('M10, Q25: the original of a message over the limit, and every octet of the others, are kept', async (t) => {
  const stage = makeStage(t)
  stage.configure(`max_message_size = 4k\n${queueA}`)
  const strange = `From: ann@sender.example\r\nTo: box@example.com\r\nSubject: ${'long '.repeat(60)}\r\nMessage-Id: <1@s>\r\n\r\nFrom x\r\ncaf\xe9\r\n\0end without a line end`
  const large = messageText({ fields: ['Content-Type: text/html'], body: 'x'.repeat(5000) })
  stage.put('1', strange)
  stage.put('2', large)
  t.match(await stage.import(), { processed: 2, queued: { A: 2 }, oversize: 1, marked: 1, code: 0 })
  const [first, second] = await stage.entries('A')
  t.equal(await contentOf(stage, 'A', first?.id ?? ''), strange, 'Q25: the octets in the queue')
  t.equal(octetsOf(join(stage.maildir, '.2015.06.01/new/1')), strange, 'Q25: the octets in the archive')
  t.equal(octetsOf(join(stage.maildir, '.2015.06.01/new/2')), large, 'M10: the whole original')
  const stub = await contentOf(stage, 'A', second?.id ?? '')
  t.match(stub, /^From: Ann.*\nX-Original-Content-Type: text\/html\n.*Content-Type: text\/plain; charset=utf-8\n/s)
  t.match(stub, 'The original is kept as .2015.06.01/new/2.', 'and where it is')
  t.notMatch(stub, 'xxxx')
  t.match(second?.facts, { octets: large.length, sizeLimitOctets: 4096, archived: '.2015.06.01/new/2' })
})

t.test('Q04: a message that was taken from its queue is a duplicate all the same', async (t) => {
  const stage = makeStage(t)
  stage.putBase('1')
  await stage.import()
  await stage.withDepot(async (depot) => {
    const [delivery] = await (await depot.queue('A')).receive()
    t.equal(await delivery?.ack(), 'done')
  })
  stage.put('2', octetsOf(join(stage.maildir, '.2015.06.01/new/1')))
  t.match(await stage.import(), { duplicates: 1, queued: {} })
})

t.test('Q21, Q22: queues that come and go', async (t) => {
  const stage = makeStage(t)
  const queue = (name: string) => `[queue:${name}]\nfilters = header_regexp: Subject: ${name}$\n`
  stage.configure(`${queue('A')}${queue('B')}${queue('D')}`)
  for (const name of ['A', 'D']) stage.putBase(name, name)
  await stage.import()
  await stage.withDepot(async (depot) => {
    await depot.makeQueue('of another program')
    const [delivery] = await (await depot.queue('D')).receive()
    await delivery?.bury('set aside')
  })
  const names = () => stage.withDepot((depot) => depot.queues())

  stage.configure(queue('C'))
  const kept = await stage.run()
  t.same((await names()).sort(), ['A', 'B', 'C', 'D', 'of another program'], 'without prune_queues all are kept')
  t.match(kept.err, /WARNING postoffice Queue A is no longer configured, and still has 1 message\n/, 'Q21: A')
  t.match(kept.err, /WARNING postoffice Queue D is no longer configured, and still has 1 message\n/, 'Q22: D')

  stage.configure(`prune_queues = yes\n${queue('C')}`)
  const pruned = await stage.run(['-v'])
  t.same((await names()).sort(), ['A', 'C', 'D', 'of another program'], 'Q21: B is removed, Q22: D is kept')
  t.match(pruned.err, /INFO postoffice Removed queue B\n/)
  t.match(pruned.err, /Queue A is no longer configured[^]*Queue D is no longer configured/)

  stage.configure(queue('C').replace('filters', 'order = strict\nmax_deliveries = 9\nfilters'))
  await stage.run()
  const settings = await stage.withDepot(async (depot) => (await depot.queue('C')).settings())
  t.match(settings, { order: 'strict', maxDeliveries: 9 }, 'an empty queue takes its new order')
  stage.putBase('C', 'C')
  await stage.run()
  stage.configure(queue('C').replace('filters', 'order = key\nfilters'))
  t.match(await stage.run(), { code: 0, err: /Queue C keeps its order/ }, 'one with messages keeps it')
})

t.test('what cannot be processed stays, and is put away at the third failure', async (t) => {
  const stage = makeStage(t)
  const secret = join(stage.folder, 'secret')
  writeFileSync(secret, messageText({}))
  symlinkSync(secret, join(stage.maildir, 'new/2.link'))
  mkdirSync(join(stage.maildir, 'new/a-folder'))
  stage.putBase('.hidden')
  for (const round of [1, 2, 3]) {
    stage.putBase(`1.${round}`)
    stage.putBase(`3.${round}`)
    const { code, failed, putAway, queued, err } = await stage.import()
    t.match({ code, failed, putAway, queued }, { code: 65, failed: 1, putAway: round === 3 ? 1 : 0, queued: { A: 2 } })
    t.match(err, '2.link', 'which one is told')
  }
  t.same(
    stage.files().filter((path) => !path.startsWith('.2015')),
    ['.failed/new/2.link', 'new/.hidden'],
  )
  t.match(await stage.import(), { code: 0, failed: 0, processed: 0 })
})

t.test('a file whose name is not UTF-8 is told, and left', async (t) => {
  const stage = makeStage(t)
  writeFileSync(Buffer.concat([Buffer.from(join(stage.maildir, 'new/1.')), Buffer.of(0xe9)]), messageText({}))
  stage.putBase('2')
  t.match(await stage.import(), { code: 65, failed: 1, processed: 1, err: /names are not UTF-8 .*: 1/ })
  t.equal(stage.files().filter((path) => path.startsWith('new/')).length, 1)
})

t.test('a record that cannot be read spoils its own message, not those of its transaction', async (t) => {
  const stage = makeStage(t)
  for (const name of ['1', '2', '3']) stage.putBase(name)
  await stage.import()
  await stage.withDepot(async (depot) => {
    const memory = openStoreMemory(depot, () => importClockMs)
    const seen = memory.maps.ttlMap('postoffice-seen', { ttlMs: 400 * day })
    const { entries } = await seen.entries()
    t.equal(entries.length, 3)
    await seen.set(entries[1]?.key ?? '', '{ broken')
    await memory.close()
  })
  for (const name of ['1', '2', '3', '4']) stage.putBase(name)
  t.match(await stage.import(), { code: 65, duplicates: 2, failed: 1, queued: { A: 1 } })
  t.equal(stage.files().filter((path) => path.startsWith('new/')).length, 1)
})

t.test('a depot without room: nothing is lost, and the exit status says to try again', async (t) => {
  const stage = makeStage(t)
  for (const name of ['1', '2']) stage.putBase(name)
  await stage.run()
  rmSync(join(stage.folder, 'depot/messages'), { recursive: true })
  writeFileSync(join(stage.folder, 'depot/messages'), 'in the way')
  stage.put('3', messageText({ body: 'y'.repeat(70_000), fields: ['Message-Id: <3@s>'] }))
  stage.putBase('0')
  t.match(await stage.run(), { code: 75 })
  t.same(
    stage.files().filter((path) => path.startsWith('new/')),
    ['new/3'],
    'what came before it is in its queue',
  )
  rmSync(join(stage.folder, 'depot/messages'))
  mkdirSync(join(stage.folder, 'depot/messages'))
  t.match(await stage.import(), { code: 0, queued: { A: 1 } })
})

t.test('what was archived is never written over', async (t) => {
  const stage = makeStage(t)
  for (const subject of ['one', 'two', 'three']) {
    stage.put('1.same', messageText({ fields: [`Message-Id: <${subject}@s>`, `Subject: ${subject}`] }))
    await stage.import()
  }
  t.same(stage.files(), ['.2015.06.01/new/1.same', '.2015.06.01/new/1.same~1', '.2015.06.01/new/1.same~2'])
  t.match(octetsOf(join(stage.maildir, '.2015.06.01/new/1.same')), 'Subject: one')
  t.ok(statSync(join(stage.maildir, '.2015.06.01/maildirfolder')).isFile(), 'it is a Maildir++ folder')
})

t.test('two messages under one name are two messages', async (t) => {
  const stage = makeStage(t)
  const text = (subject: string) => messageText({ fields: [`Message-Id: <${subject}@s>`, `Subject: ${subject}`] })
  stage.put('1.same', text('one'))
  stage.put('1.same:2,S', text('two'), { place: 'cur' })
  t.match(await stage.import(), { processed: 2, queued: { A: 2 }, recovered: 0 })
})

t.test(
  'root does not import what belongs to others',
  { skip: process.geteuid?.() === 0 ? false : 'only root can give folders away' },
  async (t) => {
    const stage = makeStage(t)
    stage.putBase('1')
    chownSync(stage.maildir, 12_345, 12_345)
    t.match(await stage.run(), { code: 77, err: /belongs to user 12345/ })
    t.same(stage.files(), ['new/1'])
    chownSync(stage.maildir, 0, 0)
    await stage.withDepot(() => Promise.resolve())
    chownSync(join(stage.folder, 'depot'), 12_345, 12_345)
    t.match(await stage.run(), { code: 77, err: /depot belongs to user 12345/ })
  },
)

t.test('the lock: held by the living, taken from the dead', (t) => {
  const { maildir } = makeStage(t)
  const path = join(maildir, lockName)
  const lock = takeImportLock(maildir)
  t.notOk('pid' in lock)
  t.match(takeImportLock(maildir), { pid: process.pid }, 'this process has it')
  if ('release' in lock) lock.release()
  // 1 is alive on every machine, but began at another moment.
  const rows: [content: string, isTaken: boolean, about: string][] = [
    ['999999999 boot/1\n', true, 'of a process that is gone'],
    ['1 boot/1\n', true, 'of a process whose number another one has'],
    ['', true, 'of nobody'],
    [`${process.pid} \n`, true, 'of this process number, at another time'],
  ]
  for (const [content, isTaken, about] of rows) {
    writeFileSync(path, content)
    const taken = takeImportLock(maildir)
    t.equal('release' in taken, isTaken, `a lock ${about}`)
    if ('release' in taken) taken.release()
  }
  const victim = join(maildir, 'victim')
  writeFileSync(victim, 'kept')
  symlinkSync(victim, `${path}.${process.pid}`)
  const taken = takeImportLock(maildir)
  t.equal(octetsOf(victim), 'kept', 'a link in its way is not followed')
  if ('release' in taken) taken.release()
  t.notOk(statSync(path, { throwIfNoEntry: false }))
  t.end()
})

t.test('a Maildir of a hundred thousand files is listed by name', async (t) => {
  const maildir = memoryFolder(t)
  for (const place of ['new', 'cur']) mkdirSync(join(maildir, place))
  const first = join(maildir, 'new/1000000.M1P1.mail.example.com')
  writeFileSync(first, '')
  for (let count = 1; count < 100_000; count++) {
    const place = count % 2 === 0 ? 'new' : 'cur'
    linkSync(first, join(maildir, place, `${1_000_000 + ((count * 7919) % 100_000)}.M1P1.mail.example.com`))
  }
  const before = heapOctets()
  const listing = await listMaildir(maildir)
  const grownMiB = (heapOctets() - before) / 1024 ** 2
  t.equal(listing.count, 100_000)
  let last = ''
  let isSorted = true
  for (const { unique } of listing.files()) {
    isSorted &&= unique > last
    last = unique
  }
  t.ok(isSorted, 'in the order of their names')
  t.ok(listing.has('1099999.M1P1.mail.example.com') && !listing.has('1099999.M1P1.mail.example'))
  t.ok(grownMiB < 24, `${Math.round(grownMiB)} MiB`)
})

t.test('the memory in the depot answers as the one in memory does, and outlives its process', async (t) => {
  const directory = join(memoryFolder(t), 'depot')
  const question = {
    nowMs: importClockMs,
    seen: { key: 'k', windowMs: day },
    delivery: 'd1',
    loop: { key: 'l', atMs: importClockMs, frequency: 1, throttleMs: 300_000, isExempt: false },
  }
  const again = { ...question, delivery: 'd2' }
  const other = { ...question, seen: { key: 'k2', windowMs: day }, delivery: null }
  for (const [asked, mode, answer, about] of [
    [question, 'look', { kind: 'admitted', isRepeat: false, throttle: 'none' }, 'looking remembers nothing'],
    [question, 'record', { kind: 'admitted', isRepeat: false, throttle: 'none' }, 'so it is new'],
    [question, 'record', { kind: 'admitted', isRepeat: true, throttle: 'none' }, 'the same delivery'],
    [again, 'look', { kind: 'duplicate', seenAtMs: importClockMs }, 'another delivery'],
    [other, 'look', { kind: 'admitted', isRepeat: false, throttle: 'triggered' }, 'another message at once'],
    [other, 'record', { kind: 'admitted', isRepeat: false, throttle: 'triggered' }, 'the same, remembered'],
    [{ ...other, seen: { key: 'k3', windowMs: 0 } }, 'record', { throttle: 'active' }, 'the throttle holds'],
  ] as const) {
    const depot = await openDepot(directory, { pollSeconds: 60 })
    const memory = openStoreMemory(depot, () => asked.nowMs)
    t.match(await memory.admit(asked, mode), answer, about)
    await memory.close()
    await depot.close()
  }
})
