/**
 * R23 to R25: filters that take their process along by blocking calls or by memory, in a real host, with a stream of good messages beside each fault.
 */
import { execFileSync } from 'node:child_process'
import { startStream } from '../helpers/host-process.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'
import { finish, harm, harmfulHost, promptMs } from './harm.ts'

/** Calls that no thread can be torn out of, beside messages that wait in peace. */
const stuck =
  (acts: readonly string[]): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await harmfulHost(t, without, ['runner.blocked_limit=1s'])
    const stream = startStream(host)
    const fifo = host.place.at('fifo')
    execFileSync('mkfifo', [fifo])
    for (const act of acts) {
      const beside = host.ask(host.place.pair({ content: harm('wait 1500') }))
      const content = harm(act === 'fifo' ? `fifo ${fifo}` : act)
      const answer = await within(promptMs, host.ask(host.place.pair({ content })))
      expect(/^451 4\.3\.0 .*took too long.*\n$/.test(answer ?? ''), `${act}: ${answer ?? 'no answer'}`)
      const neighbour = await within(promptMs, beside)
      expect(neighbour === '200 Ok\n', `beside ${act}: ${neighbour ?? 'no answer'}`)
      if (findings.seen.length > 0) break
    }
    return finish(host, stream, findings)
  }
testPromise(
  'R23 a blocking native call costs its runner; its neighbours run again',
  stuck(['fifo', 'exec', 'pbkdf2']),
  [{ without: ['a stuck thread costs its runner'], sees: /^fifo: no answer/, check: stuck(['fifo']) }],
)

/** What aborts the whole process, whatever the limits of its threads. */
const aborts =
  (acts: readonly string[], set: readonly string[] = []): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await harmfulHost(t, without, ['runner.max_heap=64MiB', 'runner.blocked_limit=20s', ...set])
    const stream = startStream(host)
    for (const act of acts) {
      const answer = await within(18_000, host.ask(host.place.pair({ content: harm(act) })))
      expect(/^451 4\.3\.0 .*\n$/.test(answer ?? ''), `${act}: ${answer ?? 'no answer'}`)
      const next = await within(promptMs, host.ask(host.place.pair()))
      expect(next === '200 Ok\n', `after ${act}: ${next ?? 'no answer'}`)
      if (findings.seen.length > 0) break
    }
    return finish(host, stream, findings)
  }
testPromise('R24 what aborts the process: 451, and the runner is back', aborts(['map', 'array', 'split']), [
  {
    without: ['a runner is started again'],
    sees: /^after array: no answer/,
    check: aborts(['array'], ['runner.max_memory=9GiB', 'runner.recycle_memory=8GiB']),
  },
])

const buffers: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await harmfulHost(t, without, ['runner.max_memory=400MiB', 'runner.recycle_memory=390MiB'])
  const stream = startStream(host)
  const answer = await within(15_000, host.ask(host.place.pair({ id: 'BIG.1', content: harm('buffers 1000') })))
  expect(/^451 4\.3\.0 .*\n$/.test(answer ?? ''), `mail hears ${answer ?? 'nothing'}`)
  const line = answer === null ? '' : await host.settled('BIG.1')
  expect(/errorCode=runner-lost errorCause=".*memory \([0-9]+ MiB in use/.test(line), `the log says ${line}`)
  return finish(host, stream, findings)
}
testPromise('R25 1 GB of Buffers: the runner is ended at its limit, and the log says why', buffers, [
  { without: ['memory has a limit'], sees: /^mail hears 200/ },
])
