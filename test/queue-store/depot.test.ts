/** What a depot promises to one process; test/queue-store/durability.test.ts has kills, full disks and several processes. */
import { createHash } from 'node:crypto'
import {
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  chmodSync,
  statSync,
  symlinkSync,
  mkdirSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkDepot } from '../../queue-store/check.ts'
import { clockOf, setClock } from '../../queue-store/depot-clock.ts'
import { damageOf } from '../../queue-store/depot-folder.ts'
import { openDepot, type OpenedDepot } from '../../queue-store/depot.ts'
import type { DepotOptions, NewEntry, Queue, QueueSettings } from '../../queue-store/depot-types.ts'
import { isDepotError, type DepotErrorCode } from '../../queue-store/errors.ts'
import { idNumber, inQueue, numberIn, numberKey, startingWith } from '../../queue-store/keys.ts'
import { defaultSettings, retryDelayMs } from '../../queue-store/queue-settings.ts'
import { salvage } from '../../queue-store/salvage.ts'
import { until } from '../helpers/until.ts'

/** A depot with one queue and a clock that only the test moves. */
async function stage(t: Test, settings: Partial<QueueSettings> = {}, options: DepotOptions = {}) {
  const clock = { nowMs: 1_000_000 }
  const directory = join(t.testdir({}), 'depot')
  const depot = await openDepot(directory, { now: () => clock.nowMs, ...options })
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in', settings)
  return { clock, directory, depot, queue }
}

const text = (words: string, more: Partial<NewEntry> = {}): NewEntry => ({ message: Buffer.from(words), ...more })

/** What is taken now, as text; each is left leased. */
async function taken(queue: Queue, max = 10): Promise<string[]> {
  const found = await queue.receive({ max, leaseSeconds: 60 })
  return Promise.all(found.map(async ({ message }) => (await message.bytes()).toString()))
}

async function codeOf(call: Promise<unknown>): Promise<DepotErrorCode | 'none'> {
  try {
    await call
    return 'none'
  } catch (error) {
    if (isDepotError(error)) return error.code
    throw error
  }
}

const files = (depot: OpenedDepot): string[] => readdirSync(join(depot.directory, 'messages'))

t.test('a message comes out as it went in, from each kind of source and of each size', async (t) => {
  const { depot, queue, directory } = await stage(t, {}, { insideOctets: 1000 })
  const eightBit = Buffer.concat([
    Buffer.from(`Subject: ${'x'.repeat(300)}\r\n\r\nFrom x\r\n`),
    Buffer.from([0, 0x80, 0xff, 0x0a, 0x0d]),
  ])
  const path = join(directory, '..', 'message')
  for (const octets of [
    eightBit,
    Buffer.alloc(0),
    Buffer.alloc(1000, 'a'),
    Buffer.alloc(1001, 'b'),
    Buffer.alloc(700_000, 'c'),
  ]) {
    writeFileSync(path, octets)
    const sources = [octets, { path }, Readable.from([octets.subarray(0, 7), octets.subarray(7)])]
    for (const message of sources) {
      const envelope = { sender: null, recipients: ['a@example.com'] }
      await queue.add({ message, envelope, facts: { size: octets.length, nested: { list: [1, 'ö'] } } })
      const [delivery] = await queue.receive()
      if (delivery === undefined) throw new Error('nothing came')
      t.same(delivery.envelope, envelope)
      t.same(delivery.facts, { size: octets.length, nested: { list: [1, 'ö'] } })
      t.equal(delivery.octets, octets.length)
      t.equal(delivery.digest, createHash('sha256').update(octets).digest('hex'))
      t.ok(octets.equals(await delivery.message.bytes()), `${octets.length} octets whole`)
      const pieces: Buffer[] = []
      for await (const piece of delivery.message.stream()) pieces.push(piece as Buffer)
      t.ok(octets.equals(Buffer.concat(pieces)), `${octets.length} octets as a stream`)
      t.equal(files(depot).length, octets.length > 1000 ? 1 : 0, 'only large ones are files')
      t.equal(await delivery.ack(), 'done')
      await until('the file is removed', () => files(depot).length === 0)
    }
  }
  t.same(
    await codeOf(queue.add({ message: Readable.from([Buffer.alloc(5000), 'text', 7]) }).catch(() => undefined)),
    'none',
  )
  t.same(files(depot), [], 'nothing stays of a message whose source failed')
})

t.test('orders', (t) => {
  t.test('none: a message that fails waits out a growing delay, and stops no other', async (t) => {
    const { queue, clock } = await stage(t)
    for (const words of ['one', 'two', 'three']) await queue.add(text(words))
    const [first] = await queue.receive()
    await first?.nack({ reason: 'busy' })
    t.same(await taken(queue), ['two', 'three'])
    clock.nowMs += 9_999
    t.same(await taken(queue), [], 'not before ten seconds')
    clock.nowMs += 1
    const [again] = await queue.receive()
    t.match(again, { deliveries: 2, reason: 'busy' })
    await again?.nack()
    clock.nowMs += 19_999
    t.same(await taken(queue), [], 'not before twenty more')
    clock.nowMs += 1
    t.same(await taken(queue), ['one'])
  })
  t.test('strict: one at a time, and a failing one stops all', async (t) => {
    const { queue, clock } = await stage(t, { order: 'strict' })
    for (const words of ['one', 'two']) await queue.add(text(words))
    const [first] = await queue.receive({ max: 5 })
    t.same(await taken(queue), [], 'the second waits for the first')
    await first?.nack({ delaySeconds: 5 })
    t.same(await taken(queue), [])
    clock.nowMs += 5_000
    const [again] = await queue.receive()
    t.equal((await again?.message.bytes())?.toString(), 'one')
    await again?.ack()
    t.same(await taken(queue), ['two'])
  })
  t.test('key: so within each key, and nothing else waits', async (t) => {
    const { queue, clock } = await stage(t, { order: 'key' })
    for (const [words, key] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['b1', 'b'],
      ['-', null],
      ['a3', 'a'],
    ] as const) {
      await queue.add(text(words, { key }))
    }
    t.match(await queue.counts(), { ready: 3, held: 2 })
    const [first, ...others] = await queue.receive({ max: 9 })
    t.equal(others.length, 2)
    await first?.nack({ delaySeconds: 5 })
    t.same(await taken(queue), [], 'those behind a1 wait with it')
    clock.nowMs += 5_000
    const [again] = await queue.receive()
    t.equal((await again?.message.bytes())?.toString(), 'a1')
    await again?.bury('unwanted')
    t.same(await taken(queue), ['a2'])
    await queue.requeueAll('buried')
    t.match(await queue.counts(), { held: 2, leased: 3, buried: 0 })
  })
  t.test('the order of a queue changes only while it is empty', async (t) => {
    const { queue, depot } = await stage(t)
    await queue.add(text('one'))
    t.equal(await codeOf(depot.makeQueue('in', { order: 'key' })), 'QUEUE_NOT_EMPTY')
    await depot.makeQueue('in', { maxDeliveries: 7 })
    t.match(queue.settings(), { order: 'none', maxDeliveries: 7 })
    await queue.remove('1')
    await depot.makeQueue('in', { order: 'key' })
    t.equal(queue.settings().order, 'key')
  })
  t.end()
})

t.test('leases', (t) => {
  t.test(
    'Q24: a lease that runs out gives the message back; after the fifth delivery it is with the dead letters',
    async (t) => {
      const { queue, clock } = await stage(t)
      await queue.add(text('one'))
      for (let deliveries = 1; deliveries <= 5; deliveries++) {
        const [delivery] = await queue.receive({ leaseSeconds: 5 })
        t.equal(delivery?.deliveries, deliveries)
        clock.nowMs += 4_999
        t.same(await taken(queue), [])
        clock.nowMs += 1
      }
      t.same(await taken(queue), [])
      t.match(await queue.counts(), { ready: 0, leased: 0, dead: 1, oldestMs: null })
      t.match(await queue.peek({ what: 'dead' }), [{ deliveries: 5, reason: 'its lease ran out' }])
      t.equal(await queue.requeue('1'), true)
      t.match(await queue.receive(), [{ id: '1', deliveries: 1 }])
    },
  )
  t.test('what a late consumer says is refused', async (t) => {
    const { queue, clock } = await stage(t)
    await queue.add(text('one'))
    const [late] = await queue.receive({ leaseSeconds: 5 })
    clock.nowMs += 5_000
    const [next] = await queue.receive({ leaseSeconds: 5 })
    if (late === undefined || next === undefined) throw new Error('nothing came')
    t.ok(next.token > late.token)
    for (const call of [() => late.ack(), () => late.nack(), () => late.bury('x'), () => late.extend()]) {
      t.equal(await codeOf(call()), 'LEASE_LOST')
    }
    t.equal(await next.ack(), 'done')
    t.equal(await late.ack(), 'gone')
  })
  t.test('a lease that ran out still holds while nobody else took the message', async (t) => {
    const { queue, clock } = await stage(t)
    await queue.add(text('one'))
    const [delivery] = await queue.receive({ leaseSeconds: 5 })
    clock.nowMs += 60_000
    t.equal(await delivery?.ack(), 'done')
  })
  t.test('an extended lease ends later', async (t) => {
    const { queue, clock } = await stage(t)
    await queue.add(text('one'))
    const [delivery] = await queue.receive({ leaseSeconds: 5 })
    clock.nowMs += 4_000
    await delivery?.extend(5)
    clock.nowMs += 4_000
    t.same(await taken(queue), [])
    clock.nowMs += 1_000
    t.same(await taken(queue), ['one'])
  })
  t.test('ending a lease twice is one end', async (t) => {
    const { queue } = await stage(t)
    for (const words of ['one', 'two', 'three']) await queue.add(text(words))
    const [one, two, three] = await queue.receive({ max: 3 })
    t.same([await one?.ack(), await one?.ack()], ['done', 'gone'])
    t.same([await two?.nack(), await two?.nack()], ['done', 'done'])
    t.same([await three?.bury('x'), await three?.bury('x')], ['done', 'done'])
    t.equal(await codeOf(three?.ack() ?? Promise.resolve()), 'LEASE_LOST', 'a buried message is not acknowledged')
    t.match(await queue.counts(), { delayed: 1, buried: 1, leased: 0 })
  })
  t.test('a hundred and one leases that run out together all come back', async (t) => {
    const { queue, clock } = await stage(t)
    for (let count = 0; count < 101; count++) await queue.add(text('x'))
    t.equal((await taken(queue, 200)).length, 101)
    clock.nowMs += 60_000
    let back = 0
    for (let more = -1; more !== 0; back += more) more = (await taken(queue, 50)).length
    t.equal(back, 101)
  })
  t.end()
})

t.test('idempotency', async (t) => {
  const { queue, clock, depot } = await stage(t, {}, { insideOctets: 10 })
  const entry = text('a message of more than ten octets', { idempotencyKey: 'digest and envelope' })
  t.same(await queue.add(entry), { id: '1', isNew: true })
  t.same(await queue.add(entry), { id: '1', isNew: false })
  await until('the second file is removed', () => files(depot).length === 1)
  clock.nowMs += 30 * 86_400_000
  t.same(await queue.add(entry), { id: '1', isNew: false }, 'however long its message waits')
  const [delivery] = await queue.receive()
  await delivery?.ack()
  t.same(await queue.add(entry), { id: '2', isNew: true }, 'forgotten when its time was over and the message gone')
  const [second] = await queue.receive()
  await second?.ack()
  clock.nowMs += 86_399_000
  t.same(await queue.add(entry), { id: '2', isNew: false }, 'remembered for a day')
  const other = await depot.makeQueue('other')
  t.match(await other.add(entry), { isNew: true }, 'another queue has its own')
  clock.nowMs += 2_000
  for (let count = 0; count < 3; count++) await queue.add(text('x', { idempotencyKey: `k${count}` }))
  t.same(await queue.add(entry), { id: '7', isNew: true })
})

t.test('aside', (t) => {
  t.test('Q05, Q08, Q09, Q10: buried ones are kept with their reasons, and requeued to the end', async (t) => {
    const { queue } = await stage(t)
    for (const words of ['a', 'b', 'z']) await queue.add(text(words))
    const [a, b] = await queue.receive({ max: 2 })
    await a?.bury('e1')
    await b?.bury('e2')
    t.match(await queue.peek({ what: 'buried' }), [
      { id: '1', reason: 'e1' },
      { id: '2', reason: 'e2' },
    ])
    t.match(await queue.peek({ what: 'buried', after: '1' }), [{ id: '2' }])
    t.equal((await (await queue.open('2')).message.bytes()).toString(), 'b')
    t.equal(await codeOf(queue.open('77')), 'ENTRY_UNKNOWN')
    t.equal(await codeOf(queue.open('x')), 'ENTRY_ID')
    t.equal(await queue.requeue('3'), false, 'one that waits is left where it is')
    t.equal(await queue.requeueAll('buried'), 2)
    t.same(await taken(queue), ['z', 'a', 'b'])
    t.match(await queue.counts(), { buried: 0 })
    t.equal(await queue.requeueAll('buried'), 0)
  })
  t.test('a waiting one is set aside, a leased one not; any one is removed', async (t) => {
    const { queue, depot } = await stage(t, { order: 'key' }, { insideOctets: 0 })
    for (const words of ['a', 'b', 'c']) await queue.add(text(words, { key: 'k' }))
    t.equal(await queue.setAside('2', 'by hand'), true)
    t.match(await queue.receive(), [{ id: '1' }])
    t.equal(await queue.setAside('1', 'by hand'), false)
    await queue.remove('1')
    t.match(await queue.counts(), { ready: 1, leased: 0, buried: 1 }, 'the next of its key is ready')
    for (const id of ['2', '3']) await queue.remove(id)
    t.match(await queue.counts(), { ready: 0, held: 0, buried: 0, octets: 0 })
    t.equal(await codeOf(queue.remove('2')), 'ENTRY_UNKNOWN')
    await until('all files are removed', () => files(depot).length === 0)
  })
  t.end()
})

t.test('acknowledging adds elsewhere in the same transaction, or not at all', async (t) => {
  const { queue, depot } = await stage(t, {}, { insideOctets: 4 })
  const other = await depot.makeQueue('other')
  await queue.add(text('large one', { facts: { a: 1 }, envelope: { sender: 's@example.com', recipients: [] } }))
  const [one] = await queue.receive()
  t.equal(
    await codeOf(one?.ack({ add: [{ queue: 'none', ...text('large note') }] }) ?? Promise.resolve()),
    'QUEUE_UNKNOWN',
  )
  t.match(await queue.counts(), { leased: 1 })
  t.equal(
    await one?.ack({ moveTo: { queue: 'other', facts: { b: 2 } }, add: [{ queue: 'in', ...text('note') }] }),
    'done',
  )
  t.equal(await one?.ack({ add: [{ queue: 'in', ...text('again') }] }), 'gone')
  t.match(await queue.counts(), { ready: 1, leased: 0, octets: 4 })
  const [moved] = await other.receive()
  t.match(moved, { facts: { a: 1, b: 2 }, envelope: { sender: 's@example.com' }, deliveries: 1 })
  t.equal((await moved?.message.bytes())?.toString(), 'large one')
  await until('only the moved file is there', () => files(depot).length === 1)
})

t.test('staged messages are published together, or dropped', async (t) => {
  const { queue, depot } = await stage(t, {}, { insideOctets: 4 })
  await depot.makeQueue('other')
  const one = await depot.stage({ queue: 'in', ...text('first message') })
  const two = await depot.stage({ queue: 'other', ...text('second message') })
  const three = await depot.stage({ queue: 'in', ...text('third message') })
  t.match(await queue.counts(), { ready: 0 })
  t.equal(files(depot).length, 3)
  await depot.drop(three)
  await until('its file is removed', () => files(depot).length === 2)
  t.match(await depot.publish([one, two]), [{ isNew: true }, { isNew: true }])
  await t.rejects(depot.publish([one]), TypeError)
  t.same(await taken(queue), ['first message'])
  t.equal(await codeOf(depot.stage({ queue: 'none', ...text('x') })), 'QUEUE_UNKNOWN')
})

t.test('Q20, Q21, Q22: names of queues', async (t) => {
  const { queue, depot } = await stage(t)
  t.equal(await codeOf(depot.queue('none')), 'QUEUE_UNKNOWN')
  for (const name of ['', 'a\nb', 'x'.repeat(201), '\ud800']) t.equal(await codeOf(depot.makeQueue(name)), 'QUEUE_NAME')
  await depot.makeQueue('other')
  t.equal(await codeOf(depot.renameQueue('in', 'other')), 'QUEUE_EXISTS')
  await queue.add(text('one', { idempotencyKey: 'k' }))
  await depot.renameQueue('in', 'büro')
  t.equal(queue.name, 'büro')
  t.same(await taken(queue), ['one'])
  t.equal(await codeOf(depot.removeQueue('büro')), 'QUEUE_NOT_EMPTY', 'leased')
  const receipt = { id: '1', token: 1 }
  await queue.bury(receipt, 'x')
  t.equal(await codeOf(depot.removeQueue('büro')), 'QUEUE_NOT_EMPTY', 'buried only')
  await depot.removeQueue('büro', { withMessages: true })
  t.same(await depot.queues(), ['other'])
  t.equal(await codeOf(queue.add(text('x'))), 'QUEUE_UNKNOWN')
  const again = await depot.makeQueue('büro')
  t.same(await again.add(text('x', { idempotencyKey: 'k' })), { id: '2', isNew: true }, 'no id is given twice')
})

t.test('a full depot takes no more, until something is gone', async (t) => {
  const { queue, depot } = await stage(t, {}, { maxBytes: 10, insideOctets: 2 })
  await queue.add(text('12345'))
  await queue.add(text('12345'))
  t.equal(await codeOf(queue.add(text('1'))), 'DEPOT_FULL')
  t.equal(await codeOf(queue.add(text('12345678901'))), 'DEPOT_FULL')
  t.equal(await codeOf(queue.add({ message: Readable.from([Buffer.alloc(400_000)]) })), 'DEPOT_FULL')
  await until('no file stays of those refused', () => files(depot).length === 2)
  const [one] = await queue.receive()
  await one?.ack()
  t.match(await queue.add(text('12345')), { isNew: true })
})

t.test('consuming', (t) => {
  t.test('for await: done at the end of the body, let go where the loop is left', async (t) => {
    const { queue } = await stage(t, { firstRetrySeconds: 0 })
    for (const words of ['one', 'two', 'three', 'four']) await queue.add(text(words))
    const seen: string[] = []
    for await (const delivery of queue.deliveries()) {
      seen.push((await delivery.message.bytes()).toString())
      if (seen.length === 2) await delivery.bury('poison')
      if (seen.length === 3) break
    }
    t.same(seen, ['one', 'two', 'three'])
    t.match(await queue.counts(), { ready: 2, leased: 0, buried: 1 })
    t.match(await queue.peek(), [{ id: '3', deliveries: 1, reason: 'its consumer left' }, { id: '4' }])
  })
  t.test('a handler that throws lets go of its message, with the reason', async (t) => {
    const { queue } = await stage(t, { firstRetrySeconds: 0, maxDeliveries: 2 })
    for (const words of ['good', 'bad', 'good']) await queue.add(text(words))
    const stop = new AbortController()
    const errors: unknown[] = []
    let good = 0
    const work = queue.process(
      async ({ message }) => {
        if ((await message.bytes()).toString() === 'bad') throw new Error('no use')
        good++
      },
      { signal: stop.signal, concurrency: 2, onError: (error) => errors.push(error) },
    )
    await until('the bad one is dead', async () => (await queue.counts()).dead === 1 && good === 2)
    stop.abort()
    await work
    t.equal(errors.length, 2)
    t.match(await queue.peek({ what: 'dead' }), [{ reason: 'no use', deliveries: 2 }])
  })
  t.test('a lease is renewed while the handler works; a handler is told when it is lost all the same', async (t) => {
    const { queue, depot } = await stage(t, {}, { now: null, pollSeconds: 0.05 })
    await queue.add(text('one'))
    const stop = new AbortController()
    let handled = 0
    let wasLost = false
    const other = await depot.queue('in')
    const work = queue.process(
      async ({ signal, id }) => {
        handled++
        const startMs = performance.now()
        await until('three leases have passed', async () => {
          t.same(await other.receive(), [], 'nobody else gets it')
          return performance.now() - startMs > 450
        })
        await other.remove(id)
        await until('it is told', () => signal.aborted)
        wasLost = true
      },
      { signal: stop.signal, leaseSeconds: 0.15 },
    )
    await until('it was lost', () => wasLost)
    stop.abort()
    await work
    t.equal(handled, 1)
  })
  t.test('one who waits is woken by an add, by a delay that ends, by the signal, and by the close', async (t) => {
    const { queue, depot } = await stage(t, {}, { now: null, pollSeconds: 60 })
    const waiting = queue.receive({ waitSeconds: Infinity })
    await queue.add(text('one'))
    const [one] = await waiting
    await one?.nack({ delaySeconds: 0.05 })
    const [again] = await queue.receive({ waitSeconds: 30 })
    t.equal(again?.deliveries, 2)
    t.same(await queue.receive({ waitSeconds: 0.01 }), [])
    const stop = new AbortController()
    const aborted = queue.receive({ waitSeconds: Infinity, signal: stop.signal })
    stop.abort(new Error('enough'))
    await t.rejects(aborted, { message: 'enough' })
    const ended = queue.receive({ waitSeconds: Infinity })
    await depot.close()
    t.same(await ended, [])
    t.equal(await codeOf(queue.add(text('x'))), 'DEPOT_CLOSED')
  })
  t.end()
})

t.test('R18: what is no depot, or no longer one, is refused and left as it is', async (t) => {
  const store = (directory: string): string => join(directory, 'store.mdb')
  const cases: readonly { name: string; harm: (directory: string) => void; code: DepotErrorCode }[] = [
    { name: 'cut to nothing', harm: (at) => truncateSync(store(at), 0), code: 'DEPOT_DAMAGED' },
    { name: 'cut off', harm: (at) => truncateSync(store(at), 20_000), code: 'DEPOT_DAMAGED' },
    { name: 'zeroed', harm: (at) => writeFileSync(store(at), Buffer.alloc(200_000)), code: 'DEPOT_DAMAGED' },
    {
      name: 'another file',
      harm: (at) => writeFileSync(store(at), 'SQLite format 3'.repeat(9999)),
      code: 'DEPOT_DAMAGED',
    },
    {
      name: 'a bit of its magic number',
      harm: (at) => {
        const octets = readFileSync(store(at))
        octets.writeUInt8(octets.readUInt8(24) ^ 4, 24)
        writeFileSync(store(at), octets)
      },
      code: 'DEPOT_DAMAGED',
    },
    {
      name: 'a later format',
      harm: (at) => writeFileSync(join(at, 'depot.json'), '{"format":2}'),
      code: 'DEPOT_FORMAT',
    },
    { name: 'its mark spoilt', harm: (at) => writeFileSync(join(at, 'depot.json'), '{"form'), code: 'DEPOT_DAMAGED' },
    { name: 'R19: open to all', harm: (at) => chmodSync(at, 0o777), code: 'DEPOT_UNSAFE' },
  ]
  for (const { name, harm, code } of cases) {
    const directory = join(t.testdir({}), name)
    const depot = await openDepot(directory)
    const queue = await depot.makeQueue('in')
    for (let count = 0; count < 20; count++) await queue.add({ message: Buffer.alloc(9000) })
    await depot.close()
    harm(directory)
    const before = readFileSync(store(directory))
    t.equal(await codeOf(openDepot(directory)), code, name)
    t.ok(before.equals(readFileSync(store(directory))), `${name}: untouched`)
  }
  const strange = t.testdir({ mail: 'x' })
  t.equal(await codeOf(openDepot(strange)), 'DEPOT_UNSAFE')
  const linked = join(t.testdir({}), 'link')
  mkdirSync(`${linked}.target`)
  symlinkSync(`${linked}.target`, linked)
  t.equal(await codeOf(openDepot(linked)), 'DEPOT_UNSAFE')
  const wrong: readonly DepotOptions[] = [
    ...[{ maxBytes: -1 }, { insideOctets: Number.NaN }, { group: 1.5 }, { pollSeconds: 0 }],
    ...[{ mode: 0o644 as 0o660 }, { mode: Number.NaN as 0o660 }, { mode: 0o600, group: 0 } as const],
  ]
  for (const options of wrong)
    t.equal(await codeOf(openDepot(join(strange, 'new'), options)), 'DEPOT_OPTION', JSON.stringify(options))
})

t.test('whom a new depot is for', async (t) => {
  const rows: readonly (readonly [name: string, options: DepotOptions, isShared: boolean])[] = [
    ['nothing said', {}, false],
    ['0600', { mode: 0o600 }, false],
    ['0660', { mode: 0o660 }, true],
    ['a group', { group: process.getegid?.() ?? 0 }, true],
    ['both', { group: process.getegid?.() ?? 0, mode: 0o660 }, true],
  ]
  for (const [name, options, isShared] of rows) {
    const directory = join(t.testdir({}), 'depot')
    // What another one names of a depot that is there changes nothing.
    for (const opened of [options, {}, { mode: 0o660 } as const, options]) {
      const depot = await openDepot(directory, opened)
      const queue = await depot.makeQueue('in')
      await queue.add({ message: Buffer.alloc(100_000) })
      await depot.close()
    }
    const modes = readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => [
      entry.isDirectory(),
      statSync(join(entry.parentPath, entry.name)).mode & 0o7777,
    ])
    t.equal(modes.filter(([isFolder]) => isFolder === false).length, 8, `${name}: all files are seen`)
    for (const [isFolder, mode] of [[true, statSync(directory).mode & 0o7777], ...modes])
      t.equal(mode, isFolder === true ? (isShared ? 0o2770 : 0o700) : isShared ? 0o660 : 0o600, name)
  }
})

t.test('R18: a file that is shorter than its last page says, by pages that nothing names, is in order', async (t) => {
  const directory = join(t.testdir({}), 'depot')
  const store = join(directory, 'store.mdb')
  const made = await openDepot(directory)
  const queue = await made.makeQueue('in')
  const add = (octets: number): Promise<unknown> => queue.add({ message: Buffer.alloc(octets, 'x') })
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => add((index * 397) % 20_000)))
  }
  t.equal(damageOf(store), null, 'full')
  await queue.add({ message: Buffer.from('stays') })
  for (let taken = await queue.receive({ max: 100 }); taken.length > 1; taken = await queue.receive({ max: 100 })) {
    await Promise.all(taken.slice(0, taken.length < 100 ? -1 : undefined).map((delivery) => delivery.ack()))
  }
  await made.close()
  const whole = readFileSync(store)
  const pages = whole.length / 4096
  let least = pages
  const isWhole = (count: number): boolean => {
    writeFileSync(store, whole.subarray(0, count * 4096))
    return damageOf(store) === null
  }
  while (isWhole(least - 1)) least--
  t.ok(least < pages, 'pages at the end are of no more use')
  t.ok(least > 4, 'others are')
  t.equal(await codeOf(openDepot(directory)), 'DEPOT_DAMAGED', 'a page of use is missing')
  t.ok(isWhole(least))
  const again = await openDepot(directory)
  const { entry } = await (await again.queue('in')).open((await (await again.queue('in')).peek())[0]?.id ?? '')
  t.ok(entry.octets > 0)
  t.equal((await checkDepot(again.core)).problems.length, 0)
  await (await again.queue('in')).add({ message: Buffer.alloc(50_000) })
  await again.close()
})

t.test('a depot opened again is as it was, and files that nothing names are swept after an hour', async (t) => {
  const { queue, depot, directory } = await stage(t, {}, { insideOctets: 4 })
  await queue.add(text('kept message'))
  await depot.close()
  const messages = join(directory, 'messages')
  const hourAgo = Date.now() / 1000 - 3601
  for (const [name, isOld] of [
    ['a'.repeat(32), true],
    [`${'b'.repeat(32)}.part`, true],
    ['c'.repeat(32), false],
  ] as const) {
    writeFileSync(join(messages, name), 'x')
    if (isOld) utimesSync(join(messages, name), hourAgo, hourAgo)
  }
  const [kept] = readdirSync(messages).filter((name) => !/^[abc]+/.test(name) || !/^(.)\1{31}/.test(name))
  if (kept !== undefined) utimesSync(join(messages, kept), hourAgo, hourAgo)
  const again = await openDepot(directory)
  t.teardown(() => again.close())
  await until('they are swept', () => files(again).length === 2)
  t.same(await taken(await again.queue('in')), ['kept message'])
})

t.test('a depot is checked, and its messages salvaged', async (t) => {
  const { queue, depot, directory, clock } = await stage(t, { order: 'key', maxDeliveries: 2 }, { insideOctets: 10 })
  for (let count = 0; count < 12; count++) {
    await queue.add(text(count % 2 === 0 ? `small ${count}` : `a large one ${count}`, { key: `k${count % 5}` }))
  }
  const some = await queue.receive({ max: 5, leaseSeconds: 5 })
  await some[0]?.nack()
  await some[1]?.bury('x')
  await some[2]?.ack()
  clock.nowMs += 6000
  await queue.receive({ leaseSeconds: 5 })
  clock.nowMs += 6000
  await queue.receive()
  t.same(await checkDepot(depot.core, { withContents: true }), { queues: 1, messages: 11, problems: [] })
  const target = join(directory, '..', 'saved')
  t.match(await salvage(directory, target), { messages: 11, loose: 0, problems: [] })
  t.equal(readFileSync(join(target, '1-1.eml'), 'utf8'), 'small 0')
  t.match(JSON.parse(readFileSync(join(target, '1-2.json'), 'utf8')), { queue: 'in', key: 'k1', entry: { octets: 13 } })

  const [file = ''] = files(depot)
  writeFileSync(join(directory, 'messages', file), 'a larGe one 0')
  const { tables } = depot.core.books
  await depot.core.environment.write((view) => view.remove(tables.line, inQueue(1, 9)))
  const { problems } = await checkDepot(depot.core, { withContents: true })
  t.equal(problems.length, 2, 'both kinds of harm are seen', { problems })
  t.match(problems.join(), /digest differs|octets, not/)
  t.match(problems.join(), /message 9: .*not in the table line/)
  await depot.close()
  truncateSync(join(directory, 'store.mdb'), 0)
  const loose = join(directory, '..', 'loose')
  t.match(await salvage(directory, loose), { messages: 0, problems: [/was cut off/] })
  t.equal(readFileSync(join(directory, 'store.mdb')).length, 0, 'the damaged store is left as it is')
  t.equal(
    readdirSync(loose).length,
    readdirSync(join(directory, 'messages')).length,
    'the large ones are saved without the store',
  )
})

t.test('R20: envelopes, keys and facts of any size', async (t) => {
  const { queue } = await stage(t, { order: 'key' })
  const recipients = Array.from({ length: 10_000 }, (_, index) => `user${index}@example.com`)
  const key = `\u0000${'ö'.repeat(3000)}`
  t.match(await queue.add(text('x', { key, idempotencyKey: key, envelope: { sender: null, recipients } })), {
    isNew: true,
  })
  t.match(await queue.add(text('x', { key, idempotencyKey: key })), { isNew: false })
  const [delivery] = await queue.receive()
  t.equal(delivery?.envelope?.recipients.length, 10_000)
  t.equal(delivery?.key, key)
})

t.test('pure parts', (t) => {
  t.test('keys sort as their numbers', (t) => {
    const number = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(number, number, fc.nat({ max: 2 ** 32 - 1 }), (a, b, queue) => {
        if (numberIn(numberKey(a)) !== a || numberIn(inQueue(queue, a), 4) !== a) return false
        return Math.sign(Buffer.compare(inQueue(queue, a, 7), inQueue(queue, b, 7))) === Math.sign(a - b)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 6 }), fc.uint8Array({ maxLength: 9 }), (prefix, key) => {
        const { from, before } = startingWith(Buffer.from(prefix))
        const isWithin = Buffer.compare(from, key) <= 0 && Buffer.compare(key, before) < 0
        return isWithin === Buffer.from(prefix).equals(Buffer.from(key.subarray(0, prefix.length)))
      }),
    )
    for (const wrong of ['', '0', '-1', '1.5', '1e3', ' 1', '9'.repeat(17), '9'.repeat(16)])
      t.equal(idNumber(wrong), null, wrong)
    t.equal(idNumber('9007199254740991'), Number.MAX_SAFE_INTEGER)
    t.end()
  })
  t.test('a delay grows up to its end', (t) => {
    t.same(
      [1, 2, 3, 9, 10, 1000].map((deliveries) => retryDelayMs(defaultSettings, deliveries) / 1000),
      [10, 20, 40, 2560, 3600, 3600],
    )
    t.equal(retryDelayMs({ ...defaultSettings, firstRetrySeconds: 0 }, 2000), 0)
    t.end()
  })
  t.test('R65: the clock follows no jump, and never goes back over a start of the machine', (t) => {
    const head = { format: 1, nextId: 1, nextQueue: 1, octets: 0, boot: null as string | null, offsetMs: 0, lastMs: 0 }
    setClock(head, 'boot 1', 1_000_000, 500)
    t.equal(head.offsetMs, 999_500)
    setClock(head, 'boot 1', 9_000_000, 600)
    t.equal(head.offsetMs, 999_500, 'the wall clock was set: nothing changes')
    head.lastMs = 2_000_000
    setClock(head, 'boot 2', 1_500_000, 10)
    t.equal(head.offsetMs, 1_999_990, 'a wall clock behind what was seen is not believed')
    t.ok(Math.abs(clockOf({ boot: null, offsetMs: 77 })() - Date.now()) < 1000)
    t.end()
  })
  t.end()
})
