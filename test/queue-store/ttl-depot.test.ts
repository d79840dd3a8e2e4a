/** TTL maps on disk: several processes at once, kill -9 while writing, slices that hold nobody up, look-ups among many keys. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openEnvironment } from '../../queue-store/environment.ts'
import { depotPort, memoryPort, openTtlMaps, type TtlMaps, type TtlPort } from '../../queue-store/ttl/index.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { faultsOf } from '../helpers/ttl-faults.ts'

const day = 86_400_000
const everything = [Buffer.of(0), Buffer.of(255), 10_000_000] as const

function openStore(path: string, wallMs: () => number = Date.now) {
  const environment = openEnvironment(path)
  const port = depotPort(environment)
  const maps = openTtlMaps(port, { clock: { ...makeClock(), wallMs }, sweep: null })
  const faults = async (): Promise<string[]> => faultsOf(await port.read((reading) => reading.range(...everything)))
  return { environment, port, maps, faults }
}

type Child = ChildProcessByStdio<null, Readable, null>

/** This file again, as a process that writes. */
function startWriter(...args: string[]): Child {
  return spawn(process.execPath, [import.meta.filename, 'writer', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Writes pairs until it is killed; tells the name of each when it is on disk, or, as a control, before. */
async function writePairs(maps: TtlMaps, isHasty: boolean): Promise<void> {
  maps.ttlMap('left', { ttlMs: day })
  maps.ttlMap('right', { ttlMs: day })
  let next = 0
  const loop = async (): Promise<void> => {
    for (;;) {
      const key = `${process.pid} ${next++}`
      if (isHasty) process.stdout.write(`${key}\n`)
      await maps.apply([
        { op: 'set', map: 'left', key, value: 'x'.repeat(100) },
        { op: 'set', map: 'right', key, value: null },
      ])
      if (!isHasty) process.stdout.write(`${key}\n`)
    }
  }
  await Promise.all(Array.from({ length: 32 }, loop))
}

/** Works on the keys that the other processes work on, too; tells what it found. */
async function contend(maps: TtlMaps): Promise<void> {
  const map = maps.ttlMap('shared', { ttlMs: day })
  let isFirst = 0
  for (let at = 0; at < 200; at += 4) {
    const seen = await Promise.all([0, 1, 2, 3].map((more) => map.firstSeen(`id ${at + more}`)))
    isFirst += seen.filter(({ isNew }) => isNew).length
    await Promise.all([map.increment('sum'), map.increment('sum'), map.rate('rate', { windowMs: day }), maps.sweep(10)])
  }
  process.stdout.write(`${isFirst}\n`)
}

async function linesOf(child: Child, most = Infinity): Promise<string[]> {
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (lines.length === most) child.kill('SIGKILL')
  }
  return lines
}

async function testAll(): Promise<void> {
  await t.test('several processes work on the same keys', async (t) => {
    const path = join(t.testdir(), 'depot')
    const store = openStore(path)
    const children = [1, 2, 3].map(() => startWriter(path, 'contend'))
    const told = await Promise.all(children.map((child) => linesOf(child)))
    const map = store.maps.ttlMap('shared', { ttlMs: day })
    t.equal(
      told.map(([line]) => Number(line)).reduce((sum, isFirst) => sum + isFirst, 0),
      200,
      'each key has one first',
    )
    t.equal((await map.get('sum'))?.value, 300, 'no addition is lost')
    t.equal(await map.rate('rate', { windowMs: day, by: 0 }), 150, 'no event is lost')
    t.equal((await map.stats()).entries, 202)
    t.same(await store.faults(), [])
    await store.environment.close()
    t.match(await map.get('sum').catch((error: unknown) => error), { code: 'DEPOT_CLOSED' })
  })

  const killRounds = async (t: Test, mode: 'patient' | 'hasty', rounds: number): Promise<number> => {
    const path = join(t.testdir(), 'depot')
    const told: string[] = []
    for (let round = 0; round < rounds; round++) {
      const child = startWriter(path, mode)
      const isGone = once(child, 'exit')
      told.push(...(await linesOf(child, 100 + 150 * round)))
      await isGone
    }
    const store = openStore(path)
    const left = store.maps.ttlMap('left', { ttlMs: day })
    const right = store.maps.ttlMap('right', { ttlMs: day })
    let lost = 0
    for (const key of told) if (!(await left.has(key))) lost++
    t.ok(told.length >= 100 * rounds, `${told.length} pairs were told`)
    t.equal((await left.stats()).entries, (await right.stats()).entries, 'pairs are whole')
    t.same(await store.faults(), [])
    await store.environment.close()
    return lost
  }
  await t.test('R06: kill -9 while writing loses nothing that was told', async (t) => {
    t.equal(await killRounds(t, 'patient', 5), 0)
  })
  await t.test('R06, control: what is told before it is on disk can be lost, and this test sees it', async (t) => {
    t.ok((await killRounds(t, 'hasty', 2)) > 0)
  })

  await t.test('on disk is what the same steps leave in memory', async (t) => {
    const wall = { ms: 1_700_000_000_000 }
    const store = openStore(join(t.testdir(), 'depot'), () => wall.ms)
    const memory = memoryPort()
    const clock = { ...makeClock(), wallMs: () => wall.ms }
    const results: unknown[][] = []
    const dumps: unknown[] = []
    let seed = 1
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    const run = async (port: TtlPort): Promise<void> => {
      ;[seed, wall.ms] = [1, 1_700_000_000_000]
      const maps = openTtlMaps(port, { clock, sweep: null })
      const known = maps.ttlMap('known', { ttlMs: 2000 })
      const map = maps.ttlMap('m', { ttlMs: 1000 })
      const found: unknown[] = []
      for (let at = 0; at < 600; at++) {
        const key = `${'k'.repeat(random(3) * 70)}${random(6)}`
        wall.ms += random(60)
        const call = [
          () => map.set(key, at, { ttlMs: 1 + random(1000) }),
          () => map.firstSeen(Buffer.from(key)),
          () => map.delete(key),
          () => map.admit(`a ${key}`, known, 30),
          () => map.rate(`r ${key}`, { windowMs: 600 }),
          () => map.pace(`p ${key}`, { windowMs: 500, leastGapMs: 20, atMost: 3, throttleMs: 200, once: key }),
          () => map.update(key, { present: 'refresh', aged: { ms: 200, change: 'delete' } }),
          () => maps.sweep(3),
          () => map.entries(null, 5),
          () => maps.list(),
        ][random(10)]
        found.push(await call?.())
      }
      results.push(found)
      const pairs = await port.read((reading) => reading.range(...everything))
      dumps.push(pairs.map(({ key, value }) => [Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')]))
    }
    await run(store.port)
    await run(memory)
    t.same(results[0], results[1])
    t.same(dumps[0], dumps[1])
    t.same(await store.faults(), [])
    await store.environment.close()
  })

  await t.test('R17, shortened: a sweep goes by slices that hold nobody up, and its room is used again', async (t) => {
    const wall = { ms: 1_700_000_000_000 }
    const store = openStore(join(t.testdir(), 'depot'), () => wall.ms)
    const map = store.maps.ttlMap('m', { ttlMs: 1000 })
    const fill = async (): Promise<number> => {
      const seconds = wall.ms / 1000
      await map.import(Array.from({ length: 20_000 }, (_, at) => [`${at * 7919}`, seconds] as const))
      return store.environment.figures().fileOctets
    }
    const firstOctets = await fill()
    for (let round = 0; round < 2; round++) {
      wall.ms += 1001
      const pausesMs: number[] = []
      for (let hasMore = true; hasMore;) {
        const startMs = performance.now()
        ;({ hasMore } = await store.maps.sweep())
        pausesMs.push(performance.now() - startMs)
      }
      const [middle = 0] = pausesMs.sort((one, other) => one - other).slice(pausesMs.length / 2)
      t.ok(middle < 50, `a slice took ${middle.toFixed(1)} ms, the longest ${pausesMs.at(-1)?.toFixed(1) ?? ''}`)
      t.equal((await map.stats()).entries, 0)
      await fill()
    }
    const { fileOctets } = store.environment.figures()
    t.ok(fileOctets <= 2 * firstOctets, `${fileOctets} octets after ${firstOctets}`)
    await store.environment.close()
  })

  await t.test('a look-up among many keys costs what it costs among few', async (t) => {
    const store = openStore(join(t.testdir(), 'depot'))
    const seconds = Math.floor(Date.now() / 1000)
    // Steps of the golden ratio: neighbours in number are far apart in the store.
    const nameOf = (at: number): string => `${(at * 2_654_435_761) % 4_294_967_296} key of a sender`
    const names = function* (count: number) {
      for (let at = 0; at < count; at++) yield [nameOf(at), seconds] as const
    }
    const sizes = [2000, 60_000] as const
    const maps = new Map(sizes.map((count) => [count, store.maps.ttlMap(`${count}`, { ttlMs: day })]))
    for (const [count, map] of maps) await map.import(names(count))
    const best = new Map<number, number>()
    // In turns, and the best of many: what else the machine does must not be taken for the store's cost.
    for (let batch = 0; batch < 24; batch++) {
      for (const [count, map] of maps) {
        const keys = Array.from({ length: 300 }, (_, at) => nameOf((at * 7919 + batch * 31) % count))
        const startMs = performance.now()
        let found = 0
        for (const key of keys) if (await map.has(key)) found++
        const eachUs = ((performance.now() - startMs) * 1000) / keys.length
        best.set(count, Math.min(best.get(count) ?? Infinity, eachUs))
        if (found !== keys.length) t.fail(`${found} keys of ${keys.length} are there`)
      }
    }
    const [few = 0, many = 0] = sizes.map((count) => best.get(count))
    t.comment(`${few.toFixed(1)} us among 2,000 keys, ${many.toFixed(1)} us among 60,000`)
    t.ok(many < 2 * few, `${many.toFixed(1)} us after ${few.toFixed(1)} us`)
    await store.environment.close()
  })
}

const [mode, path, work] = process.argv.slice(2)
if (mode === 'writer' && path !== undefined) {
  const { maps, environment } = openStore(path)
  if (work === 'contend') {
    await contend(maps)
    await environment.close()
  } else await writePairs(maps, work === 'hasty')
} else await testAll()
