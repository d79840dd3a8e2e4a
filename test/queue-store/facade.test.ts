/** The queue under its old names: acceptance cases Q01-Q20, Q24-Q26 of the post office; the importer's and those of a million are elsewhere. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openDepot } from '../../queue-store/depot.ts'
import type { Delivery, NewEntry } from '../../queue-store/depot-types.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { openQueue, type PostofficeQueue } from '../../queue-store/facade/facade.ts'
import { rememberedTimes } from '../../queue-store/facade/frequency.ts'
import { errorOf, reasonOf } from '../../queue-store/facade/structured-error.ts'
import { makeClock, type FakeClock } from '../helpers/fake-clock.ts'
import { makeSink, readSent } from './sent-mail.ts'

/** A depot with queue A, a clock that only the test moves, and what was sent. */
async function stage(t: Test) {
  const clock: FakeClock = makeClock()
  const folder = t.testdir({})
  const directory = join(folder, 'depot')
  const depot = await openDepot(directory, { now: () => clock.wallMs() })
  t.teardown(() => depot.close())
  await depot.makeQueue('A')
  const queue = await openQueue(depot, 'A', { clock })
  return { clock, folder, depot, queue, ...makeSink() }
}

type Fields = Readonly<Record<string, string | null>>

let lastId = 0

/** A message; `null` leaves a field out. */
function mail(words: string, changes: Fields = {}): Buffer {
  const fields: Fields = {
    From: 'Ann <ann@sender.example>',
    To: 'box@example.com',
    Subject: words,
    'Message-Id': `<m${++lastId}@sender.example>`,
    Date: 'Mon, 01 Jun 2015 10:00:00 +0000',
    ...changes,
  }
  const lines = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\n`]))
  return Buffer.from(`${lines.join('')}\n${words}\n`)
}

/** What is taken now, by its body; each is acknowledged. */
async function takeAll(queue: PostofficeQueue): Promise<string[]> {
  const bodies: string[] = []
  for (let found = await queue.popNext(); found !== null; found = await queue.popNext()) {
    const text = (await found.message.bytes()).toString()
    bodies.push(text.slice(text.indexOf('\n\n') + 2).trim())
    await found.ack()
  }
  return bodies
}

/** Adds a message and takes it. */
async function addAndTake(queue: PostofficeQueue, message: Buffer, facts: NewEntry['facts'] = {}): Promise<Delivery> {
  await queue.add(message, { facts })
  const taken = await queue.popNext()
  if (taken === null) throw new Error('nothing to take')
  return taken
}

/** Puts a message into the quarantine; its handle. */
async function putAside(queue: PostofficeQueue, message: Buffer, error: unknown = new Error('e')): Promise<string> {
  return (await queue.quarantine(await addAndTake(queue, message), error)).handle
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'none'
  } catch (error) {
    return isDepotError(error) ? error.code : error instanceof Error ? error.name : 'no error'
  }
}

/** Where a descriptor leads; the one that lists them is gone by then. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return ''
  }
}

t.test('Q01: add one, two; length; take; take', async (t) => {
  const { queue } = await stage(t)
  await queue.add(mail('one'))
  await queue.add(mail('two'))
  t.equal(await queue.length(), 2)
  const one = await queue.popNext()
  const two = await queue.popNext()
  t.match(one?.message, { octets: mail('one').length })
  t.match((await one?.message.bytes())?.toString(), /\none\n$/)
  t.match((await two?.message.bytes())?.toString(), /\ntwo\n$/)
  t.equal(await queue.length(), 0, 'what is taken is not waiting')
})

t.test('Q02: take from an empty queue', async (t) => {
  const { queue } = await stage(t)
  t.equal(await queue.popNext(), null)
})

t.test('Q03: take, then abort', async (t) => {
  const { clock, queue } = await stage(t)
  await queue.add(mail('one'))
  await queue.add(mail('two'))
  const first = await queue.popNext()
  t.equal(first?.deliveries, 1)
  await first?.nack({ delaySeconds: 0 })
  const again = await queue.popNext({ leaseSeconds: 5 })
  t.equal(again?.id, first?.id, 'the same message is next again')
  t.equal(again?.deliveries, 2)
  clock.pass(5001)
  const third = await queue.popNext()
  t.equal(third?.id, first?.id, 'also where its lease has ended')
  t.equal(third?.deliveries, 3)
  t.same(await codeOf(again?.ack() ?? Promise.resolve()), 'LEASE_LOST', 'whoever was late cannot remove it')
})

t.test('Q04: take, commit, and the same Message-Id within 24 hours', async (t) => {
  const { clock, folder, queue } = await stage(t)
  const message = mail('one', { 'Message-Id': '<same@sender.example>' })
  t.equal(await queue.isDuplicate(message), false)
  await queue.add(Readable.from([message.subarray(0, 40), message.subarray(40)]))
  await (await queue.popNext())?.ack()
  t.equal(await queue.isDuplicate(message), true, 'taking it does not forget it')
  const path = join(folder, 'message')
  writeFileSync(path, message)
  t.equal(await queue.isDuplicate({ path }), true, 'nor does it matter where its octets are')
  const other = mail('one', { 'Message-Id': '<same@sender.example>', 'X-Original-To': 'y@example.com' })
  t.equal(await queue.isDuplicate(other), false, 'another recipient is another delivery')
  t.equal(await queue.isDuplicate(mail('none', { 'Message-Id': null })), false, 'without an id nothing is known')
  clock.pass(86_400_000)
  t.equal(await queue.isDuplicate(message), true, 'after 24 hours exactly')
  clock.pass(1)
  t.equal(await queue.isDuplicate(message), false, 'and no longer')
})

t.test('Q05: quarantine two messages with errors e1, e2', async (t) => {
  const { queue } = await stage(t)
  const handles = [
    await putAside(queue, mail('one'), Object.assign(new TypeError('e1'), { code: 'EFIRST' })),
    await putAside(queue, mail('two'), new Error('e2')),
  ]
  t.equal(await queue.countQuarantinedMessages(), 2)
  t.not(handles[0], handles[1])
  const listed = []
  for await (const { id, error } of queue.getQuarantinedMessages())
    listed.push([id, error.name, error.message, error.code])
  t.same(listed, [
    [handles[0], 'TypeError', 'e1', 'EFIRST'],
    [handles[1], 'Error', 'e2', null],
  ])
  t.equal(await queue.length(), 0)
})

t.test('what was thrown is kept as data, whatever it was', (t) => {
  const rows: [thrown: unknown, name: string, message: string][] = [
    ['a word', 'Error', 'a word'],
    [undefined, 'Error', 'undefined'],
    [new RangeError('x'.repeat(5000)), 'RangeError', 'x'.repeat(1000)],
    [new AggregateError([new Error('inner')], 'outer'), 'AggregateError', 'outer'],
  ]
  for (const [thrown, name, message] of rows) {
    const kept = errorOf(reasonOf(thrown))
    t.same([kept.name, kept.message], [name, message])
  }
  t.ok(reasonOf(new Error('x'.repeat(1e6))).length < 10_000, 'and it stays short')
  for (const reason of ['its lease ran out', '{"name":', '{"name":1,"message":"x"}', '{"message":"x"}']) {
    t.same(errorOf(reason), { name: 'Error', message: reason, code: null, stack: null }, `other words: ${reason}`)
  }
  t.equal(errorOf(null).message, '')
  t.end()
})

t.test('Q06: quarantine with a send function but no notice address', async (t) => {
  const { queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one'))
  t.equal(await codeOf(queue.quarantine(taken, new Error('e'), { send })), 'DEPOT_OPTION')
  t.equal(await queue.countQuarantinedMessages(), 0)
  t.equal(sent.length, 0)
})

t.test('Q07: quarantine with send and notice address, Date "Last Tuesday"', async (t) => {
  const { queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one', { Date: 'Last Tuesday', To: 'The B\u00f6x <box@example.com>' }))
  const { notice } = await queue.quarantine(taken, new Error('e'), { send, noticeFrom: 'postmaster@example.com' })
  t.same(notice, { sent: true })
  t.equal(sent.length, 1)
  t.same(sent[0]?.to, ['ann@sender.example'])
  t.equal(sent[0]?.from, null)
  const { first, texts } = await readSent(sent[0])
  t.match(texts[0], /Last Tuesday/)
  t.match(texts[0], /The B\u00f6x <box@example.com>/)
  t.match(texts[0], /quarantine/)
  t.match(first('X-Postoffice'), /^Bounced; id=[0-9a-f]{32}; mac=[0-9a-f]{32}$/)
})

t.test('Q08: get quarantined by handle, by an unknown one, by garbage', async (t) => {
  const { queue } = await stage(t)
  const handle = await putAside(queue, mail('one'))
  const added = await queue.add(mail('waits'))
  const found = await queue.getQuarantinedMessage(handle)
  t.match((await found.message.bytes()).toString(), /\none\n$/)
  t.equal(await codeOf(queue.getQuarantinedMessage('4711')), 'ENTRY_UNKNOWN')
  t.equal(await codeOf(queue.getQuarantinedMessage(added.id)), 'ENTRY_UNKNOWN', 'one that only waits is not in it')
  for (const garbage of ['', 'x', '-1', '1.5', '01', ' 1', '1e3', '9'.repeat(40)]) {
    t.equal(await codeOf(queue.getQuarantinedMessage(garbage)), 'ENTRY_ID', JSON.stringify(garbage))
  }
})

t.test('Q09: remove from quarantine what never was in it, and twice', async (t) => {
  const { queue } = await stage(t)
  const waiting = await queue.add(mail('waits'))
  t.equal(await codeOf(queue.removeFromQuarantine(waiting.id)), 'ENTRY_UNKNOWN')
  t.equal(await queue.length(), 1, 'it is still there')
  await (await queue.popNext())?.ack()
  const handle = await putAside(queue, mail('one'))
  await queue.removeFromQuarantine(await queue.getQuarantinedMessage(handle))
  t.equal(await codeOf(queue.removeFromQuarantine(handle)), 'ENTRY_UNKNOWN')
  t.equal(await codeOf(queue.removeFromQuarantine('garbage')), 'ENTRY_ID')
  t.equal(await queue.countQuarantinedMessages(), 0)
})

t.test('Q10: queue holds z; quarantine holds a, b; requeue all; take three times', async (t) => {
  const { queue } = await stage(t)
  await putAside(queue, mail('a'))
  await putAside(queue, mail('b'))
  await queue.add(mail('z'))
  t.equal(await queue.requeueQuarantinedMessages(), 2)
  t.equal(await queue.countQuarantinedMessages(), 0)
  const requeued = await queue.queue.open((await queue.queue.peek())[1]?.id ?? '')
  t.notMatch((await requeued.message.bytes()).toString(), /X-Postoffice-Id/i)
  t.same(await takeAll(queue), ['z', 'a', 'b'])
})

t.test('Q11: an incoming X-Postoffice-Id names nothing', async (t) => {
  const { queue } = await stage(t)
  const other = await putAside(queue, mail('other'))
  for (const forged of ['0', other]) {
    await putAside(queue, mail('forged', { 'X-Postoffice-Id': forged }))
    for await (const message of queue.getQuarantinedMessages()) {
      if (message.id !== other) await queue.removeFromQuarantine(message)
    }
    t.equal(await queue.countQuarantinedMessages(), 1, `X-Postoffice-Id: ${forged}`)
    t.match(
      (await (await queue.getQuarantinedMessage(other)).message.bytes()).toString(),
      /\nother\n$/,
      'the other stays',
    )
  }
})

const from = '"Bounc\u00e9r" <bouncer@example.com>'

t.test('Q12: bounce without reason, no Date', async (t) => {
  const { clock, queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one', { Date: null }))
  t.same(await queue.bounce(taken, { send, from, everySeconds: 0 }), { sent: true })
  const { first, texts, leaves } = await readSent(sent[0])
  t.match(first('Subject'), /box@example\.com/)
  t.match(texts[0], new RegExp(new Date(clock.wallMs()).toUTCString().slice(0, 16)))
  t.match(texts[0], /not valid/)
  t.match(first('X-Postoffice'), /^Bounced/)
  t.equal(leaves[0]?.charset, 'utf-8')
})

t.test('Q13: bounce with reason and own message', async (t) => {
  const { queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one'))
  const call = queue.bounce(taken, { send, from, reason: 'x', bounceMessage: 'Subject: y\n\nz\n' })
  t.equal(await codeOf(call), 'RangeError')
  t.equal(sent.length, 0)
})

t.test('Q14: bounce with own message', async (t) => {
  const { queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one'))
  const rows: [own: string, subject: string | null][] = [
    ['Subject: Own\nFrom: me@example.com\n\nTEST', 'Own'],
    ['Subject: Own\r\n\r\nTEST', 'Own'],
    ['TEST', null],
  ]
  for (const [own, subject] of rows) {
    await queue.bounce(taken, { send, from, bounceMessage: own, everySeconds: 0 })
    const { first, octets } = await readSent(sent.at(-1))
    t.match(octets.toString(), /\n\r?\nTEST$/, 'the body is unchanged')
    t.match(first('X-Postoffice'), /^Bounced/)
    t.equal(first('Subject'), subject)
    t.match(first('From'), own.includes('From') ? 'me@example.com' : 'bouncer@example.com')
    t.equal(first('To'), '<ann@sender.example>')
  }
})

t.test('Q15: reason and name beyond ASCII', async (t) => {
  const { queue, sent, send } = await stage(t)
  const taken = await addAndTake(queue, mail('one'))
  await queue.bounce(taken, { send, from, reason: 'Not entertaining eno\u00fagh.' })
  const { texts, octets } = await readSent(sent[0])
  t.match(texts[0], /^ {4}Not entertaining eno\u00fagh\.\r?$/m)
  t.match(octets.toString('latin1'), /^From: =\?utf-8\?B\?Qm91bmPDqXI=\?= <bouncer@example\.com>\r$/m)
})

t.test('Q16: an automatic answer, or one of the null sender', async (t) => {
  const { queue, sent, send } = await stage(t)
  const rows: [changes: Fields, why: string][] = [
    [{ 'Auto-Submitted': 'auto-replied' }, 'automatic'],
    [{ 'Return-Path': '<>' }, 'null-sender'],
  ]
  for (const [changes, why] of rows) {
    const told = await queue.bounce(await addAndTake(queue, mail('one', changes)), { send, from })
    t.match(told, { sent: false, why, text: /\w/ })
  }
  t.equal(sent.length, 0)
})

t.test('Q17: throttle', async (t) => {
  const { clock, queue } = await stage(t)
  const atMs = clock.wallMs()
  await queue.throttle('Ann <ann@sender.example>', atMs + 300_000, { A: '1' })
  const rows: [user: string, seconds: number, headers: Record<string, string> | null, is: boolean][] = [
    ['ann@sender.example', 0, { A: '1' }, true],
    ['ANN@SENDER.EXAMPLE', 300, { a: '1' }, true],
    ['ann@sender.example', 301, { A: '1' }, false],
    ['ann@sender.example', 0, null, false],
    ['ann@sender.example', 0, { A: '2' }, false],
    ['bob@sender.example', 0, { A: '1' }, false],
  ]
  for (const [user, seconds, headers, is] of rows) {
    const name = `${user} at T+${seconds} with ${JSON.stringify(headers)}`
    t.equal(await queue.isThrottled(user, atMs + seconds * 1000, headers), is, name)
  }
  await queue.throttle('bob@sender.example', atMs)
  t.equal(await queue.isThrottled('bob@sender.example', atMs, {}), true, 'no headers, and none at all, are the same')
})

t.test('Q18: messages a minute since the last one', async (t) => {
  const { queue } = await stage(t)
  const nowMs = 1_433_152_800_000
  const rows: [secondsAgo: number | null, frequency: number][] = [
    [30, 2],
    [240, 0.25],
    [0, Infinity],
    [null, 0],
    [-60, -1],
  ]
  for (const [index, [secondsAgo, frequency]] of rows.entries()) {
    const user = `user${index}@sender.example`
    if (secondsAgo !== null) {
      const message = mail('x', { From: `Some Name <${user.toUpperCase()}>` })
      const taken = await addAndTake(queue, message, { arrivedAtMs: nowMs - secondsAgo * 1000 })
      await queue.collectFrequencyData(taken, { Subject: 'a' })
    }
    t.equal(await queue.getInstantaneousFrequency(user, nowMs, { Subject: 'a' }), frequency, `${secondsAgo} s ago`)
    t.equal(await queue.getInstantaneousFrequency(user, nowMs), 0, 'other headers are another matter')
  }
})

t.test('Q19: messages a minute over an interval', async (t) => {
  const { clock, queue } = await stage(t)
  const startMs = clock.wallMs()
  for (const seconds of [0, 0, 60, 60]) {
    clock.pass(startMs + seconds * 1000 - clock.wallMs())
    await queue.collectFrequencyData(await addAndTake(queue, mail('x')))
  }
  const nowMs = startMs + 120_000
  t.equal(await queue.getAverageFrequency('ann@sender.example', nowMs, 120_000), 2)
  t.equal(await queue.getAverageFrequency('ann@sender.example', nowMs, 60_000), 2, 'the start is included')
  t.equal(await queue.getAverageFrequency('ann@sender.example', startMs + 60_000, 60_000), 2, 'the end is not')
  const last = await addAndTake(queue, mail('x'))
  for (let at = 0; at < rememberedTimes + 10; at++) await queue.collectFrequencyData(last, null, nowMs + at)
  const all = await queue.getAverageFrequency('ann@sender.example', nowMs + 1000, 60_000)
  t.equal(all, rememberedTimes, 'what is remembered of one sender has a bound')
})

t.test('Q20: an unknown queue, a folder that is no depot', async (t) => {
  const { depot, folder } = await stage(t)
  const { directory } = depot
  await depot.close()
  const open = (): string[] => readdirSync('/proc/self/fd').map(targetOf)
  const handles = (): number => open().filter((target) => target.startsWith(directory)).length
  t.equal(handles(), 0)
  t.equal(await codeOf(openQueue(directory, 'nowhere')), 'QUEUE_UNKNOWN')
  t.equal(handles(), 0, 'nothing is left open')
  const elsewhere = join(folder, 'elsewhere')
  t.equal(await codeOf(openQueue(elsewhere, 'A')), 'QUEUE_UNKNOWN')
  t.notOk(existsSync(elsewhere), 'nothing is made')
  const own = await openQueue(directory, 'A')
  await own.add(mail('one'))
  t.ok(handles() > 0)
  t.same(await takeAll(own), ['one'])
  await own.close()
  t.equal(handles(), 0, 'what it opened it closes')
})

t.test('Q24: a consumer with a lease of 5 s dies, again and again', async (t) => {
  const { clock, queue } = await stage(t)
  await queue.add(mail('one'))
  for (let count = 1; count <= 5; count++) {
    t.equal((await queue.popNext({ leaseSeconds: 5 }))?.deliveries, count)
    clock.pass(4999)
    t.equal(await queue.popNext(), null, 'while it is leased nobody else gets it')
    clock.pass(2)
  }
  t.equal(await queue.popNext(), null)
  t.match(await queue.queue.counts(), { dead: 1, buried: 0 })
})

t.test('Q25: what comes out is what went in, octet for octet', async (t) => {
  const { queue } = await stage(t)
  const octets = Buffer.concat([
    Buffer.from(`From: a@b.example\r\nSubject: ${'x'.repeat(300)}\r\nMessage-Id: <8@b.example>\r\n\r\nFrom x\r\n`),
    Buffer.from([0xe4, 0xff, 0x00, 0x0d, 0x0a, 0x0a]),
  ])
  for (const source of [octets, Readable.from([octets])]) {
    await queue.add(source)
    const taken = await queue.popNext()
    const digest = createHash('sha256')
      .update((await taken?.message.bytes()) ?? '')
      .digest('hex')
    t.equal(digest, createHash('sha256').update(octets).digest('hex'))
    await taken?.ack()
  }
})

t.test('Q26: quarantine the same message object twice, requeue all', async (t) => {
  const { queue } = await stage(t)
  const taken = await addAndTake(queue, mail('one'))
  const { handle } = await queue.quarantine(taken, new Error('e1'))
  t.equal((await queue.quarantine(taken, new Error('e2'))).handle, handle)
  t.equal((await queue.quarantine(await queue.getQuarantinedMessage(handle), new Error('e3'))).handle, handle)
  t.equal(await queue.requeueQuarantinedMessages(), 1)
  t.same(await takeAll(queue), ['one'])
  t.equal(await codeOf(queue.quarantine(taken, new Error('e4'))), 'ENTRY_UNKNOWN', 'what is gone cannot be kept')
  const { id } = await queue.add(mail('two'))
  const waiting = await queue.queue.open(id)
  await queue.popNext()
  const others = queue.quarantine({ ...waiting.entry, message: waiting.message }, new Error('e5'))
  t.equal(await codeOf(others), 'ENTRY_UNKNOWN', 'nor what somebody else has in hand')
})

t.test('a message is added and remembered together, or neither', async (t) => {
  const { depot, folder, queue } = await stage(t)
  const message = mail('one')
  const small = await openDepot(join(folder, 'small'), { maxBytes: 10 })
  t.teardown(() => small.close())
  await small.makeQueue('A')
  const full = await openQueue(small, 'A')
  t.equal(await codeOf(full.add(message)), 'DEPOT_FULL')
  t.equal(await full.isDuplicate(message), false)
  const broken = Readable.from(
    (function* () {
      yield Buffer.from('From: a@b.example\n')
      throw new Error('the source broke off')
    })(),
  )
  t.equal(await codeOf(queue.add(broken)), 'Error')
  t.equal(await queue.length(), 0)
  t.same(readdirSync(join(depot.directory, 'messages')), [])
})
