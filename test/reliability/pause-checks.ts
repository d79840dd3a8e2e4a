/** What R66 promises of a host, or a whole machine, that stands still for a while. */
import { existsSync, writeFileSync } from 'node:fs'
import { orders, servingHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, within, type Check } from './check.ts'
import { finish, ownWatch, promptMs, runnerPid, signal, told } from './harm.ts'

/** The machine is suspended: host and runner both stand still, and then go on as if nothing had been. */
export const suspended =
  (pauseMs: number): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    // A message whose time ran out meanwhile would be answered 451, and rightly.
    const set = [...ownWatch, 'runner.blocked_limit=1s', 'host.deadline=5m', 'chain.time_limit=5m']
    const host = await servingHost(t, ['act'], { set, without })
    const [begun, go] = [host.place.at('begun'), host.place.at('go')]
    const content = orders({ act: [`journal ${begun}`, `hold ${go}`] })
    const inHand = host.ask(host.place.pair({ content }), pauseMs + 20_000)
    await until('it in hand', () => existsSync(begun))
    const runner = await runnerPid(host)
    for (const pid of [host.pid, runner]) signal(pid, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    for (const pid of [host.pid, runner]) signal(pid, 'SIGCONT')
    const stream = startStream(host)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    writeFileSync(go, '')
    const answer = await within(promptMs, inHand)
    expect(answer === '200 Ok\n', `the message in hand hears ${answer ?? 'nothing'}`)
    const lost = host.log.find((line) => / (runner-ended|thread-blocked|thread-lost|runs-again) /.test(line))
    // What came before it says why.
    expect(
      lost === undefined,
      `something was lost: ${lost === undefined ? '' : host.log.filter((line) => !line.includes(' settled ')).join('\n')}`,
    )
    return finish(host, stream, findings)
  }

/** The host alone stood still, beyond the deadline of a message whose answer was there in time. */
export const hostPaused =
  (pauseMs: number): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const set = [...ownWatch, 'host.deadline=3s']
    const host = await servingHost(t, ['act'], { set, without })
    const begun = host.place.at('begun')
    const content = orders({ act: [`journal ${begun}`, 'later 1000 ""'] })
    const inHand = host.ask(host.place.pair({ content }), pauseMs + 20_000)
    await until('it in hand', () => existsSync(begun))
    host.signal('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    host.signal('SIGCONT')
    const stream = startStream(host)
    const answer = await within(promptMs, inHand)
    expect(answer === '200 Ok\n', `the message in hand hears ${answer ?? 'nothing'}`)
    expect(told(host, / runner-ended /) === 0, 'its runner was ended for that')
    return finish(host, stream, findings)
  }
