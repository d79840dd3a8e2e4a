/**
 * R08, R09, R10 and R30 (children): runners that are killed, and what their filters started, in a real host, with a stream of good
 * messages beside each fault.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { makePlace, orders, servingHost, startHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'
import { finish, harm, harmfulHost, lanes, ownWatch, promptMs, runnerPid, running, signal, told } from './harm.ts'

/** A number of seconds that no other test's \`sleep\` has. */
const ownSeconds = (): number => 100_000 + Math.floor(Math.random() * 800_000)

const orphans: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await harmfulHost(t, without, ['runner.blocked_limit=20s'])
  const seconds = ownSeconds()
  t.teardown(() => running(new RegExp(`^sleep ${seconds}$`)).forEach((pid) => signal(pid, 'SIGKILL')))
  const fifo = host.place.at('fifo')
  execFileSync('mkfifo', [fifo])
  void host.ask(host.place.pair({ content: harm(`children ${seconds}`, `fifo ${fifo}`) })).catch(String)
  await until('the children', () => running(new RegExp(`^sleep ${seconds}$`)).length === 3)
  const runner = await runnerPid(host)
  host.signal('SIGKILL')
  const gone = (what: string, probe: () => boolean): Promise<unknown> =>
    until(what, probe, 2000).catch(() => expect(false, `${what} did not end within 2 s`))
  await gone('the runner', () => !existsSync(`/proc/${runner}`))
  await gone('a child', () => running(new RegExp(`^sleep ${seconds}$`)).length === 0)
  signal(runner, 'SIGKILL')
  await host.kill()
  return seen
}
testPromise(
  'R08 a runner whose host was killed ends within 2 s, in a native call too, with all its children',
  orphans,
  [
    { without: ['runner ends with its host'], sees: /^the runner did not end/ },
    { without: ['the family of an orphan is ended'], sees: /^a child did not end/ },
  ],
)

/** The runner stands still: it cannot end itself. */
const frozenOrphan: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await harmfulHost(t, without)
  const runner = await runnerPid(host)
  t.teardown(() => signal(runner, 'SIGKILL'))
  signal(runner, 'SIGSTOP')
  host.signal('SIGKILL')
  await host.ended
  const next = startHost(t, host.place, { set: [...ownWatch, `chain.filter_path=${host.place.filters}`], without })
  await next.ready()
  await until('the end', () => !existsSync(`/proc/${runner}`), 3000).catch(() =>
    expect(false, 'a frozen runner outlives the next start of its host'),
  )
  await next.kill()
  return seen
}
testPromise('R08 what could not end itself is ended by the next host', frozenOrphan, [
  { without: ['what an earlier host left behind is ended'], sees: /^a frozen runner outlives/ },
])

const children: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await harmfulHost(t, without, ['runner.max_messages=1000000'])
  const stream = startStream(host)
  const seconds = ownSeconds()
  const left = (): number => running(new RegExp(`^sleep ${seconds}$`)).length
  t.teardown(() => running(new RegExp(`^sleep ${seconds}$`)).forEach((pid) => signal(pid, 'SIGKILL')))
  const answer = await within(promptMs, host.ask(host.place.pair({ content: harm(`children ${seconds}`) })))
  expect(answer === '200 Ok\n', `the message hears ${String(answer)}`)
  await until('the children', () => left() === 3)
  signal(await runnerPid(host), 'SIGKILL')
  await until('their end', () => left() === 0, 3000).catch(() =>
    expect(false, `${left()} children outlive their runner`),
  )
  return finish(host, stream, findings)
}
testPromise('R30 children end with their runner, also those that left its group', children, [
  { without: ['what left the group of a runner is ended'], sees: /^[1-3] children outlive their runner/ },
])

/** The same message again and again, as the mail server brings it: in other files, with another trace, under another id. */
const poisonous =
  (times: number): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await servingHost(t, ['act'], { set: [...ownWatch, 'runner.poison_limit=3'], without })
    const stream = startStream(host)
    for (let n = 0; n < times; n++) {
      const trace = `Received: from relay${n}.example.net ([192.0.2.${n}])\n  by mx.example.org id ${'x'.repeat(n)}\n`
      const content = trace + orders({ act: 'kill SIGKILL' })
      const answer = await within(promptMs, host.ask(host.place.pair({ id: `POISON.${n}`, content })))
      expect(/^451 4\.3\.0 .*\n$/.test(answer ?? ''), `try ${n}: ${answer ?? 'no answer'}`)
      await host
        .logged(new RegExp(` poison-message .*queueId=POISON\\.${n} sender=sender@example.net kills=[23] `), 3000)
        .catch(() => expect(false, `try ${n}: no alert`))
    }
    const ended = told(host, / runner-ended /)
    expect(ended <= 3, `${ended} runners were killed`)
    const started = told(host, / runner-started lane=main /)
    expect(started <= 2, `the main runner was started ${started} times`)
    // Those that were in hand beside it the first time may need some of their own.
    const solo = told(host, / runner-started lane=solo /)
    expect(solo <= 5, `${solo} processes were started for single messages`)
    const good = await Promise.all(Array.from({ length: 100 }, () => host.ask(host.place.pair())))
    expect(
      good.every((answer) => answer === '200 Ok\n'),
      'a good message was refused',
    )
    return finish(host, stream, findings)
  }
testPromise('R09 a message that kills its runner is known when it comes again; few runners are lost', poisonous(10), [
  { without: ['a killer is known by its content'], sees: /^[0-9]+ runners were killed/, check: poisonous(3) },
  { without: ['trace fields do not count'], sees: /^[0-9]+ runners were killed/, check: poisonous(3) },
])

/** Five good ones in hand beside one that takes ten seconds to kill: they have their answers long before. */
const slowKiller: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await servingHost(t, ['act'], { set: [...ownWatch, 'runner.blocked_limit=20s'], without })
  const stream = startStream(host)
  const go = host.place.at('go')
  const begun = host.place.at('begun')
  const slow = host
    .ask(host.place.pair({ content: orders({ act: ['first kill SIGKILL', 'loop 10000'] }) }))
    .catch(String)
  await until('its own process', () => told(host, / runner-started lane=solo /) === 1)
  const good = Array.from({ length: 5 }, () =>
    host.ask(host.place.pair({ content: orders({ act: [`journal ${begun}`, `first hold ${go}`] }) })),
  )
  const begunCount = (): number => (existsSync(begun) ? readFileSync(begun, 'utf8').split('\n').length - 1 : 0)
  await until('five in hand', () => begunCount() === 5)
  signal(await runnerPid(host), 'SIGKILL')
  const answers = await within(promptMs, Promise.all(good))
  expect(answers !== null, 'good messages wait for a slow one')
  expect(
    (answers ?? []).every((answer) => answer === '200 Ok\n'),
    `good ones hear ${String(answers)}`,
  )
  void slow
  return finish(host, stream, findings)
}
testPromise('R09 those who were beside a killer do not wait for another one that runs alone', slowKiller, [
  { without: ['a slow killer holds its own lane alone'], sees: /^good messages wait for a slow one/ },
])

const diesAtLoad: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'dies')
  place.filter('dies.mjs', "process.kill(process.pid, 'SIGKILL')\nexport const doFilter = () => undefined\n")
  const host = startHost(t, place, { set: [...ownWatch, `chain.filter_path=${place.filters}`], without })
  const open = await within(promptMs, host.ready())
  const starts = told(host, / runner-started /)
  expect(starts <= 3, `${starts} runners were started`)
  expect(open !== null, 'the door does not open')
  const answer = open === null ? null : await within(promptMs, host.ask(place.pair()))
  expect(/^451 4\.3\.5 .*\n$/.test(answer ?? ''), `mail hears ${String(answer)}`)
  await host.kill()
  return seen
}
testPromise('R10 a filter that kills at load: three starts, then 451 4.3.5', diesAtLoad, [
  { without: ['loading is given up'], sees: /^the door does not open/ },
])

/** A runner that is killed whenever it lives: its successors come later and later. */
const crashLoop: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await servingHost(t, ['act'], { set: ownWatch, without })
  let killed = 0
  const untilMs = performance.now() + 4000
  while (performance.now() < untilMs) {
    const pid = (await lanes(host)).find(({ name }) => name === 'main')?.pid ?? null
    if (pid !== null) signal(pid, 'SIGKILL')
    if (pid !== null) killed++
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // 100, 200, 400, 800, 1600 ms, and what comes before and after.
  const starts = told(host, / runner-started /)
  expect(starts <= 8, `${starts} runners were started in four seconds`)
  expect(killed > 0, 'none was killed')
  const role = (await lanes(host)).find(({ name }) => name === 'main')?.role
  expect(starts > 8 || role === 'down' || role === 'serving', `its role is ${String(role)}`)
  const answer = await within(15_000, host.ask(host.place.pair()))
  expect(answer === '200 Ok\n', `when it lives again mail hears ${String(answer)}`)
  await host.kill()
  return seen
}
testPromise(
  'R10 a runner that is killed again and again is started later and later, and serves in the end',
  crashLoop,
  [{ without: ['restarts have pauses'], sees: /^[0-9]+ runners were started in four seconds/ }],
)
