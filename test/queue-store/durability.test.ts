/**
 * What a depot keeps when processes are killed and disks fail, with negative controls. More rounds, power cuts and other users:
 * test/system/store.test.ts.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkDepot } from '../../queue-store/check.ts'
import { machineMs } from '../../queue-store/depot-clock.ts'
import { openDepot } from '../../queue-store/depot.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { orderedCalls, orderFaults } from './call-order.ts'
import { depotFolder, startDepotProcess, wordsAfter, type DepotProcess } from './depot-process.ts'
import { abandoned, everyEntry, killed, killedAtSteps } from './kill-checks.ts'

const rounds = Number(process.env['NODEFILTER_KILL_ROUNDS'] ?? 6)
t.setTimeout(200_000 + rounds * 5_000)

const isRoot = process.geteuid?.() === 0
const hasStrace = spawnSync('strace', ['-V']).status === 0
const skipped = (name: string, reason: string): unknown => t.test(name, { skip: reason }, (t) => t.end())

testPromise('R06 kill -9 in commits loses nothing that was acknowledged, and brings nothing back', killed(rounds), [
  { without: ['published is on disk'], sees: /acknowledged and is lost/, check: killed(6) },
  { without: ['a transaction is one'], sees: /has 1 halves|acknowledged and is lost/, check: killed(6) },
])
const steps = 'R06 kill -9 at the writing calls of a depot, from its making on'
if (hasStrace) testPromise(steps, killedAtSteps(9, 2), [])
else skipped(steps, 'strace is not installed')

/** By the system calls, without any power cut: test/system/store.test.ts has those. */
const ordered: Check = async (t, without) => {
  const folder = depotFolder(t)
  const trace = join(folder, 'trace')
  const under = ['strace', '-f', '-qq', '-y', '-s', '20', '-e', `trace=${orderedCalls}`, '-o', trace]
  const child = startDepotProcess(t, ['add', join(folder, 'depot'), '24'], { without, under })
  await child.ended
  const { seen, expect } = createFindings()
  expect(wordsAfter(child.lines, 'added').length === 24, 'not all were added')
  seen.push(...orderFaults(readFileSync(trace, 'utf8'), (name) => name.endsWith('0')))
  return seen
}
const orderName = 'R07 what is acknowledged was synced before: pages, then the head of the store; a file, then its name'
if (hasStrace) {
  testPromise(orderName, ordered, [
    { without: ['a commit is synced'], sees: /its head without a sync/ },
    { without: ['a large message is synced'], sees: /named before it was synced/ },
    { without: ['the name of a large message is synced'], sees: /its name was not synced/ },
  ])
} else skipped(orderName, 'strace is not installed')

/** Random enough, and the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below
}

/** Three processes consume fifty messages that another adds; again and again one of them is killed. */
const consumed =
  (limitMs: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const directory = join(depotFolder(t), 'depot')
    const depot = await openDepot(directory)
    t.teardown(() => depot.close())
    const queue = await depot.makeQueue('in')
    const [count, leaseSeconds, concurrency] = [50, 1, 3]
    const random = numbers(7)
    const consumers: DepotProcess[] = []
    const start = (): void => void consumers.push(startDepotProcess(t, ['consume', directory, '1', '8'], { without }))
    for (let index = 0; index < 3; index++) start()
    await until('all wait', () => consumers.every(({ lines }) => lines[0] === 'ready'))
    const adder = startDepotProcess(t, ['add', directory, String(count)], { without })
    const taken = (): string[][] =>
      consumers.flatMap(({ lines }) => lines.filter((line) => line.startsWith('took'))).map((line) => line.split(' '))
    const killedMs = new Map<DepotProcess, number>()
    const all = async (): Promise<boolean> => {
      const living = consumers.filter((one) => !killedMs.has(one))
      if (killedMs.size < 6 && taken().length > 6 * (killedMs.size + 1)) {
        const victim = living[random(living.length)]
        if (victim !== undefined) {
          await victim.kill()
          killedMs.set(victim, machineMs())
          start()
        }
      }
      const { ready, leased } = await queue.counts()
      return adder.process.exitCode === 0 && ready + leased === 0
    }
    await until('everything is done', all, limitMs).catch(() => expect(false, 'not everything was done in time'))
    await Promise.all(consumers.map((one) => one.kill()))
    const byName = Map.groupBy(taken(), ([, name]) => name)
    expect(byName.size === count, `${byName.size} messages of ${count} were given out`)
    let again = 0
    for (const [name = '', times] of byName) {
      const [one, ...others] = times.sort(([, , , , first], [, , , , second]) => Number(first) - Number(second))
      for (const other of others) {
        again++
        expect(one?.[2] === other[2] && one?.[3] === other[3], `message ${name} came again as another one`)
        const gapMs = Number(other[4]) - Number(one?.[4])
        expect(gapMs >= leaseSeconds * 500, `message ${name} was given out twice within ${gapMs} ms`)
      }
    }
    // What a killed one had in hand, or had done and not yet acknowledged, comes again; the machine may be slow besides.
    expect(again <= killedMs.size * concurrency + 3, `${again} messages were given out again`)
    for (const [victim, atMs] of killedMs) {
      const done = new Set(wordsAfter(victim.lines, 'done'))
      for (const name of wordsAfter(victim.lines, 'took').filter((one) => !done.has(one))) {
        const next = (byName.get(name) ?? []).map(([, , , , ms]) => Number(ms)).find((ms) => ms > atMs)
        if (next === undefined) continue
        expect(next - atMs < leaseSeconds * 1000 + 4000, `message ${name} came back ${next - atMs} ms after the kill`)
      }
    }
    expect(killedMs.size > 1, `${killedMs.size} were killed`)
    const { buried, dead, octets } = await queue.counts()
    expect(buried + dead + octets === 0, 'something is left in the queue')
    return seen
  }
testPromise('R05 consumers that hold leases are killed: each message is done, none is lost', consumed(20_000), [
  { without: ['a lease that ran out gives the message back'], sees: /not everything was done/, check: consumed(5000) },
  { without: ['a leased message is nobody else\u2019s'], sees: /twice within|given out again/, check: consumed(5000) },
])

const woken: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const directory = join(depotFolder(t), 'depot')
  // Looks by itself once a minute only.
  const consumer = startDepotProcess(t, ['consume', directory, '5'], { without })
  await until('it waits', () => consumer.lines[0] === 'ready')
  const adder = startDepotProcess(t, ['add', directory, '1'], { without })
  await adder.ended
  const isWoken = until('it is woken', () => consumer.lines.length > 1, 3000)
  await isWoken.catch(() => expect(false, 'the consumer was not woken'))
  return seen
}
testPromise('R05 a consumer is woken by an add of another process', woken, [
  { without: ['the bell is heard in other processes'], sees: /not woken/ },
])

/** Several processes add the same messages at the same time, to a depot that none has made yet; some die and begin again. */
const addedOnce: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const directory = join(depotFolder(t), 'depot')
  const start = (at: number): DepotProcess => startDepotProcess(t, ['add-once', directory, String(at)], { without })
  const first = [0, 11, 23].map(start)
  const victims = [first[0], first[2]].filter((one) => one !== undefined)
  await until('it adds', () => victims.some(({ lines }) => lines.length > 3) || first[1]?.process.exitCode !== null)
  await Promise.all(victims.map((one) => one.kill()))
  const second = [5, 17].map(start)
  const survivors = [...first, ...second].filter((one) => !victims.includes(one))
  for (const { ended } of survivors) expect((await ended) === 0, 'one of them ended with an error')
  const lines = [...first, ...second].flatMap((one) => one.lines)
  const told = lines.map((line) => line.split(' ')).filter(([word]) => word === 'new' || word === 'known')
  for (const [key, of] of Map.groupBy(told, ([, one]) => one)) {
    const ids = new Set(of.map(([, , id]) => id))
    expect(ids.size === 1, `key ${String(key)} was given ${ids.size} ids`)
    expect(of.filter(([word]) => word === 'new').length <= 1, `key ${String(key)} was new twice`)
  }
  const depot = await openDepot(directory)
  t.teardown(() => depot.close())
  const found = await everyEntry(await depot.queue('in'))
  expect(found.length === 40, `${found.length} messages stand for 40 keys`)
  expect(
    survivors.every((one) => told.length >= 40 && one.lines.length >= 40),
    'not all was told',
  )
  seen.push(...(await checkDepot(depot.core, { withContents: true })).problems)
  return seen
}
testPromise('R62 several processes add under the same keys: one message for each', addedOnce, [
  { without: ['a key stands for one message'], sees: /messages stand for 40 keys|was new twice/ },
])

/** What a child said of a failing disk. */
function judgeFill(lines: readonly string[], leastFailures: number): readonly string[] {
  const { seen, expect } = createFindings()
  const there = new Set(wordsAfter(lines, 'there'))
  for (const name of wordsAfter(lines, 'added')) expect(there.has(name), `message ${name} was acknowledged and is lost`)
  const failed = wordsAfter(lines, 'failed')
  for (const name of failed) expect(!there.has(name), `message ${name} was refused and is there`)
  expect(failed.length >= leastFailures, 'no failure was told')
  for (const line of lines.filter((one) => one.startsWith('failed'))) {
    expect(line.endsWith('DEPOT_WRITE_FAILED'), `a failure was told as: ${line}`)
  }
  seen.push(...lines.filter((line) => line.startsWith('stuck')))
  expect(lines.filter((line) => line === 'after true').length === 2, 'it does not add when there is room')
  const [withinMs] = wordsAfter(lines, 'within')
  expect(Number(withinMs) < 10_000, `it took ${String(withinMs)} ms to go on`)
  seen.push(...lines.filter((line) => line.startsWith('problem')))
  expect(lines.at(-1) === 'end', 'the process died')
  return seen
}

/** A small disk is filled by messages; then room is made by taking some, or by removing a file of somebody else. */
const full =
  (isOtherRemoved: boolean): Check =>
  async (t, without) => {
    const small = join(depotFolder(t), 'small')
    mkdirSync(small)
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', small]).status !== 0) throw new Error('no mount')
    try {
      const other = join(small, 'other')
      writeFileSync(other, Buffer.alloc(1_000_000))
      const words = ['fill', join(small, 'depot'), '3000', ...(isOtherRemoved ? [other] : [])]
      const child = startDepotProcess(t, words, { without })
      await child.ended
      return judgeFill(child.lines, 3)
    } finally {
      spawnSync('umount', ['-l', small])
    }
  }

/** A call that fails, and how often: `when` as strace has it. */
const under = (call: string, when: string): string[] =>
  ['strace', '-f', '-qq', '-o', '/dev/null'].concat(
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:error=EIO:when=${when}`,
  )
const syncFails =
  (call: string, when: string): Check =>
  async (t, without) => {
    const child = startDepotProcess(t, ['fill', join(depotFolder(t), 'depot'), '60'], {
      without,
      under: under(call, when),
      env: { UV_THREADPOOL_SIZE: '1' },
    })
    await child.ended
    return judgeFill(child.lines, 1)
  }

/** From some moment on each sync fails; then the machine is started again, and everything is added once more. */
const syncsFail: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const directory = join(depotFolder(t), 'depot')
  const broken = startDepotProcess(t, ['replay', directory, '60'], { without, under: under('fdatasync', '50+') })
  await broken.ended
  const added = wordsAfter(broken.lines, 'added')
  const failed = wordsAfter(broken.lines, 'failed')
  expect(added.length > 0 && failed.length > 0, 'not both of success and failure were told')
  expect(broken.lines.at(-1) === 'end', 'the process died')
  const there = wordsAfter(broken.lines, 'there')
  for (const name of added) expect(there.includes(name), `message ${name} was acknowledged and cannot be read`)
  expect(!failed.some((name) => Number(name) < Math.max(...added.map(Number))), 'a sync worked again')
  const replayed = startDepotProcess(t, ['replay', directory, '60'], { without })
  await replayed.ended
  const after = wordsAfter(replayed.lines, 'there')
  for (let number = 0; number < 60; number++) {
    const times = after.filter((name) => name === String(number)).length
    expect(times === 1, `message ${number} is there ${times} times after it was added again`)
  }
  return seen
}
const failing = [{ without: ['a write that failed is told'], sees: /acknowledged and (is lost|cannot be read)/ }]
if (isRoot) {
  testPromise(
    'R13 a full disk: nothing is acknowledged that is not there, and with room it goes on',
    full(true),
    failing,
  )
  testPromise('R13 a full disk: what is in the queue can be taken, and makes room', full(false), [])
} else skipped('R13 a full disk', 'only root can mount a small one')
if (hasStrace) {
  // The first syncs make the tables.
  testPromise('R15 one sync of the store that fails', syncFails('fdatasync', '40'), failing)
  testPromise('R15 one sync of a large message that fails', syncFails('fsync', '5'), [
    { without: ['a large message that failed is told'], sees: /was told as: failed [0-9]+ Error: EIO/ },
  ])
  testPromise('R15 syncs that fail from some moment on, and the replay', syncsFail, [
    ...failing,
    { without: ['a key stands for one message'], sees: /is there 2 times/ },
  ])
} else skipped('R15 syncs that fail', 'strace is not installed')

testPromise('R16 readers killed with a snapshot in hand hold no place and no page', abandoned(4), [
  { without: ['places of dead readers are freed'], sees: /octets for/ },
])
