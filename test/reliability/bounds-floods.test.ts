/** R53: floods of connections, and descriptors that are used up. */
import { join } from 'node:path'
import { askHost } from '../../host/control/client.ts'
import { childrenOf, servingHost, type HostProcess } from '../helpers/host-process.ts'
import { many, misbehave, openFiles, reads, type Client } from '../helpers/rude-clients.ts'
import { until } from '../helpers/until.ts'
import { watchMemory } from '../helpers/watch-memory.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Good messages beside a fault have their answer long before this. */
const promptMs = 5000

/** How often something was told of, as its lines count it. */
const sum = (host: HostProcess, pattern: RegExp): number =>
  host.log.reduce((count, line) => count + Number(pattern.exec(line)?.[1] ?? 0), 0)

const flood: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const total = without.length === 0 ? 5000 : 1500
  const atOnce = 600
  const set = ['courierfilter.request_timeout=1s', 'runner.threads=2', 'host.deadline=20s']
  const host = await servingHost(t, ['act'], { set, without, openFiles: 256 })
  const { pair } = host.place
  const control = join(host.place.state, 'control.sock')
  const statusOf = async (): Promise<boolean> => (await askHost(control, 'status')).kind === 'answer'
  const warned = host.log.some((line) => / configuration-warning .*may open only 256 files/.test(line))
  expect(warned, 'nobody is told that the descriptors do not suffice')

  const memory = watchMemory(host.pid)
  const good: string[] = []
  let controlFailed = 0
  let most = 0
  const ended = new AbortController()
  const sending = (async () => {
    while (!ended.signal.aborted) {
      good.push(await host.ask(pair()).catch(String))
      if (!(await statusOf().catch(() => false))) controlFailed++
      most = Math.max(most, openFiles(host.pid))
    }
  })()
  let begun = 0
  const clients: Client[] = []
  const lane = async (): Promise<void> => {
    while (begun++ < total) {
      // Says nothing, and stays until the host hangs up.
      const client = await misbehave(host, reads)
      clients.push(client)
      await until('the host to hang up', () => client.closedMs, 20_000, 50).catch(() => client.socket.destroy())
    }
  }
  const lanes = Promise.all(Array.from({ length: atOnce }, lane))
  await until('the flood to rise', () => clients.length > 200)
  // In the middle of it a runner dies, and another one is to be started.
  for (const pid of childrenOf(host.pid)) process.kill(pid, 'SIGKILL')
  const restarted = await within(10_000, host.logged(/ runner-ended /, 20_000))
  expect(restarted !== null, 'the runner did not end')
  await within(60_000, lanes)
  ended.abort()
  await sending
  const after = await within(
    promptMs,
    until('a good answer', async () => (await host.ask(pair()).catch(String)) === '200 Ok\n', 20_000),
  )
  expect(after === true, 'no good answer after the flood')
  expect((await host.ask(pair())) === '200 Ok\n', 'nor a second one')

  expect(most < 256 - 16, `${most} of 256 descriptors were in use`)
  expect(controlFailed === 0, `the control socket did not answer ${controlFailed} times`)
  const others = [...new Set(good)].filter((answer) => answer !== '200 Ok\n' && answer !== '')
  expect(others.length === 0, `good messages heard ${JSON.stringify(others)}`)
  const starts = host.log.filter((line) => / runner-started lane=main /.test(line)).length
  expect(starts === 2, `${starts} runners were started`)
  const heard = clients.filter(({ heard }) => heard !== '').length
  expect(heard === 0, 'a client that asked nothing heard something')
  const grownBy = memory.grownBy()
  expect(grownBy < 64, `the host grew by ${grownBy} MiB`)
  // What is untold yet is told at the end.
  await host.stop()
  const refused = sum(host, / connections-refused .*count=([0-9]+)/)
  const late =
    host.log.filter((line) => / request-refused .*no whole request/.test(line)).length +
    sum(host, / request-refused .*so were ([0-9]+) more/)
  const accounted = refused + late
  const want = clients.length + good.filter((answer) => answer === '').length
  expect(accounted === want, `${want} connections were refused, ${refused} + ${late} are told of`)
  const lines = host.log.filter((line) => / (connections|request)-refused /.test(line)).length
  expect(lines < 200, `${lines} lines tell of a flood`)
  return seen
}

testPromise('R53 5,000 connections at 256 descriptors: refused ones are counted, the others served', flood, [
  { without: ['connections leave descriptors for the rest'], sees: /descriptors were in use|are told of$/ },
  { without: ['refused connections are counted'], sees: /are told of$/ },
])

/** Should the descriptors be used up all the same: no message passes, and all is well once there are some again. */
const starved: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const set = ['courierfilter.request_timeout=60s', 'runner.threads=2', 'host.deadline=3s']
  const reserve = 'connections leave descriptors for the rest'
  const host = await servingHost(t, ['act'], { set, without: [...without, reserve], openFiles: 256 })
  const { pair } = host.place
  const clients = await many(host, 300, reads)
  await until('all descriptors to be in use', () => openFiles(host.pid) >= 250)
  for (const pid of childrenOf(host.pid)) process.kill(pid, 'SIGKILL')
  const tried = await within(
    promptMs,
    host.logged(/ runner-ended .*cannot be started/, 20_000).catch(() => null),
  )
  expect(tried !== null, 'no runner was tried to be started')
  const during = await host.ask(pair()).catch(String)
  expect(/^(451 .*\n)?$/.test(during) || /EAGAIN|ECONNREFUSED/.test(during), `a message meanwhile hears ${during}`)
  for (const { socket } of clients) socket.destroy()
  const good = async (): Promise<boolean> => (await host.ask(pair()).catch(String)) === '200 Ok\n'
  await until('a good answer', good, without.length === 0 ? 15_000 : 3000, 100).catch(() =>
    expect(false, 'no good answer afterwards'),
  )
  await host.kill()
  return seen
}

testPromise('R53 a host whose descriptors are used up defers, and serves again once there are some', starved, [
  { without: ['a runner without pipes is none'], sees: /^no (runner was tried|good answer)/ },
])
