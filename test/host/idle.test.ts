/** A host that has nothing to do leaves the processor alone. */
import t from 'tap'
import { childrenOf } from '../../bench/process-facts.ts'
import { perSecondOf, watchWakeUps } from '../../bench/wake-ups.ts'
import { makePlace, startHost, type HostProcess } from '../helpers/host-process.ts'

/**
 * Host and runner ask each other once in a while whether they live, which wakes either side, and the asking one again for
 * the answer.
 */
const mostPerSecond = 2.5
const windowSeconds = 10
/** Node itself goes on for a while after a start: it collects garbage, and frees what it needs no more. */
const windows = 5

t.setTimeout(110_000)

/** The wake-ups of host and runner, a second, in the first window that is quiet; else in the last one. */
async function wakeUps(host: HostProcess, mostWindows: number, seconds = windowSeconds): Promise<number[]> {
  let found: number[] = []
  for (let window = 0; window < mostWindows; window++) {
    const pids = [host.pid, ...childrenOf(host.pid)]
    const threads = await watchWakeUps(pids, seconds)
    found = pids.map((pid) => Math.round(perSecondOf(pid, threads) * 100) / 100)
    t.comment(`wake-ups a second of host and runner: ${found.join(' and ')}`)
    if (found.every((perSecond) => perSecond <= mostPerSecond)) break
  }
  return found
}

t.test('at rest neither host nor runner is woken by timers', async (t) => {
  t.setTimeout(90_000)
  const host = startHost(t, makePlace(t, 'noduplicates', 'act'))
  await host.ready()
  t.equal(await host.ask(host.place.pair()), '200 Ok\n')
  const found = await wakeUps(host, windows)
  t.equal(found.length, 2, 'a host and a runner')
  t.ok(Math.max(...found) <= mostPerSecond, `at most ${mostPerSecond} times a second`, { found })
})

t.test('control: a timer of 50 ms in a filter is seen', async (t) => {
  const place = makePlace(t, 'ticking')
  place.filter(
    'ticking.mjs',
    'export const initFilter = () => void setInterval(() => {}, 50)\nexport const doFilter = () => ""\n',
  )
  const host = startHost(t, place)
  await host.ready()
  const [, runner = 0] = await wakeUps(host, 1, 3)
  t.ok(runner > mostPerSecond * 4, 'far more often', { runner })
})
