/** The stores of filters, part by part: what crosses the line, what tells a delivery, staging, publishing, the thread. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import type { Verdict } from '../../courier-compat/reply.ts'
import { openDepot } from '../../queue-store/index.ts'
import type { TtlOperation } from '../../queue-store/ttl/index.ts'
import { checkHostSettings } from '../../host/config/settings.ts'
import { createIntake, type Run } from '../../host/intake.ts'
import { createEvents } from '../../host/observe/events.ts'
import { textLine } from '../../host/observe/line-format.ts'
import { openSpool } from '../../host/pair.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { noFaults } from '../../host/platform/faults.ts'
import { watchDeadlines } from '../../host/runner/deadlines.ts'
import { identityOf, openMessage } from '../../host/store/delivery.ts'
import { createDesk, type ServedMessage } from '../../host/store/desk.ts'
import { callStores, deadStores, portMaps, setupStores } from '../../host/store/filter-stores.ts'
import { groupNumber } from '../../queue-store/group-number.ts'
import { memoryStores } from '../../host/store/memory.ts'
import { createLinePort } from '../../host/store/port.ts'
import { readRequest } from '../../host/store/read-request.ts'
import { packOctets, packRequest, storeLimits, unpackOctets, type AddRequest } from '../../host/store/requests.ts'
import { openStores } from '../../host/store/service.ts'
import { createStaging, type Staging } from '../../host/store/staging.ts'
import type { StageEntry, Stores } from '../../host/store/stores.ts'
import { nodefilter } from '../helpers/command.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { makePlace } from '../helpers/host-process.ts'
import { makePair } from '../helpers/pair.ts'
import { until } from '../helpers/until.ts'

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'fine',
    (thrown: unknown) => (thrown as { code?: unknown }).code,
  )

function eventsTo(log: string[]) {
  return createEvents({
    ...{ write: (event) => log.push(textLine(event)), dropped: () => 0, reopen: () => undefined },
    close: () => Promise.resolve(),
  })
}

t.test('what tells a message from others, and what does not', async (t) => {
  const identity = (text: string, size = 1 << 20): Promise<string | null> => {
    const octets = Buffer.from(text)
    const pieces = Array.from({ length: Math.ceil(octets.length / size) }, (_, n) =>
      octets.subarray(n * size, (n + 1) * size),
    )
    return identityOf(
      // eslint-disable-next-line @typescript-eslint/require-await
      (async function* () {
        yield* pieces
      })(),
    )
  }
  const fields = 'Received: by a;\n  b\nFrom: x@example.com\nMessage-ID: <1@example.com>\nSubject: s\n  more\n'
  const message = `${fields}\nbody\nReceived: no field\n`
  const same = await identity(message)
  t.type(same, 'string')
  for (const size of [1, 2, 3, 7, 64, 127, 128, 129])
    t.equal(await identity(message, size), same, `in pieces of ${size}`)
  const alike: Readonly<Record<string, string>> = {
    'another trace': message.replace('by a;\n  b', 'by c;\n\td;\n  e'),
    'one trace more': `Received: x\nReturn-Path: <y>\n${message}`,
    'results of checks': `Authentication-Results: mx; spf=pass\nX-Spam-Score: 1\n${message}`,
  }
  for (const [name, text] of Object.entries(alike)) t.equal(await identity(text), same, name)
  const large = `${fields}\n${'x'.repeat(400_000)}`
  const others: Readonly<Record<string, string>> = {
    'another subject': message.replace(': s', ': t'),
    'a folded line': message.replace('  more', '  less'),
    'the body': message.replace('body', 'bode'),
    'what looks like a trace in the body': message.replace('no field', 'one'),
    'no body': fields,
  }
  for (const [name, text] of Object.entries(others)) t.not(await identity(text), same, name)
  t.not(
    await identity(large),
    await identity(`${large.slice(0, 200_000)}y${large.slice(200_001)}`),
    'the middle counts',
  )
  t.equal(await identity('Subject: s\n\nbody\n'), null, 'neither Message-ID nor Date: nothing tells')
  t.type(await identity('DATE: x\n\nbody\n'), 'string')
  t.equal(await identity(''), null)

  const dir = t.testdir({ message, folder: {}, link: t.fixture('symlink', 'message') })
  for (const [wholeOctets, type] of [
    [message.length, Buffer],
    [message.length - 1, Readable],
  ] as const) {
    const opened = openMessage(join(dir, 'message'), wholeOctets)
    t.type(opened, type)
    t.equal(await identityOf(opened as AsyncIterable<Uint8Array>), same)
  }
  t.throws(() => openMessage(join(dir, 'link'), 1), { code: 'ELOOP' }, 'no link is followed')
  t.throws(() => openMessage(join(dir, 'folder'), 1), { message: /is not a regular file/ })
})

t.test('groups', (t) => {
  const file = join(t.testdir({ group: 'root:x:0:\nmail:x:8:a,b\nodd\n' }), 'group')
  t.equal(groupNumber('mail', file), 8)
  t.equal(groupNumber('1234', file), 1234)
  t.equal(groupNumber('none', file), null)
  t.equal(groupNumber('odd', file), null)
  const warned = (store: object): string[] =>
    checkHostSettings({ store: { ...store } }).warnings.map(({ text }) => text)
  t.match(warned({ group: 'mail' }), [/nobody but the host can enter/], 'who shares must be able to get there')
  t.strictSame(warned({ group: 'mail', directory: '/var/spool/depot' }), [])
  t.match(warned({ mode: '0660' }), [/nobody but the host can enter/])
  const problems = (store: object): string[] =>
    checkHostSettings({ store: { ...store } }).problems.map(({ text }) => text)
  t.match(problems({ mode: '0600', group: 'mail' }), [/does not let the group "mail" in/])
  t.match(problems({ mode: '0644' }), [/0644/])
  t.end()
})

t.test('requests cross the line unchanged, or not at all', (t) => {
  const octets = new Uint8Array([0, 255, 10, 34])
  const operations: TtlOperation[] = [
    { op: 'get', map: 'm', key: 'k' },
    { op: 'has', map: 'm', key: octets },
    { op: 'delete', map: 'm', key: '\ud800' },
    { op: 'set', map: 'm', key: 'k', value: octets, ttlMs: 5 },
    { op: 'set', map: 'm', key: 'k', value: null },
    { op: 'firstSeen', map: 'm', key: 'k', value: 'text' },
    { op: 'increment', map: 'm', key: 'k', by: -1 },
    { op: 'rate', map: 'm', key: 'k', rate: { windowMs: 1, steps: 1, by: 2, once: 'x' } },
    { op: 'pace', map: 'm', key: 'k', pace: { windowMs: 1, leastGapMs: null, atMost: 3, throttleMs: 0 } },
    { op: 'update', map: 'm', key: 'k', update: { absent: { value: octets }, aged: { ms: 1, change: { add: 1 } } } },
    { op: 'admit', map: 'm', key: 'k', known: 'n', waitMs: 1 },
  ]
  const over = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
  const request = {
    op: 'ttl',
    maps: [
      ['m', null],
      ['n', 5],
    ],
    operations,
  } as const
  const read = readRequest(over(packRequest(request)))
  t.strictSame(typeof read === 'string' ? read : read.request, request)
  t.strictSame(unpackOctets(over(packOctets([{ value: octets, deep: [octets] }, null, 'x']))), [
    { value: octets, deep: [octets] },
    null,
    'x',
  ])
  const add: AddRequest = {
    ...{ op: 'add', key: 'k', filter: 0, isDry: false, queue: 'q', orderKey: null, idempotencyKey: undefined },
    facts: { $octets: 'their own', n: [1, { a: null }] },
    ...{ message: octets, envelope: { sender: null, recipients: ['a@example.org'] }, make: { order: 'key' } },
  }
  for (const one of [add, { ...add, idempotencyKey: null, message: null, make: null }, { ...add, envelope: null }]) {
    const taken = readRequest(over(packRequest(one)))
    t.strictSame(typeof taken === 'string' ? taken : taken.request, one)
  }
  const wrong: readonly unknown[] = [
    ...[{ ...request, operations: [{ op: 'set', map: 'm', key: 'k', value: {} }] }],
    ...[{ ...request, operations: [{ op: 'increment', map: 'm', key: 'k', by: '1' }] }],
    ...[{ ...request, operations: [{ op: 'get', map: 'm', key: 'x'.repeat(70_000) }] }],
    ...[{ ...request, operations: [{ op: 'constructor', map: 'm', key: 'k' }] }],
    ...[{ ...request, operations: [{ op: 'rate', map: 'm', key: 'k', rate: null }] }],
    ...[{ ...request, operations: [{ op: 'update', map: 'm', key: 'k', update: { absent: 'remove' } }] }],
    ...[
      { ...request, operations: Array(1001).fill(operations[0]) },
      { ...request, maps: [['m', 'long']] },
    ],
    { ...(packRequest(add) as object), message: { $octets: 'A'.repeat(1_500_000) } },
    { ...(packRequest(add) as object), facts: { long: 'x'.repeat(70_000) } },
    { ...(packRequest(add) as object), envelope: { sender: 5, recipients: [] } },
    { ...(packRequest(add) as object), envelope: { sender: null, recipients: Array(100_001).fill('a') } },
  ]
  for (const [n, one] of wrong.entries()) t.type(readRequest(over(one)), 'string', `the wrong one ${n}`)
  t.end()
})

/** The stores of filters as a thread has them, over a line, on these stores. */
function lineTo(stores: Stores, messages: ReadonlyMap<string, ServedMessage> = new Map()) {
  const desk = createDesk(stores, noFaults)
  const over = (value: object): Record<string, unknown> => JSON.parse(JSON.stringify(value)) as Record<string, unknown>
  const origin = {
    ...{ line: {}, messageOf: (key: string) => messages.get(key) ?? null },
    aliasOf: (filter: number) => (filter === 0 ? 'first' : filter === 1 ? 'second' : null),
  }
  const port = createLinePort((frame) =>
    desk.receive(over(frame), { ...origin, answer: (answer) => port.receive(over(answer) as never) }),
  )
  return { port, maps: portMaps(port) }
}

t.test('TTL maps over the line', async (t) => {
  const { port, maps } = lineTo(memoryStores())
  const map = maps.ttl('m', { ttlMs: 60_000 })
  const octets = new Uint8Array([0, 255])
  t.equal(await map.set(octets, octets), null)
  t.strictSame((await map.get(octets))?.value, octets)
  t.strictSame([await map.has('k'), await map.delete('k')], [false, false])
  t.strictSame([await map.increment('n'), await map.increment('n', 4)], [1, 5])
  t.strictSame([(await map.firstSeen('f')).isNew, (await map.firstSeen('f')).isNew], [true, false])
  t.equal(await map.rate('r', { windowMs: 60_000, by: 3 }), 3)
  t.match(await map.pace('p', { windowMs: 1000, leastGapMs: null, atMost: 1, throttleMs: 0 }), { isThrottled: false })
  t.match(await map.update('u', { absent: { value: 'x' } }), { before: null, after: { value: 'x' } })
  t.match(await map.admit('a', maps.ttl('known'), 50), { state: 'new' })
  const both = await maps.apply([
    { op: 'set', map: 'm', key: 'both', value: 1 },
    { op: 'has', map: 'm', key: 'both' },
  ])
  t.strictSame(both, [null, true])
  for (const [name, call, code] of [
    ['a value that is no number', () => map.set('k', NaN), 'TTL_ARGUMENT'],
    ['an addition to a text', () => map.update('u', { present: { add: 1 } }), 'TTL_KIND'],
    ['a window longer than the map', () => map.rate('r', { windowMs: 60_001 }), 'TTL_ARGUMENT'],
    ['a map that was not opened', () => maps.apply([{ op: 'get', map: 'x', key: 'k' }]), 'TTL_MAP_UNKNOWN'],
    ['a map without a name', () => maps.ttl('').get('k'), 'TTL_ARGUMENT'],
    ['a long value', () => map.set('k', 'x'.repeat(2000)), 'TTL_ARGUMENT'],
  ] as const) {
    t.equal(await codeOf(call()), code, name)
  }
  t.throws(() => maps.ttl('m', { ttlMs: 1.5 }), { code: 'TTL_ARGUMENT' })
  t.equal((await map.get('n'))?.expiresMs, ((await maps.ttl('m').get('n'))?.writtenMs ?? 0) + 60_000, 'a time stays')
  maps.ttl('m', { ttlMs: 5000 })
  await map.set('short')
  const short = await map.get('short')
  t.equal((short?.expiresMs ?? 0) - (short?.writtenMs ?? 0), 5000, 'the last one who says it decides')

  const setup = setupStores(port, maps)
  await setup.makeQueue('q')
  t.strictSame(await setup.queues(), ['q'])
  t.equal(await codeOf(setup.makeQueue('\n')), 'QUEUE_NAME')

  let opened = 0
  const silent = lineTo({
    ...memoryStores(),
    ttl: () => {
      opened++
      return new Promise(() => undefined)
    },
  })
  const busy = silent.maps.ttl('m')
  const many = Array.from({ length: storeLimits.open + 5 }, () => codeOf(busy.get('k')))
  t.strictSame(await Promise.all(many.slice(-5)), Array(5).fill('STORE_BUSY'), 'a thread has so many open')
  t.equal(opened, storeLimits.open)
  t.equal(await codeOf(deadStores(0, false).stores.ttl('m').get('k')), 'STORE_LOST')
})

/** Stores that note what is done with what is staged. */
function notedStores(changes: Partial<Stores> = {}) {
  const staged: StageEntry[] = []
  const dropped: number[] = []
  const stores: Stores = {
    ...memoryStores(),
    stage: (entry) => Promise.resolve({ handle: staged.push(entry), octets: 5 }),
    drop: (handles) => void dropped.push(...handles),
    identify: () => Promise.resolve('content'),
    ...changes,
  }
  return { staged, dropped, stores }
}

const request = (more: Partial<AddRequest> = {}): AddRequest => ({
  ...{ op: 'add', key: 'k', filter: 0, isDry: false, queue: 'q', message: null, envelope: null, facts: {} },
  ...{ orderKey: null, idempotencyKey: undefined, make: null },
  ...more,
})

function stagingOn(stores: Stores, sender = 'a@example.net'): Staging {
  const message = {
    bodyPath: '/body',
    originalPath: '/original',
    sender,
    recipients: ['b@example.org', 'a@example.org'],
  }
  return createStaging(message, stores, noFaults)
}

t.test('staging', async (t) => {
  const { staged, dropped, stores } = notedStores()
  const keys = async (run: (staging: Staging) => Promise<unknown>, sender?: string): Promise<(string | null)[]> => {
    const before = staged.length
    await run(stagingOn(stores, sender))
    return staged.slice(before).map(({ idempotencyKey }) => idempotencyKey)
  }
  const twice = (staging: Staging): Promise<unknown> =>
    Promise.all([staging.add(request(), 'x'), staging.add(request(), 'x'), staging.add(request({ queue: 'r' }), 'x')])
  const first = await keys(twice)
  t.equal(new Set(first).size, 3, 'by queue and place')
  t.strictSame(await keys(twice), first, 'the same delivery has the same keys')
  t.notSame(await keys(twice, 'other@example.net'), first, 'another envelope has others')
  t.notSame(await keys((staging) => staging.add(request(), 'y')), first.slice(0, 1), 'as has another filter')
  t.strictSame(
    await keys((staging) =>
      Promise.all([null, 'own'].map((idempotencyKey) => staging.add(request({ idempotencyKey }), 'x'))),
    ),
    [null, 'own'],
    'what a filter says holds',
  )
  const paths: string[] = []
  const untold = notedStores({
    identify: (path) => {
      paths.push(path)
      return path === '/original'
        ? Promise.reject(Object.assign(new Error(path), { code: 'ENOENT' }))
        : Promise.resolve(null)
    },
  })
  const one = stagingOn(untold.stores)
  await one.add(request(), 'x')
  await one.add(request({ message: Buffer.from('own') }), 'x')
  t.strictSame(paths, ['/original', '/body'], 'the original tells, or the message itself; asked once')
  t.strictSame(
    untold.staged.map(({ idempotencyKey, message }) => [idempotencyKey, String(message)]),
    [
      [null, '/body'],
      [null, 'own'],
    ],
  )

  const staging = stagingOn(stores)
  const from = staged.length
  for (const [filter, alias] of ['x', 'y', 'x'].map((alias) => [alias === 'x' ? 0 : 1, alias] as const)) {
    await staging.add(request({ filter }), alias)
  }
  staging.forget(0)
  t.strictSame(dropped, [from + 1, from + 3], 'one filter is forgotten')
  t.strictSame(staging.list(), [{ filter: 'y', queue: 'q', octets: 5 }])
  t.match(await staging.publish(), [{ filter: 'y', queue: 'q', isNew: true }])
  t.equal(await codeOf(staging.add(request(), 'x')), 'STORE_LOST', 'nothing after the end')

  const slow = Promise.withResolvers<null>()
  const late = notedStores({ stage: () => slow.promise.then(() => ({ handle: 7, octets: 1 })) })
  const over = stagingOn(late.stores)
  const added = codeOf(over.add(request(), 'x'))
  over.drop()
  slow.resolve(null)
  t.equal(await added, 'STORE_LOST')
  t.strictSame(late.dropped, [7], 'what is staged too late is dropped')

  const failing = stagingOn({ ...stores, stage: () => Promise.reject(new Error('full')) })
  t.equal(await codeOf(failing.add(request(), 'x')), undefined)
  t.strictSame(await failing.publish(), [], 'what failed before the end is the filter’s own affair')
  const open = stagingOn({ ...stores, stage: () => Promise.reject(new Error('full')) })
  const pending = codeOf(open.add(request(), 'x'))
  t.equal(await codeOf(open.publish()), 'STORE_LOST', 'what failed under way is not accepted')
  await pending
  const crowd = stagingOn(stores)
  for (let n = 0; n < storeLimits.additions; n++) await crowd.add(request(), 'x')
  t.equal(await codeOf(crowd.add(request(), 'x')), 'STORE_ARGUMENT', 'a message is added so many times')
})

t.test('what a filter adds', async (t) => {
  const { staged, stores } = notedStores()
  const pair = makePair(t.testdir(), { sender: 's@example.net', recipients: ['a@example.org', 'b@example.org'] })
  const served: ServedMessage = {
    pair: { ...pair, facts: { sender: null, recipients: [] } } as unknown as ServedMessage['pair'],
    staging: null,
  }
  const { port, maps } = lineTo(stores, new Map([['k', served]]))
  const call = (more: { key?: string; filter?: number; isDry?: boolean } = {}) =>
    callStores(port, maps, { ...{ key: 'k', pair, filter: 0, isDry: false }, ...more })
  const one = call()
  const queue = one.stores.queue('q')
  t.equal(queue.name, 'q')
  await queue.add()
  t.match(staged[0], {
    ...{ queue: 'q', message: pair.bodyPath, facts: {}, key: null },
    envelope: { sender: 's@example.net', recipients: ['a@example.org', 'b@example.org'] },
  })
  appendFileSync(pair.controlPaths[0] ?? '', 'rc@example.org\nR\nN\n')
  await queue.add({ message: 'text', facts: { a: [1] }, key: 'o', idempotencyKey: 'i', make: { order: 'key' } })
  t.strictSame(staged[1]?.envelope?.recipients.length, 3, 'the envelope is that of this moment')
  t.match(staged[1], { facts: { a: [1] }, key: 'o', idempotencyKey: 'i', make: { order: 'key' } })
  t.equal(String(Buffer.from(staged[1]?.message as Uint8Array)), 'text')
  await queue.add({ envelope: null })
  t.equal(staged[2]?.envelope, null)
  t.equal(await codeOf(queue.add({ message: 'x'.repeat(storeLimits.messageOctets + 1) })), 'STORE_ARGUMENT')
  t.equal(await codeOf(queue.add({ message: 5 as never })), 'STORE_ARGUMENT')
  t.equal(one.open(), null)

  void queue.add()
  t.type(one.open(), Promise)
  await one.open()
  t.equal(staged.length, 4, 'what is open can be waited for')
  one.end()
  t.equal(await codeOf(queue.add()), 'STORE_LOST', 'a filter that has answered adds nothing')
  t.equal(await codeOf(call({ key: 'other' }).stores.queue('q').add()), 'STORE_REFUSED')
  t.equal(await codeOf(call({ filter: 9 }).stores.queue('q').add()), 'STORE_REFUSED')

  await call({ filter: 1 }).stores.queue('q').add()
  one.forget()
  await until('the drop', () => served.staging?.list().length === 1)
  t.match(served.staging?.list(), [{ filter: 'second' }], 'what one filter added is forgotten')

  const dry = call({ isDry: true })
  await dry.stores.queue('q').add()
  t.equal(await codeOf(dry.stores.queue('\n').add()), 'QUEUE_NAME', 'a filter on trial hears of its mistakes')
  t.strictSame([dry.wouldAdd, staged.length], [['q'], 5])
})

t.test('publishing: many at once, before the answer, by the deadline', async (t) => {
  const spool = openSpool(t.testdir(), systemPlatform.files)
  const log: string[] = []
  const clock = makeClock(performance.now())
  const policies = { onFailure: 'pass', onFailureLocal: 'pass', onFailureDsn: 'pass', whenBroken: 'pass' } as const
  const publishes: PromiseWithResolvers<readonly never[]>[] = []
  const dropped: string[] = []
  let verdict: Verdict = { kind: 'pass' }
  const intake = createIntake(
    () => ({ spool, deadlineMs: 5000, ...policies }),
    (id, _pair, _deadlineMs, settle) => {
      const staging: Staging = {
        ...{ add: () => Promise.resolve(), forget: () => undefined, list: () => [] },
        drop: () => void dropped.push(id),
        publish: () => {
          const publish = Promise.withResolvers<readonly never[]>()
          publishes.push(publish)
          return publish.promise
        },
      }
      const trail: NonNullable<Run['outcome']>['trail'] = []
      const outcome = { verdict, by: null, failure: null, trail, notes: [], undone: false, version: null }
      settle({ outcome, failure: null, attempts: 1, staging })
    },
    { ...systemPlatform, clock },
    eventsTo(log),
  )
  const heard: string[] = []
  const take = (name: string): void =>
    intake.take({ door: 'test', pair: makePair(spool.path) }, (answer) => {
      heard.push(`${name} ${answer.kind}`)
      return 'sent'
    })
  take('a')
  take('b')
  take('c')
  t.strictSame(
    [publishes.length, heard, intake.inHand()],
    [3, [], 3],
    'none waits for another, and none is answered yet',
  )
  publishes[1]?.resolve([])
  await until('an answer', () => heard.length > 0)
  t.strictSame(heard.splice(0), ['b pass'])
  publishes[0]?.reject(Object.assign(new Error('the disk is full'), { code: 'DEPOT_FULL' }))
  await until('an answer', () => heard.length > 0)
  t.strictSame(heard.splice(0), ['a defer'], 'never accepted, whatever on_failure says')
  t.match(log.at(-1), /errorCode=store errorCause=.*the disk is full/)
  await clock.advance(5001)
  t.strictSame(heard.splice(0), ['c defer'], 'a store that does not answer is not waited for any longer')
  publishes[2]?.resolve([])
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame([heard, intake.inHand()], [[], 0], 'and answered once')

  const reply = { code: 550, status: null, lines: ['no'] } as unknown as Extract<Verdict, { kind: 'reject' }>['reply']
  verdict = { kind: 'reject', reply }
  take('d')
  t.strictSame([heard.splice(0), publishes.length, dropped.length], [['d reject'], 3, 1], 'a refusal drops')

  verdict = { kind: 'pass' }
  take('e')
  intake.stop()
  t.strictSame(heard, [], 'at a stop those that only wait for the store go on waiting')
  const published = intake.published(1000)
  publishes[3]?.resolve([])
  await published
  t.strictSame(heard, ['e pass'])
  await intake.published(1000)
})

const plan = (t: Test) => ({
  directory: join(t.testdir(), 'depot'),
  maxOctets: null,
  insideOctets: 1000,
  group: null,
  mode: 'auto' as const,
})
const stageEntry = (message: string | Uint8Array, more: Partial<StageEntry> = {}): StageEntry => ({
  ...{ queue: 'q', message, envelope: null, facts: {}, key: null, idempotencyKey: null, make: {} },
  ...more,
})

t.test('the thread of the stores', async (t) => {
  const log: string[] = []
  const own = plan(t)
  const stores = openStores(own, systemPlatform.clock, eventsTo(log))
  t.match(stores.status(), { state: 'unused', problem: null })
  stores.drop([1])
  t.strictSame(log, [], 'nothing is opened before it is used')
  t.equal(await codeOf(stores.demandQueue('q')), 'QUEUE_UNKNOWN')
  t.equal(await codeOf(stores.stage(stageEntry('/none', { make: null }))), 'ENOENT')
  const file = join(t.testdirName, 'message')
  writeFileSync(file, `Message-ID: <a@example.com>\n\n${'x'.repeat(5000)}\n`)
  t.type(await stores.identify(file), 'string')
  const handles = await Promise.all(
    [stageEntry(file), stageEntry(Buffer.from('small')), stageEntry(Buffer.from('dropped'))].map((entry) =>
      stores.stage(entry).then(({ handle }) => handle),
    ),
  )
  stores.drop(handles.splice(2))
  t.match(await stores.publish(handles), [{ isNew: true }, { isNew: true }])
  t.equal(await codeOf(stores.publish(handles)), 'STORE_LOST', 'published once')
  t.strictSame(await stores.ttl([['m', null]], [{ op: 'increment', map: 'm', key: 'k', by: 2 }]), [2])
  await stores.makeQueue('r', { order: 'strict' })
  t.strictSame(await stores.queues(), ['q', 'r'])
  t.match(stores.status(), { state: 'open', counts: { staged: 3, published: 2, dropped: 1, failures: 3 } })
  t.match(log, [/store-opened/])
  await stores.close(5000)
  t.equal(await codeOf(stores.queues()), 'STORE_LOST', 'closed')
  const depot = await openDepot(own.directory)
  t.strictSame((await (await depot.queue('q')).peek({ max: 9 })).map(({ octets }) => octets).length, 2)
  await depot.close()

  const again = openStores(own, systemPlatform.clock, eventsTo(log))
  t.match(await again.ttl([['m', null]], [{ op: 'get', map: 'm', key: 'k' }]), [{ value: 2 }], 'it is all still there')
  await again.close(5000)
})

t.test('a thread of the stores that dies, and a store that cannot be opened', async (t) => {
  const log: string[] = []
  const clock = makeClock()
  let started = 0
  const stores = openStores(plan(t), clock, eventsTo(log), () => {
    started++
    const dies = "require('node:worker_threads').parentPort.once('message', () => process.exit(7))"
    return new Worker(dies, { eval: true })
  })
  const lost = await Promise.all([codeOf(stores.queues()), codeOf(stores.ttl([], []))])
  t.strictSame(lost, ['STORE_LOST', 'STORE_LOST'], 'what was asked has failed')
  t.match(stores.status(), { state: 'failed', problem: /its thread ended: with code 7/ })
  t.match(log, [/store-failed .*with code 7/])
  t.equal(await codeOf(stores.queues()), 'STORE_LOST')
  t.equal(started, 1, 'it is not started again at once')
  clock.pass(1001)
  t.equal(await codeOf(stores.queues()), 'STORE_LOST')
  t.strictSame([started, log.length], [2, 1], 'but a moment later; the same trouble is told once a minute')
  await stores.close(100)

  const none = openStores({ ...plan(t), group: 'no-such-group' }, systemPlatform.clock, eventsTo(log))
  await t.rejects(none.queues(), { message: /there is no group "no-such-group"/ })
  t.match(log.at(-1), /store-failed .*no-such-group/)
  await none.close(1000)
})

t.test('deadlines: one that throws does not keep the others', async (t) => {
  const clock = makeClock()
  const seen: string[] = []
  const deadlines = watchDeadlines<{ name: string; deadlineMs: number }>(
    clock,
    0,
    ({ name }) => {
      seen.push(name)
      if (name === 'a') throw new Error('of a')
    },
    (thrown) => seen.push(String(thrown)),
  )
  for (const name of ['a', 'b', 'c']) deadlines.add({ name, deadlineMs: 1100 })
  await clock.advance(200)
  t.strictSame(seen, ['a', 'Error: of a', 'b', 'c'])
})

t.test('nodefilter check: stores work, and nothing is kept', async (t) => {
  const place = makePlace(t, 'adds', 'adds as trial with dry_run=yes')
  place.filter(
    'adds.mjs',
    `export const initFilter = ({ stores }) => stores.makeQueue('mail')
export async function doFilter(bodyPath, controlPaths, context) {
  context.notes.set(context.id, String(await context.ttl('n').increment('k')))
  await context.queue('mail').add()
  return ''
}`,
  )
  const { bodyPath } = place.pair({ content: 'Subject: x\n\ntext\n' })
  const set = ['--set', `chain.filter_path=${place.filters}`]
  const table = await nodefilter(['check', '-c', place.config, ...set, bodyPath])
  t.equal(table.code, 0, table.err)
  t.match(table.out, /: adds would add 17 octets to the queue "mail"\n/)
  t.match(table.out, /: trial, on trial, would have answered: nothing, and added to "mail"\n/)
  const { out } = await nodefilter(['check', '-c', place.config, ...set, '--json', bodyPath, bodyPath])
  const reports = out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(reports[1], { additions: [{ filter: 'adds', queue: 'mail', octets: 17 }], failure: null })
  t.strictSame(
    Object.values(reports[1]?.['notes'] as object),
    ['4'],
    'what is remembered is there for the next message',
  )
})
