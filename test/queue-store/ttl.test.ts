/** TTL maps on a store in memory: what each operation says, against tables and against simple models. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  memoryPort,
  openTtlMaps,
  sweepDefaults,
  ttlLimits,
  type TtlListed,
  type TtlMap,
  type TtlOperation,
  type TtlPair,
  type TtlSwept,
} from '../../queue-store/ttl/index.ts'
import { watchSteadiness } from '../../queue-store/ttl/sweeper.ts'
import { makeClock, type FakeClock } from '../helpers/fake-clock.ts'
import { faultsOf } from '../helpers/ttl-faults.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Maps on a fresh store with a wall clock that a test sets. */
function stage(startMs = 1_700_000_000_000) {
  const wall = { ms: startMs }
  const port = memoryPort()
  const maps = openTtlMaps(port, { clock: { ...makeClock(), wallMs: () => wall.ms }, sweep: null })
  return { wall, port, maps, startMs }
}

/** A sweep that ended, and did so much. */
const swept = (counts: Partial<TtlSwept>): TtlSwept => ({
  removed: 0,
  moved: 0,
  unreadable: 0,
  hasMore: false,
  ...counts,
})

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  )

async function all(map: TtlMap): Promise<TtlListed[]> {
  const entries: TtlListed[] = []
  for await (const entry of map.export()) entries.push(entry)
  return entries
}

void t.test('a key is there until its last millisecond, and not after it, swept or not', async (t) => {
  const rows: [string, (map: TtlMap) => Promise<unknown>, number, boolean][] = [
    ['the time of the map, inclusive', (map) => map.set('k'), hour, true],
    ['a millisecond more', (map) => map.set('k'), hour + 1, false],
    ['a shorter time of its own, inclusive', (map) => map.set('k', null, { ttlMs: minute }), minute, true],
    ['a millisecond after its own time', (map) => map.set('k', null, { ttlMs: minute }), minute + 1, false],
    ['first seen', (map) => map.firstSeen('k', 7), hour + 1, false],
    ['a number', (map) => map.increment('k'), hour + 1, false],
    ['a rate, for its window', (map) => map.rate('k', { windowMs: minute }), minute + 1, false],
    [
      'a pace, for the longer of window and throttle',
      (map) => map.pace('k', { windowMs: 1, leastGapMs: null, atMost: 1, throttleMs: minute }),
      minute,
      true,
    ],
  ]
  for (const [name, write, laterMs, isThere] of rows) {
    const { wall, maps, port } = stage()
    const map = maps.ttlMap('m', { ttlMs: hour })
    await write(map)
    wall.ms += laterMs
    t.equal(await map.has('k'), isThere, name)
    t.equal((await map.get('k')) !== null, isThere, `${name}: get`)
    t.equal((await map.entries()).entries.length, isThere ? 1 : 0, `${name}: entries`)
    t.equal((await map.stats()).entries, 1, `${name}: it waits for the sweep`)
    t.equal((await maps.sweep()).removed, isThere ? 0 : 1, `${name}: sweep`)
    t.same(faultsOf(port.pairs()), [], `${name}: the store is whole`)
  }
})

void t.test('what the operations say', async (t) => {
  const { wall, maps, port, startMs } = stage()
  const map = maps.ttlMap('m', { ttlMs: hour })
  const before = { sinceMs: startMs, writtenMs: startMs, expiresMs: startMs + hour }

  t.same(await map.firstSeen('id', 'x'), { value: 'x', ...before, isNew: true })
  wall.ms += minute
  t.same(await map.firstSeen('id', 'y'), { value: 'x', ...before, isNew: false }, 'a second look changes nothing')
  t.same(await map.set('id', 'z'), { value: 'x', ...before }, 'set says what was there')
  const now = { writtenMs: wall.ms, expiresMs: wall.ms + hour }
  t.same(await map.get('id'), { value: 'z', sinceMs: startMs, ...now }, 'and keeps since when it is known')
  t.equal(await map.set('other'), null)
  t.equal(await map.delete('other'), true)
  t.equal(await map.delete('other'), false)

  t.same([await map.increment('n'), await map.increment('n', 41), await map.increment('n', -2)], [1, 42, 40])
  const octets = Uint8Array.of(0, 255)
  await map.set(octets, octets)
  t.same((await map.get(octets))?.value, octets)

  const touch = { present: 'refresh' } as const
  t.same(await map.update('absent', touch), { before: null, after: null })
  wall.ms += minute
  t.equal((await map.update('id', touch)).after?.writtenMs, wall.ms, 'refreshed')
  t.equal((await map.get('id'))?.value, 'z', 'with its value')
  const patient = { absent: { value: 'first' }, aged: { ms: minute, change: 'delete' } } as const
  t.equal((await map.update('p', patient)).after?.value, 'first')
  wall.ms += minute - 1
  t.equal((await map.update('p', patient)).after?.value, 'first', 'not aged yet')
  wall.ms += 1
  t.same((await map.update('p', patient)).after, null, 'aged')
  t.equal((await map.update('a', { absent: { add: 2 }, present: { add: 1 } })).after?.value, 2)
  t.equal((await map.update('a', { absent: { add: 2 }, present: { add: 1 } })).after?.value, 3)

  const results = await maps.apply([
    { op: 'set', map: 'm', key: 'b1', value: 1 },
    { op: 'has', map: 'm', key: 'b1' },
    { op: 'increment', map: 'm', key: 'b1', by: 1 },
  ])
  t.same(results, [null, true, 2], 'a list is one transaction that reads what it wrote')
  const spoilt: TtlOperation[] = [
    { op: 'set', map: 'm', key: 'b2', value: 1 },
    { op: 'increment', map: 'm', key: 'id', by: 1 },
  ]
  t.equal(await codeOf(maps.apply(spoilt)), 'TTL_KIND')
  t.equal(await map.has('b2'), false, 'nothing of a list that failed stays')
  t.same(faultsOf(port.pairs()), [])
})

void t.test('greylisting, of a key and of a list', async (t) => {
  const { wall, maps, port } = stage()
  const waiting = maps.ttlMap('greylist_NotPassed', { ttlMs: day })
  const known = maps.ttlMap('greylist_Passed', { ttlMs: 36 * day })
  const steps: [string, number, string, number][] = [
    ['a first contact waits', 0, 'new', 300 * second],
    ['who comes back too soon waits on, from the first contact', 100 * second, 'waiting', 200 * second],
    ['a millisecond too soon', 200 * second - 1, 'waiting', 1],
    ['in time', 1, 'passed', 0],
    ['again, a month later', 36 * day, 'known', 0],
    ['each visit prolongs', 36 * day, 'known', 0],
    ['too long away begins anew', 36 * day + 1, 'new', 300 * second],
    ['who waits longer than a day begins anew', day + 1, 'new', 300 * second],
  ]
  for (const [name, passMs, state, leftMs] of steps) {
    wall.ms += passMs
    t.same(await waiting.admit('triplet', known, 300 * second), { state, leftMs }, name)
  }
  const keys = Array.from({ length: 300 }, (_, at) => `recipient ${at}`)
  const list = keys.map((key) => ({ op: 'admit', map: waiting.name, key, known: known.name, waitMs: 1 }) as const)
  t.ok((await maps.apply(list)).every(({ state }) => state === 'new'))
  wall.ms += 1
  t.ok((await maps.apply(list)).every(({ state }) => state === 'passed'))
  t.same(faultsOf(port.pairs()), [])
})

void t.test('rates: calendar minutes as courier-pythonfilter counts them, and windows', async (t) => {
  const startMs = 1_700_000_040_000 - (1_700_000_040_000 % minute)
  const { wall, maps, port } = stage(startMs)
  const map = maps.ttlMap('senders', { ttlMs: day })
  const count = (key: string, steps: number): Promise<number> => map.rate(key, { windowMs: steps * minute, steps })

  t.same([await count('one', 1), await count('one', 1), await count('one', 1)], [1, 2, 3])
  wall.ms = startMs + minute
  t.equal(await count('one', 1), 1, 'a new calendar minute')
  wall.ms = startMs + 59 * second
  t.same([await count('two', 2), await count('two', 2)], [1, 2])
  wall.ms = startMs + minute
  t.equal(await count('two', 2), 3, 'the minute before counts')
  wall.ms = startMs + 2 * minute
  t.equal(await count('two', 2), 2, 'the one before that does not')
  t.equal(await map.rate('octets', { windowMs: hour, by: 5_000_000_000 }), 5_000_000_000)
  t.equal(await map.rate('octets', { windowMs: hour, by: 1 }), 5_000_000_001)
  t.equal(await map.rate('octets', { windowMs: hour, by: 1, steps: 30 }), 1, 'another kind of window starts anew')

  const once = { windowMs: hour, once: 'message-1' }
  t.same([await map.rate('o', once), await map.rate('o', once)], [1, 1], 'a message that runs again counts once')
  t.equal(await map.rate('o', { ...once, once: 'message-2' }), 2)

  wall.ms -= minute
  t.equal(await map.rate('o', { windowMs: hour, by: 1 }), 3, 'a clock that went back a minute opens no limit')
  wall.ms -= 300 * day
  t.equal(await map.rate('o', { windowMs: hour, by: 1 }), 4, 'nor one that went back by months')
  wall.ms += hour + minute
  t.equal(await map.rate('o', { windowMs: hour, by: 1 }), 1, 'which shuts it for no longer than a window')
  for (let at = 0; at < 500; at++) {
    wall.ms += minute
    await map.rate('long', { windowMs: 120 * minute, steps: 120, once: `${at}` })
  }
  t.equal(await map.rate('long', { windowMs: 120 * minute, steps: 120 }), 121, 'the longest window of minutes')
  t.same(faultsOf(port.pairs()), [])
})

void t.test('paces: the worked examples of loop detection', async (t) => {
  /** The rule for a frequency in messages a minute, with a throttle of so many seconds. */
  const rule = (perMinute: number, throttleS: number) => ({
    windowMs: (4 / perMinute) * minute,
    leastGapMs: minute / perMinute,
    atMost: 4,
    throttleMs: throttleS * second,
  })
  const rows: [string, number, number, number[], number[]][] = [
    ['every four minutes at a quarter a minute', 0.25, 300, [0, 240, 480, 720, 960, 1200, 1440], []],
    ['a second less', 0.25, 300, [0, 239], [239]],
    ['two in the same second', 60, 300, [0, 0.001], [0.001]],
    ['one a second at one a second', 60, 300, [0, 1, 2], []],
    ['one a minute less a second', 1, 300, [0, 59, 118], [59, 118]],
    ['one a minute', 1, 300, [0, 60, 120, 180, 240, 300], []],
    ['the average, once the burst is over', 1, 1, [0, 1, 2, 3, 4, 5, 100], [1, 2, 3, 4, 5, 100]],
    ['too few for the average', 1, 1, [0, 1, 2, 70], [1, 2]],
    ['the throttle holds though the pace is slow again', 1, 300, [0, 5, 70], [5, 70]],
    ['its last second is in it, the next is not', 1, 60, [0, 5, 65, 126], [5, 65]],
    ['arrivals that run backwards', 1, 300, [300, 240, 180], []],
    ['arrivals out of order, close together', 1, 300, [300, 299], [299]],
  ]
  for (const [name, perMinute, throttleS, seconds, marked] of rows) {
    const { maps, port, startMs } = stage()
    const map = maps.ttlMap('loops', { ttlMs: day })
    const found: number[] = []
    for (const at of seconds) {
      const atMs = startMs + at * second
      const { isThrottled } = await map.pace('queue sender', { ...rule(perMinute, throttleS), atMs })
      if (isThrottled) found.push(at)
    }
    t.same(found, marked, name)
    t.same(faultsOf(port.pairs()), [])
  }

  const { wall, maps, port } = stage()
  const map = maps.ttlMap('loops', { ttlMs: day })
  const paced = (once: string) => map.pace('k', { ...rule(1, 300), once })
  t.equal((await paced('a')).isThrottled, false)
  t.equal((await paced('a')).isThrottled, false, 'a message that runs again is not its own neighbour')
  wall.ms += second
  const hit = await paced('b')
  t.same(hit, { isThrottled: true, untilMs: wall.ms + 300 * second, gapMs: second, earlier: 1 })
  wall.ms -= 300 * day
  t.equal((await paced('c')).isThrottled, true, 'after a jump back the throttle holds')
  wall.ms += 301 * second
  t.equal((await paced('d')).isThrottled, false, 'but not for longer than its time')
  for (let at = 0; at < 200; at++) await map.pace('flood', { ...rule(1, 300), once: `${at}` })
  t.equal((await map.pace('flood', rule(1, 300))).earlier, 64, 'what it remembers is bounded')
  t.same(faultsOf(port.pairs()), [])
})

void t.test('keys and values of every kind, and what is refused', async (t) => {
  const { maps, port } = stage()
  const map = maps.ttlMap('m', { ttlMs: hour })
  const keys: (string | Uint8Array)[] = [
    '',
    '\0',
    'key',
    Buffer.from('key'),
    'é'.repeat(64),
    'é'.repeat(65),
    'k'.repeat(600),
    Buffer.alloc(600),
    Buffer.alloc(600, 1),
    new Uint8Array(0),
    '\ud800',
    '\udfff',
    '\ufffd',
    'k'.repeat(ttlLimits.longestKeyOctets),
  ]
  for (const [at, key] of keys.entries()) t.equal(await map.set(key, at), null, `key ${at} is like no other`)
  for (const [at, key] of keys.entries()) t.equal((await map.get(key))?.value, at, `key ${at}`)
  t.equal((await map.stats()).entries, keys.length)
  for (const value of [null, 0, -0.5, '', 'ü'.repeat(512), new Uint8Array(1024), new Uint8Array(0)]) {
    await map.set('value', value)
    t.same((await map.get('value'))?.value, value)
  }

  const pace = { windowMs: minute, leastGapMs: null, atMost: null, throttleMs: 0 }
  const refused: [string, () => Promise<unknown>, string][] = [
    ['a key of 65 KiB', () => map.get('k'.repeat(65_537)), 'TTL_ARGUMENT'],
    ['a value of 50 MB', () => map.set('k', 'v'.repeat(50_000_000)), 'TTL_ARGUMENT'],
    ['a value of 1025 octets', () => map.set('k', 'ü'.repeat(512) + '.'), 'TTL_ARGUMENT'],
    ['a number that is none', () => map.set('k', NaN), 'TTL_ARGUMENT'],
    ['an object', () => map.set('k', {} as never), 'TTL_ARGUMENT'],
    ['longer than the map keeps', () => map.set('k', 1, { ttlMs: hour + 1 }), 'TTL_ARGUMENT'],
    ['no time at all', () => map.set('k', 1, { ttlMs: 0 }), 'TTL_ARGUMENT'],
    ['a window beyond the map', () => map.rate('k', { windowMs: hour + 1 }), 'TTL_ARGUMENT'],
    ['too many steps', () => map.rate('k', { windowMs: hour, steps: 121 }), 'TTL_ARGUMENT'],
    ['a throttle beyond the map', () => map.pace('k', { ...pace, throttleMs: hour + 1 }), 'TTL_ARGUMENT'],
    ['more events than are remembered', () => map.pace('k', { ...pace, atMost: 64 }), 'TTL_ARGUMENT'],
    ['an event at no time', () => map.pace('k', { ...pace, atMs: NaN }), 'TTL_ARGUMENT'],
    ['a map of nobody', () => maps.apply([{ op: 'get', map: 'x', key: 'k' }]), 'TTL_MAP_UNKNOWN'],
    ['one map for both', () => map.admit('k', map, 1), 'TTL_ARGUMENT'],
    ['an addition to text', () => map.set('s', 'text').then(() => map.increment('s')), 'TTL_KIND'],
    ['a rate of a value', () => map.rate('s', { windowMs: minute }), 'TTL_KIND'],
    ['a page of nothing', () => map.entries(null, 0), 'TTL_ARGUMENT'],
    ['a page after nowhere', () => map.entries('', 1), 'TTL_ARGUMENT'],
    [
      'a thousand and one operations',
      () => maps.apply(Array.from({ length: 1001 }, () => ({ op: 'get', map: 'm', key: 'k' }) as const)),
      'TTL_ARGUMENT',
    ],
  ]
  for (const [name, call, code] of refused) t.equal(await codeOf(call()), code, name)
  for (const [name, ttlMs] of [
    ['', hour],
    ['n'.repeat(101), hour],
    ['m', 0],
    ['m', 1.5],
    ['m', Infinity],
  ] as const) {
    t.throws(() => maps.ttlMap(name, { ttlMs }), { code: 'TTL_ARGUMENT' }, `a map "${name.slice(0, 3)}" of ${ttlMs} ms`)
  }

  const [record] = port.pairs().filter(({ key }) => key[0] === 2)
  if (record === undefined) throw new Error('there are no records')
  for (const broken of [Buffer.alloc(0), Buffer.alloc(25, 99), Buffer.from(record.value.subarray(0, 24))]) {
    await port.write((writing) => writing.put(record.key, broken))
    t.equal(await codeOf(map.firstSeen('')), 'TTL_RECORD_BROKEN', 'what cannot be read is not taken for absent')
  }
})

void t.test('what cannot be read does not stop the sweep, and is not removed before its time is over', async (t) => {
  const { wall, maps, port } = stage()
  const map = maps.ttlMap('m', { ttlMs: hour })
  for (const key of ['a', 'b', 'c']) await map.set(key, 1)
  const recordOf = (name: string): TtlPair => {
    const found = port.pairs().find(({ key }) => key[0] === 2 && Buffer.from(key).toString('utf8', 6) === name)
    return found ?? { key: Buffer.of(9), value: Buffer.of(9) }
  }
  const spoil = (name: string, value: Uint8Array): Promise<void> =>
    port.write((writing) => writing.put(recordOf(name).key, value))
  const good = recordOf('b').value
  await spoil('a', Buffer.of(0))
  await spoil('b', Buffer.alloc(40, 77))
  wall.ms += hour + 1
  t.same(await maps.sweep(), swept({ removed: 1, unreadable: 2 }))
  t.same(await maps.sweep(), swept({}), 'which is not looked at again and again')
  t.equal(await codeOf(map.get('a')), 'TTL_RECORD_BROKEN', 'still there')
  await spoil('b', good)
  wall.ms += hour + 1
  t.same(await maps.sweep(), swept({ removed: 1, moved: 1 }), 'the one that became readable is in its place again')
  t.same(await maps.sweep(), swept({ removed: 1 }))
  t.same([(await map.stats()).entries, faultsOf(port.pairs())], [0, []])
})

void t.test('pages, export and import', async (t) => {
  const { wall, maps, port, startMs } = stage()
  const map = maps.ttlMap('m', { ttlMs: day })
  const other = maps.ttlMap('between', { ttlMs: day })
  await other.set('not ours')
  const names = Array.from({ length: 25 }, (_, at) => `key ${String(at).padStart(2, '0')}`)
  for (const key of names) await map.set(key, null, key.endsWith('3') ? { ttlMs: 1 } : {})
  await map.set('l'.repeat(300), Uint8Array.of(1))
  await map.rate('rate', { windowMs: hour })
  wall.ms += 2
  const seen: string[] = []
  for (let after: string | null = null, pages = 0; ; pages++) {
    const { entries, next } = await map.entries(after, 4)
    seen.push(...entries.map(({ key }) => key))
    if (next === null) break
    after = next
    if (pages === 2) await map.delete('key 11')
    if (pages > 20) throw new Error('it comes to no end')
  }
  t.same(
    seen.filter((key) => key.startsWith('key')),
    names.filter((key) => !key.endsWith('3')),
    'each key once, those past their time left out, also when the last of a page is removed meanwhile',
  )

  const exported = JSON.parse(JSON.stringify(await all(map))) as TtlListed[]
  t.equal(exported.length, 23)
  const copy = openTtlMaps(memoryPort(), { clock: { ...makeClock(), wallMs: () => wall.ms }, sweep: null })
  const copied = copy.ttlMap('m', { ttlMs: day })
  t.same(await copied.import(exported), { imported: 23, expired: 0, older: 0, malformed: 0 })
  t.same(await all(copied), exported, 'an export and its import are the same map')
  t.same((await copied.get('l'.repeat(300)))?.value, Uint8Array.of(1), 'with keys that are only digests')
  t.equal(await copied.rate('rate', { windowMs: hour }), 2, 'and counters that go on')

  const seconds = startMs / second
  const rows: [string, number][] = [
    ['e316d149a4e27039cbd550e36809ebcb', seconds - 100],
    ['48b0f77f9f400ff8a87713b3e823aa12', seconds - 86_401],
    ['key 01', seconds - 1],
    ['from a clock that is ahead', seconds + 1_000_000],
    ['at no time', NaN],
    ['before all time', -1],
    ['k'.repeat(70_000), seconds],
  ]
  const report = { imported: 2, expired: 1, older: 1, malformed: 3 }
  t.same(await map.import(rows), report, 'a database of courier-pythonfilter')
  t.equal((await map.get(rows[0]?.[0] ?? ''))?.sinceMs, startMs - 100 * second)
  t.equal((await map.get('from a clock that is ahead'))?.sinceMs, wall.ms)
  t.same(await map.import(rows), { ...report, imported: 2 }, 'again: the same')
  // eslint-disable-next-line @typescript-eslint/require-await
  const stream = async function* () {
    for (let at = 0; at < 1000; at++) yield [`${at}`, seconds] as const
  }
  t.equal((await map.import(stream())).imported, 1000, 'from a stream')
  t.same(faultsOf(port.pairs()), [])
  t.equal(await map.clear(), (await map.stats()).entries + 1028)
  t.equal((await map.stats()).entries, 0)
  t.equal(await other.has('not ours'), true, 'another map is left alone')
  t.same((await maps.list()).map(({ name, entries }) => [name, entries]).sort(), [
    ['between', 1],
    ['m', 0],
  ])
})

void t.test('the clock jumps', async (t) => {
  const { wall, maps, port, startMs } = stage()
  const waiting = maps.ttlMap('waiting', { ttlMs: day })
  const known = maps.ttlMap('known', { ttlMs: 36 * day })
  wall.ms = startMs + 400 * day
  await waiting.admit('who', known, 5 * minute)
  await waiting.set('nobody asks again')
  await waiting.set('known')
  wall.ms = startMs
  t.same(await waiting.admit('who', known, 5 * minute), { state: 'waiting', leftMs: 5 * minute }, 'shuts not for ever')
  wall.ms += 5 * minute - 1
  t.equal((await waiting.admit('who', known, 5 * minute)).state, 'waiting', 'and opens not for all')
  wall.ms += 1
  t.equal((await waiting.admit('who', known, 5 * minute)).state, 'passed')
  t.equal((await waiting.get('known'))?.sinceMs, wall.ms, 'times are never told to lie ahead')
  t.same(await maps.sweep(10, false), swept({}))
  t.same(await maps.sweep(10, true), swept({ moved: 2 }), 'a repair sets right what nobody asks for')
  wall.ms += day + 1
  t.equal(await waiting.has('nobody asks again'), false, 'so that it ends in its time')
  t.equal((await maps.sweep()).removed, 2)
  t.same(faultsOf(port.pairs()), [])

  await waiting.set('long', 1)
  const shorter = maps.ttlMap('waiting', { ttlMs: hour })
  wall.ms += hour + 1
  t.equal(await shorter.has('long'), false, 'a map whose time was made shorter forgets at once')
  t.equal((await maps.sweep(10, true)).removed, 1)
  for (const wrong of [-1, NaN, Infinity, 1e300]) {
    wall.ms = wrong
    t.equal(await known.firstSeen('k').then(() => known.has('k')), true, `a clock that says ${wrong}`)
  }
  t.same(faultsOf(port.pairs()), [])

  const clock = makeClock()
  let aheadMs = 0
  const steadiness = watchSteadiness({ ...clock, wallMs: () => clock.wallMs() + aheadMs }, sweepDefaults)
  const looks: [string, number, number, boolean, boolean][] = [
    ['at start', 0, 0, true, false],
    ['slow drift', 10 * minute, second, true, false],
    ['an hour on', hour, 0, true, true],
    ['a jump ahead', second, day, false, false],
    ['and back', second, -day, false, false],
    ['not long enough after', hour - 1, 0, false, false],
    ['an hour after', 1, 0, true, true],
  ]
  for (const [name, passMs, jumpMs, isSteady, isProven] of looks) {
    clock.pass(passMs)
    aheadMs += jumpMs
    t.same(steadiness.look(), { isSteady, isProven }, name)
  }
})

void t.test('the sweep goes by slices, in the background, and only for what is due', async (t) => {
  const clock: FakeClock = makeClock()
  const port = memoryPort()
  let writes = 0
  const slices: number[] = []
  const failures: unknown[] = []
  let isBroken = false
  const counted: typeof port = {
    ...port,
    write: (work) => {
      writes++
      return isBroken ? Promise.reject(new Error('no disk')) : port.write(work)
    },
  }
  const maps = openTtlMaps(counted, {
    clock,
    sweep: { slice: 40 },
    swept: ({ removed, moved }) => void slices.push(removed + moved),
    failed: (error) => void failures.push(error),
  })
  const map = maps.ttlMap('m', { ttlMs: minute })
  const other = maps.ttlMap('other', { ttlMs: minute })
  for (let at = 0; at < 100; at++) await (at % 2 === 0 ? map : other).set(`${at}`)
  await clock.advance(30 * second)
  await map.set('late')
  await map.set('0', 'refreshed')
  writes = 0
  await clock.advance(29 * second)
  t.equal(writes, 0, 'nothing is due, nothing is written')
  isBroken = true
  await clock.advance(11 * second)
  t.equal(failures.length, 1, 'a slice that fails is told, and tried again')
  isBroken = false
  await clock.advance(11 * second)
  t.same(slices, [40, 40, 20], 'slices with time for others in between')
  t.same([(await map.stats()).entries, (await other.stats()).entries], [2, 0], 'what was refreshed stays')
  await clock.advance(day)
  t.equal((await map.stats()).entries, 0)
  t.same(faultsOf(port.pairs()), [])
  await maps.close()
  t.equal(clock.timers(), 0, 'closed, it sets no timer')
})

/** The simplest thing that could be right: records in a Map, their times looked at on read. */
interface Remembered {
  value: unknown
  sinceMs: number
  writtenMs: number
  lifeMs: number
}
const ttlMs = 1000
function model() {
  const records = new Map<string, Remembered>()
  const find = (key: string, nowMs: number, isWriting: boolean): Remembered | null => {
    const record = records.get(key)
    if (record === undefined || nowMs > record.writtenMs + record.lifeMs) return null
    const { sinceMs, writtenMs } = record
    const seen = { ...record, sinceMs: Math.min(sinceMs, nowMs), writtenMs: Math.min(writtenMs, nowMs) }
    if (isWriting) records.set(key, seen)
    return seen
  }
  const put = (key: string, nowMs: number, value: unknown, lifeMs = ttlMs): void => {
    const sinceMs = find(key, nowMs, true)?.sinceMs ?? nowMs
    records.set(key, { value, sinceMs, writtenMs: nowMs, lifeMs })
  }
  return { records, find, put }
}

type Step =
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'sweep'; readonly limit: number; readonly repairs: boolean }
  | { readonly do: 'get' | 'has' | 'delete' | 'firstSeen' | 'increment' | 'touch' | 'admit'; readonly key: string }
  | { readonly do: 'set'; readonly key: string; readonly value: number; readonly ttlMs: number }

const key = fc.constantFrom('a', 'b', 'c', 'd')
const steps = (pass: fc.Arbitrary<number>) =>
  fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('pass' as const), ms: pass }),
      fc.record({ do: fc.constant('sweep' as const), limit: fc.integer({ min: 1, max: 4 }), repairs: fc.boolean() }),
      fc.record({
        do: fc.constantFrom('get', 'has', 'delete', 'firstSeen', 'increment', 'touch', 'admit'),
        key,
      }),
      fc.record({
        do: fc.constant('set' as const),
        key,
        value: fc.integer(),
        ttlMs: fc.integer({ min: 1, max: ttlMs }),
      }),
    ),
    { maxLength: 60 },
  )

/** Runs the steps on maps and on the model; the first difference, or what is wrong with the store. */
async function compare(list: readonly Step[]): Promise<string[]> {
  const { wall, maps, port } = stage()
  const map = maps.ttlMap('m', { ttlMs })
  const known = maps.ttlMap('known', { ttlMs })
  const ours = model()
  const ourKnown = model()
  for (const [at, step] of list.entries()) {
    let got: unknown = null
    let wanted: unknown = null
    if (step.do === 'pass') wall.ms += step.ms
    else if (step.do === 'sweep') await maps.sweep(step.limit, step.repairs)
    else {
      const found = ours.find(step.key, wall.ms, step.do !== 'get' && step.do !== 'has')
      const shown = (record: Remembered | null): unknown =>
        record && { value: record.value, sinceMs: record.sinceMs, writtenMs: record.writtenMs }
      const told = (entry: { value: unknown; sinceMs: number; writtenMs: number } | null): unknown =>
        entry && { value: entry.value, sinceMs: entry.sinceMs, writtenMs: entry.writtenMs }
      switch (step.do) {
        case 'get':
          got = told(await map.get(step.key))
          wanted = shown(found)
          break
        case 'has':
          got = await map.has(step.key)
          wanted = found !== null
          break
        case 'delete':
          got = await map.delete(step.key)
          wanted = found !== null
          ours.records.delete(step.key)
          break
        case 'set':
          got = told(await map.set(step.key, step.value, { ttlMs: step.ttlMs }))
          wanted = shown(found)
          ours.put(step.key, wall.ms, step.value, step.ttlMs)
          break
        case 'firstSeen':
          if (found === null) ours.put(step.key, wall.ms, 5)
          got = await map.firstSeen(step.key, 5).then((seen) => [seen.isNew, told(seen)])
          wanted = [found === null, shown(ours.find(step.key, wall.ms, true))]
          break
        case 'increment': {
          got = await map.increment(step.key, 2).catch(() => 'no number')
          if (found !== null && found.value === null) wanted = 'no number'
          else {
            ours.put(step.key, wall.ms, Number(found?.value ?? 0) + 2)
            wanted = ours.find(step.key, wall.ms, true)?.value
          }
          break
        }
        case 'touch':
          if (found !== null) ours.put(step.key, wall.ms, found.value)
          got = told((await map.update(step.key, { present: 'refresh' })).after)
          wanted = shown(ours.find(step.key, wall.ms, true))
          break
        case 'admit': {
          const { state } = await map.admit(step.key, known, 300)
          const earlier = found === null ? ourKnown.find(step.key, wall.ms, true) : null
          got = state
          wanted =
            found !== null ? (wall.ms - found.sinceMs < 300 ? 'waiting' : 'passed') : earlier !== null ? 'known' : 'new'
          if (wanted === 'passed') {
            ours.records.delete(step.key)
            ourKnown.put(step.key, wall.ms, null)
          } else if (wanted === 'known') ourKnown.put(step.key, wall.ms, null)
          else if (wanted === 'new') ours.put(step.key, wall.ms, null)
          break
        }
      }
    }
    const difference = JSON.stringify([got, wanted])
    if (JSON.stringify(got ?? null) !== JSON.stringify(wanted ?? null)) return [`step ${at}: ${difference}`]
  }
  return faultsOf(port.pairs())
}

const holds = async (t: Test, property: fc.IAsyncProperty<[Step[]]>, name: string): Promise<void> => {
  const details = await fc.check(property, { numRuns: 250 })
  t.equal(details.failed, false, `${name} ${fc.defaultReportMessage(details) ?? ''}`)
}

void t.test('against a model', async (t) => {
  const expect = async (list: Step[]): Promise<void> => {
    const faults = await compare(list)
    if (faults.length > 0) throw new Error(faults.join('; '))
  }
  const ahead = fc.integer({ min: 0, max: 700 })
  await holds(t, fc.asyncProperty(steps(ahead), expect), 'while the clock goes on, with sweeps anywhere')
  const jumping = steps(fc.integer({ min: -3000, max: 3000 }))
  const unswept = jumping.map((list) => list.filter((step) => step.do !== 'sweep'))
  await holds(t, fc.asyncProperty(unswept, expect), 'while the clock jumps')

  const ends = async (list: Step[]): Promise<void> => {
    const { wall, maps, port } = stage()
    const map = maps.ttlMap('m', { ttlMs })
    for (const step of list) {
      if (step.do === 'pass') wall.ms += step.ms
      else if (step.do === 'sweep') await maps.sweep(step.limit, step.repairs)
      else if (step.do === 'set') await map.set(step.key, step.value, { ttlMs: step.ttlMs })
      else await map.firstSeen(step.key)
    }
    while ((await maps.sweep(100, true)).hasMore);
    for (let times = 0; times < 2; times++) {
      wall.ms += ttlMs + 1
      while ((await maps.sweep(100, true)).hasMore);
    }
    const faults = [...faultsOf(port.pairs()), ...(await all(map)).map((entry) => `${entry.key} is still there`)]
    const { entries } = await map.stats()
    if (faults.length > 0 || entries > 0) throw new Error(`${entries} left; ${faults.join('; ')}`)
  }
  await holds(t, fc.asyncProperty(jumping, ends), 'whatever the clock did, all is gone after twice its time, and whole')
})

void t.test('rates and paces against lists of all events', async (t) => {
  const events = fc.array(fc.tuple(fc.nat(900), fc.nat(3), fc.nat(5)), { maxLength: 60 })
  const property = fc.asyncProperty(events, async (list) => {
    const { wall, maps } = stage(1_000_000)
    const map = maps.ttlMap('m', { ttlMs: 100_000 })
    const counted: { at: number; by: number; once: string }[] = []
    for (const [passMs, by, message] of list) {
      wall.ms += passMs
      const once = `${Math.floor(wall.ms / 2000)} ${message}`
      if (!counted.some((event) => event.once === once)) counted.push({ at: wall.ms, by, once })
      const total = await map.rate('rate', { windowMs: 5000, steps: 5, by, once })
      const first = Math.floor(wall.ms / 1000) - 5
      const wanted = counted.reduce((sum, event) => sum + (Math.floor(event.at / 1000) > first ? event.by : 0), 0)
      if (total !== wanted) throw new Error(`${total} and not ${wanted}`)
    }
  })
  const details = await fc.check(property, { numRuns: 200 })
  t.equal(details.failed, false, `rates ${fc.defaultReportMessage(details) ?? ''}`)
})
