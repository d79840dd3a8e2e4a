/** Tokens with a time: acceptance case U25, expiry on read, and both kinds of stores. */
import t from 'tap'
import { openTtlDb, type TtlDb, type TtlDbStores } from '../../courier-compat/ttldb.ts'
import { memoryPort, openTtlMaps, ttlLimits, type TtlMaps } from '../../queue-store/ttl/index.ts'
import { makeClock } from '../helpers/fake-clock.ts'

/** Tokens of two kinds of stores, over one clock. */
function stage(ttlSeconds: number, purgeSeconds = 1) {
  const clock = makeClock(0, 1_433_152_800_500)
  const nowMs = (): number => clock.wallMs()
  const open = (): TtlMaps => openTtlMaps(memoryPort(), { clock, sweep: null })
  const [program, host] = [open(), open()]
  const ofFilter: TtlDbStores = { ttl: (name, { ttlMs = 30 * 86_400_000 } = {}) => host.ttlMap(name, { ttlMs }) }
  const stores: readonly (readonly [kind: string, where: TtlDbStores, maps: TtlMaps])[] = [
    ['the maps of a program', program, program],
    ['the stores of a filter', ofFilter, host],
  ]
  return {
    clock,
    seconds: () => Math.floor(nowMs() / 1000),
    kinds: stores.map(([kind, where, maps]) => {
      const db: TtlDb = openTtlDb('tokens', ttlSeconds, purgeSeconds, where, { nowMs })
      return { kind, db, maps }
    }),
  }
}

t.test('U25: ttl 1, interval 1', async (t) => {
  const { clock, kinds, seconds } = stage(1)
  const odd = "a'b c--d"
  for (const { db } of kinds) await db.set('name1')
  clock.pass(2000)
  for (const { db } of kinds) {
    await db.set('name2')
    await db.set(odd)
  }
  clock.pass(1000)
  for (const { kind, db } of kinds) {
    await db.set('name2')
    await db.set(odd)
    await db.purge()
    t.equal(await db.has('name1'), false, `${kind}: name1 is gone`)
    t.same([await db.get('name2'), await db.get(odd)], [seconds(), seconds()], `${kind}: the last whole second`)
    t.equal(await db.has_key(odd), true)
  }
})

t.test('a token is there while its time is at most its life ago, purged or not', async (t) => {
  const { clock, kinds, seconds } = stage(100, 1000)
  const startSeconds = seconds()
  const rows: [what: string, atSeconds: number, lastMs: number][] = [
    // The clock stands at half a second after the start.
    ['its time now', startSeconds, 99_500],
    ['an earlier time', startSeconds - 60, 39_500],
    ['a fraction, which is cut off', startSeconds - 60.001, 38_500],
    ['a time that lies ahead', startSeconds + 500, 100_000],
  ]
  for (const { kind, db } of kinds) for (const [what, atSeconds] of rows) await db.set(`${kind} ${what}`, atSeconds)
  const times = [...new Set(rows.map(([, , lastMs]) => lastMs))].toSorted((one, other) => one - other)
  let passedMs = 0
  for (const lastMs of times) {
    for (const moreMs of [0, 1]) {
      clock.pass(lastMs + moreMs - passedMs)
      passedMs = lastMs + moreMs
      for (const { kind, db } of kinds) {
        for (const [what, , endMs] of rows) {
          const is = passedMs <= endMs
          t.equal(
            await db.has(`${kind} ${what}`),
            is,
            `${kind}, ${what}: ${is ? 'there' : 'gone'} after ${passedMs} ms`,
          )
        }
      }
    }
  }
})

t.test('what is over when it is written, is not there', async (t) => {
  const { kinds, seconds } = stage(100)
  for (const { db } of kinds) {
    await db.set('key')
    await db.set('key', seconds() - 101)
    t.equal(await db.get('key'), null, 'nor is what was there before')
    await db.set('key', seconds() - 99)
    t.equal(await db.get('key'), seconds() - 99)
    t.equal(await db.delete('key'), true)
    t.equal(await db.delete('key'), false)
    t.equal(await db.get('key'), null)
  }
})

t.test('tokens taken over from pythonfilter have their times', async (t) => {
  const { kinds, seconds } = stage(100)
  for (const { kind, db, maps } of kinds) {
    const map = maps.ttlMap('tokens', { ttlMs: 100_000 })
    const report = await map.import([
      ['5d41402abc4b2a76b9719d911017c592', seconds() - 50],
      ['7d793037a0760186574b0282f2f435e7', seconds() - 200],
    ])
    t.match(report, { imported: 1, expired: 1 })
    t.equal(await db.get('5d41402abc4b2a76b9719d911017c592'), seconds() - 50, kind)
    t.equal(await db.has('7d793037a0760186574b0282f2f435e7'), false)
  }
})

t.test('purge removes at most once in its interval, and locks do nothing', async (t) => {
  const { clock, kinds } = stage(1, 60)
  for (const { kind, db, maps } of kinds) {
    const entries = async (): Promise<number> => (await maps.list())[0]?.entries ?? 0
    const isOwn = kind === 'the maps of a program'
    await db.lock()
    await db.lock()
    await db.set('one')
    clock.pass(1001)
    await db.purge()
    t.equal(await entries(), isOwn ? 0 : 1, `${kind}: ${isOwn ? 'removed' : 'left to the host'}`)
    await db.set('two')
    clock.pass(1001)
    await db.purge()
    t.equal(await entries(), isOwn ? 1 : 2, 'not again so soon')
    t.equal(await db.has('two'), false, 'which nobody sees')
    clock.pass(59_000)
    await db.purge()
    t.equal(await entries(), isOwn ? 0 : 2)
    await db.unlock()
  }
})

t.test('what is no time, no life, no name, is refused', async (t) => {
  const { kinds } = stage(100)
  const [{ db, maps } = { db: null, maps: null }] = kinds
  if (db === null) throw new Error('no store')
  for (const seconds of [NaN, Infinity, -1, 2 ** 60])
    await t.rejects(db.set('key', seconds), TypeError, String(seconds))
  for (const ttl of [0, -1, NaN]) t.throws(() => openTtlDb('x', ttl, 1, maps), RangeError, `a life of ${ttl} s`)
  for (const interval of [-1, NaN]) t.throws(() => openTtlDb('x', 1, interval, maps), RangeError)
  t.throws(
    () => openTtlDb('x', ttlLimits.ttlMs, 1, maps),
    { code: 'TTL_ARGUMENT' },
    'longer than a store keeps anything',
  )
  t.throws(() => openTtlDb('', 1, 1, maps), { code: 'TTL_ARGUMENT' })
})
