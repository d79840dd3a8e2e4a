/**
 * What happens to leases, delays and TTL keys when clocks jump and processes stand still: rows R65 and R66.
 *
 * The part with a wall clock that jumps under a running process needs libfaketime, where the system has it or where
 * NODEFILTER_FAKETIME says.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openDepot } from '../../queue-store/depot.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from '../reliability/check.ts'
import { depotFolder, startDepotProcess, wordsAfter } from './depot-process.ts'

t.setTimeout(150_000)
const day = 86_400_000

/** What is leased or delayed while the wall clock is wrong is due soon when it is right again. */
const restarted =
  (days: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const child = startDepotProcess(t, ['restart', join(depotFolder(t), 'depot'), String(days)], { without })
    await child.ended
    expect(wordsAfter(child.lines, 'due').sort().join() === 'delayed,later,leased', 'a message is lost')
    for (const line of child.lines.filter((one) => one.startsWith('due'))) {
      const [, name = '', leftMs] = line.split(' ')
      expect(Number(leftMs) <= 150_000, `${name} is due in ${String(leftMs)} ms`)
    }
    for (const ms of wordsAfter(child.lines, 'back')) expect(Number(ms) > -20_000, `the clock went back by ${ms} ms`)
    return seen
  }
testPromise('R65 the machine is started with its wall clock 400 days ahead, and again with it right', restarted(400), [
  { without: ['the time at a start is noted', 'the time is noted'], sees: /is due in [0-9]{9,} ms/ },
])
testPromise(
  'R65 the machine is started with its wall clock 400 days behind, and again with it right',
  restarted(-400),
  [{ without: ['the clock never goes back'], sees: /went back by/ }],
)

t.test('R65 a clock that jumps in the hands of a caller', async (t) => {
  const clock = { nowMs: 1_000_000 * day }
  const depot = await openDepot(join(depotFolder(t), 'depot'), { now: () => clock.nowMs })
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in')
  await queue.add({ message: Buffer.from('x') })
  const [held] = await queue.receive({ leaseSeconds: 60 })
  if (held === undefined) throw new Error('nothing came')
  clock.nowMs -= 30 * day
  t.equal((await queue.receive()).length, 0, 'back: the lease holds')
  t.equal((await queue.counts()).oldestMs, 0, 'and no age is negative')
  clock.nowMs += 60 * day
  const [again] = await queue.receive({ leaseSeconds: 60 })
  t.equal(again?.id, held.id, 'ahead: it has ended')
  await t.rejects(held.ack(), { code: 'LEASE_LOST' })
  t.equal(await again?.ack(), 'done')
})

/** Where the library is. */
function faketime(): string | null {
  const given = process.env['NODEFILTER_FAKETIME']
  if (given !== undefined) return given
  for (const folder of existsSync('/usr/lib') ? ['', ...readdirSync('/usr/lib')] : []) {
    const path = join('/usr/lib', folder, 'faketime/libfaketime.so.1')
    if (existsSync(path)) return path
  }
  return null
}
const library = faketime()

const jumps =
  (ahead: string): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const folder = depotFolder(t)
    const directory = join(folder, 'depot')
    const stamp = join(folder, 'time')
    writeFileSync(stamp, '+0')
    const child = startDepotProcess(t, ['clock', directory, '4'], {
      without,
      env: {
        LD_PRELOAD: library ?? '',
        FAKETIME_TIMESTAMP_FILE: stamp,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    })
    const said = (word: string): Promise<unknown> =>
      until(word, () => child.lines.some((line) => line.startsWith(word)) || child.process.exitCode !== null, 20_000)
    await said('ready')
    writeFileSync(stamp, ahead)
    await said('kept')
    // Another process, whose wall clock did not jump, goes by the same clock of the depot.
    const other = await openDepot(directory)
    const early = await (await other.queue('in')).receive({ max: 10 })
    await other.close()
    writeFileSync(stamp, '+0')
    if ((await within(12_000, child.ended)) === null) await child.kill()
    const of = (word: string): string[] | undefined =>
      child.lines
        .find((line) => line.startsWith(word))
        ?.split(' ')
        .slice(1)
    const [count, atMs] = of('early') ?? []
    expect(Number(atMs) > 3900 || count === '0', `${String(count)} messages were given out after ${String(atMs)} ms`)
    expect(Number(atMs) > 2000 || early.length === 0, `another process was given ${early.length} messages`)
    expect(of('kept')?.[0] === '200', `${String(of('kept')?.[0])} of 200 keys were kept`)
    expect(of('again')?.[0] === 'true', 'a key is gone when the clock is right again')
    const came = child.lines.filter((line) => line.startsWith('came'))
    expect(wordsAfter(came, 'came').sort().join() === 'delayed,leased', `not both came: ${came.join()}`)
    for (const line of came) {
      const ms = Number(line.split(' ')[2])
      expect(ms >= 3990 && ms < 9000, `after ${ms} ms: ${line}`)
    }
    return seen
  }
if (library === null) {
  t.test('R65 the wall clock jumps', { skip: 'libfaketime is not installed' }, (t) => t.end())
} else {
  testPromise('R65 the wall clock jumps three days ahead, and back', jumps('+3d'), [
    { without: ['the clock is not the wall clock'], sees: /were given out after/ },
    { without: ['a jump holds the sweep'], sees: /of 200 keys were kept/ },
  ])
  testPromise('R65 the wall clock jumps three days back, and ahead', jumps('-3d'), [])
}

/** A consumer is stopped for longer than its lease; another one is given the message, and the first goes on. */
const stopped: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const directory = join(depotFolder(t), 'depot')
  const depot = await openDepot(directory)
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in', { firstRetrySeconds: 0 })
  const child = startDepotProcess(t, ['hold', directory, '1'], { without })
  await queue.add({ message: Buffer.from('x') })
  await until('it has the message', () => child.lines.includes('took 1'))
  // Renewed for longer than a lease.
  t.same(await queue.receive({ waitSeconds: 1.5 }), [])
  child.process.kill('SIGSTOP')
  const [again] = await queue.receive({ waitSeconds: 10, leaseSeconds: 60 })
  expect(again?.deliveries === 2, `it was delivered ${String(again?.deliveries)} times`)
  child.process.kill('SIGCONT')
  const late = (): string | undefined => child.lines.find((line) => line.startsWith('back '))
  await until('it says what it heard', () => late() ?? child.process.exitCode !== null, 10_000).catch(() =>
    expect(false, 'the consumer does not hear that its lease is lost'),
  )
  const word = (name: string): string => wordsAfter(child.lines, name).join()
  expect(word('lost') === 'LEASE_LOST', `its signal says ${word('lost')}`)
  expect(word('late') === 'LEASE_LOST', `a late acknowledgement was answered by ${word('late')}`)
  expect(word('back') === 'LEASE_LOST', `a late failure was answered by ${word('back')}`)
  // The wait for the next message has not begun: what is written can only be renewals.
  expect(word('renewals') === '0', `${word('renewals')} renewals of a lease that is lost`)
  const settled = await again?.ack().catch(String)
  expect(settled === 'done', `the other one heard ${String(settled)}`)
  await queue.add({ message: Buffer.from('x'), facts: { name: 'last' } })
  await until('it goes on', () => child.lines.at(-1) === 'end' || child.process.exitCode !== null, 10_000).catch(() =>
    expect(false, 'it does not go on'),
  )
  const { ready, leased, dead } = await queue.counts()
  expect(ready + leased + dead === 0, 'the queue is not empty in the end')
  return seen
}
testPromise('R66 a consumer that stood still for longer than its lease is refused, and goes on', stopped, [
  { without: ['a late consumer is refused'], sees: /answered by done|heard gone|does not hear/ },
  { without: ['renewals end with the lease'], sees: /renewals of a lease/ },
])
