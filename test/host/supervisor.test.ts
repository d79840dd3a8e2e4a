/** The supervisor and its lanes, with runners that the test plays: what becomes of messages when threads are lost. */
import { appendFileSync, readFileSync } from 'node:fs'
import t from 'tap'
import type { RunResult } from '../../host/runner/ticket.ts'
import type { ControlDown, JobFrame } from '../../host/runner/wire.ts'
import type { FakeRunner, FakeThread } from '../helpers/fake-runner.ts'
import { entriesOf, loadPlan, openRunnerStage } from '../helpers/runner-stage.ts'
import { until } from '../helpers/until.ts'

const passes = { verdict: { kind: 'pass' }, by: null, failure: null, trail: [], notes: [], stray: false }
const answer = (thread: FakeThread, job: JobFrame, more: object = {}): void =>
  thread.send({
    type: 'done',
    results: [{ key: job.key, outcome: { ...passes, rerunWithout: null, undone: false, version: null, ...more } }],
  })
/** A result in a word: the verdict's kind or the failure's, and how many attempts it took. */
const told = async (result: Promise<RunResult>): Promise<string> => {
  const { outcome, failure, attempts } = await result
  return `${failure?.kind ?? outcome?.verdict?.kind ?? 'nothing'} ${attempts}`
}
const killed = (runner: FakeRunner): number[] =>
  runner.heard.flatMap((frame: ControlDown) => (frame.type === 'kill-thread' ? [frame.slot] : []))

/** The thread is dead: its line is closed and its runner says so. */
function die(runner: FakeRunner, thread: FakeThread, text = 'gone'): void {
  thread.close()
  runner.say({ type: 'thread-gone', slot: thread.slot, text })
}

t.test('a chain that cannot be loaded', async (t) => {
  const stage = await openRunnerStage(t)
  const runner = await stage.runner(0)
  const early = stage.ask()
  const problem = { file: '/e.js', line: 3, column: 7, text: 'exports no doFilter', cure: 'export one' }
  runner.thread(0, { loads: false }).send({ type: 'broken', problems: [problem] })
  t.same(await stage.supervisor.ready, { kind: 'broken', problems: [problem] }, 'is told as the threads tell it')
  t.equal(await told(early), 'broken 1', 'a message that waited for it is not kept waiting')
  t.equal(await told(stage.ask()), 'broken 1', 'nor is a later one')
  t.equal(stage.started(), 1, 'and no runner is started again')
})

t.test('a runner that dies while it loads is started three times, with pauses, and then given up', async (t) => {
  const stage = await openRunnerStage(t)
  const sinceMs = performance.now()
  for (let attempt = 0; attempt < 3; attempt++) (await stage.runner(attempt)).end('SIGSEGV')
  const state = await stage.supervisor.ready
  t.match(state, {
    kind: 'broken',
    problems: [{ text: /ended 3 times while it loaded the filters: ended by SIGSEGV/ }],
  })
  t.ok(performance.now() - sinceMs >= 250, 'the pauses were made')
  t.equal(stage.started(), 3)
})

t.test('a chain that takes too long to load is broken', async (t) => {
  const stage = await openRunnerStage(t, { startLimitMs: 100 })
  t.match(await stage.supervisor.ready, {
    kind: 'broken',
    problems: [{ text: 'the filters were not loaded within 100 ms' }],
  })
})

t.test('a runner gets a clean environment and a word that strangers do not know', async (t) => {
  process.env['NODEFILTER_TEST_SECRET'] = 'x'
  t.teardown(() => delete process.env['NODEFILTER_TEST_SECRET'])
  const stage = await openRunnerStage(t)
  const runner = await stage.runner(0)
  t.ok('PATH' in runner.env)
  t.notOk('NODEFILTER_TEST_SECRET' in runner.env, 'what a site put into the environment stays there')
  t.match(runner.args.at(-1), /process\.[tj]s$/)
  const stranger = runner.thread(0, { token: 'guess' })
  await until('the stranger to be turned away', () => !stranger.isOpen())
  t.equal(stage.supervisor.state().kind, 'starting', 'what it says is not heard')
})

t.test('messages are spread, kept from a thread that stands still, and turned away when too many wait', async (t) => {
  const stage = await openRunnerStage(t, { maxWaiting: 1, messagesPerThread: 1 })
  const runner = await stage.runner(0)
  const [one, two] = [runner.thread(0), runner.thread(1)]
  await stage.supervisor.ready
  const first = stage.ask()
  const firstJob = await one.job(0)
  const second = stage.ask()
  const secondJob = await two.job(0)
  t.not(firstJob.key, secondJob.key, 'each has a key of its own')

  runner.say({ type: 'stalled', slot: 0, stalled: true })
  answer(one, firstJob)
  t.equal(await told(first), 'pass 1')
  const waiting = stage.ask()
  await until('one to be turned away', async () => (await told(stage.ask(50))) === 'overloaded 0', 1000)
  t.equal(one.jobs.length, 1, 'the thread that stands still gets none, although it is free')
  runner.say({ type: 'stalled', slot: 0, stalled: false })
  answer(one, await one.job(1))
  answer(two, secondJob)
  t.same([await told(second), await told(waiting)], ['pass 1', 'pass 1'])
})

t.test('a thread that stands still costs the message whose filter is to blame; its neighbours run again', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 2 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const [guilty, innocent] = [stage.ask(), stage.ask()]
  const [culprit, neighbour] = [await thread.job(0), await thread.job(1)]
  runner.say({ type: 'blocked', slot: 0, job: culprit.number, filter: 0, afterMs: 2000 })
  die(runner, thread)
  t.match(await guilty, {
    attempts: 1,
    failure: { kind: 'blocked', filter: 'e', text: /did not give its thread back/ },
  })
  const fresh = runner.thread(0)
  const again = await fresh.job(0)
  t.not(again.key, neighbour.key, 'under a new key')
  t.equal(again.attempt, 2)
  answer(fresh, again)
  t.equal(await told(innocent), 'pass 2')
})

t.test('a filter that may fail and stands still is left out the next time', async (t) => {
  const chain = loadPlan(entriesOf('e', 'soft'))
  const stage = await openRunnerStage(t, { threads: 1, chain })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const pair = stage.pair()
  const [control = ''] = pair.controlPaths
  const before = readFileSync(control)
  const result = stage.ask(2500, pair)
  const job = await thread.job(0)
  appendFileSync(control, 'U\n')
  runner.say({ type: 'blocked', slot: 0, job: job.number, filter: 1, afterMs: 2000 })
  die(runner, thread)
  const fresh = runner.thread(0)
  const again = await fresh.job(0)
  t.same(again.without, [1])
  t.same(readFileSync(control), before, 'what it had appended is taken back before that')
  // Stray code of the same filter, told of by the thread itself, and then by no thread at all.
  runner.say({ type: 'blocked', slot: 0, job: again.number, filter: 1, afterMs: 2000 })
  die(runner, fresh)
  t.match(await told(result), 'blocked 2', 'blamed twice, it is no excuse')
})

t.test('a thread asks itself for a run without a filter whose stray code may still edit', async (t) => {
  const chain = loadPlan(entriesOf('soft'))
  const stage = await openRunnerStage(t, { threads: 1, chain })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const result = stage.ask()
  const failure = { kind: 'late', filter: 'soft', text: 'gave no answer' }
  answer(thread, await thread.job(0), { verdict: null, failure, stray: true, rerunWithout: 0 })
  await until('the thread to be ended', () => killed(runner).includes(0))
  die(runner, thread)
  const fresh = runner.thread(0)
  const again = await fresh.job(0)
  t.same([again.attempt, again.without], [2, [0]])
  answer(fresh, again)
  t.equal(await told(result), 'pass 2')
})

t.test('messages that lose their thread run once more, each alone on a thread', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 2 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const results = [stage.ask(), stage.ask()]
  await thread.job(1)
  die(runner, thread, 'process.exit')
  const fresh = runner.thread(0)
  const first = await fresh.job(0)
  const third = stage.ask()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(fresh.jobs.length, 1, 'no other one joins it')
  die(runner, fresh, 'process.exit')
  t.match(await Promise.race(results), { attempts: 2, failure: { kind: 'thread-lost', text: 'process.exit' } })
  t.equal(first.attempt, 2)
  const last = runner.thread(0)
  answer(last, await last.job(0))
  answer(last, await last.job(1))
  t.same((await Promise.all([...results, third].map(told))).sort(), ['pass 1', 'pass 2', 'thread-lost 2'])
})

t.test('messages that lose their runner run once more, in a process of their own', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 2 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const results = [stage.ask(), stage.ask()]
  await thread.job(1)
  runner.end('SIGKILL')
  const solo = await stage.runner(1)
  t.equal(solo.start.threads, 1, 'it has one thread')
  const alone = solo.thread(0)
  await alone.job(0)
  const main = await stage.runner(2)
  t.equal(alone.jobs.length, 1, 'that runs one message at a time')
  solo.end('SIGKILL')
  t.match(await Promise.race(results), { attempts: 2, failure: { kind: 'runner-lost', text: 'ended by SIGKILL' } })
  const next = await stage.runner(3)
  const innocent = next.thread(0)
  answer(innocent, await innocent.job(0))
  t.same((await Promise.all(results.map(told))).sort(), ['pass 2', 'runner-lost 2'])
  const serving = main.thread(0)
  const fresh = stage.ask()
  answer(serving, await serving.job(0))
  t.equal(await told(fresh), 'pass 1', 'others go on beside them')
})

t.test('a list whose filters may not see a message twice is not run twice', async (t) => {
  const entries = entriesOf('e').map((entry) => ({ ...entry, rerun: false }))
  const chain = loadPlan(entries)
  const stage = await openRunnerStage(t, { threads: 1, chain })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const result = stage.ask()
  await thread.job(0)
  die(runner, thread)
  t.equal(await told(result), 'thread-lost 1')
})

t.test('a message at its deadline is answered, and what still runs of it is ended', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 1 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const [running, waiting] = [stage.ask(100), stage.ask(100)]
  t.ok((await thread.job(0)).leftMs <= 100, 'the thread is told how much time is left')
  t.same([await told(running), await told(waiting)], ['deadline 1', 'deadline 1'])
  await until('the thread to be ended', () => killed(runner).length === 1)
  die(runner, thread)
  const fresh = runner.thread(0)
  const next = stage.ask()
  answer(fresh, await fresh.job(0))
  t.equal(await told(next), 'pass 1', 'neither of them is sent to the next thread')
})

t.test('a new plan', async (t) => {
  const chain = loadPlan(entriesOf('e', 'soft'))
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 1, chain })
  const old = await stage.runner(0)
  const thread = old.thread(0)
  await stage.supervisor.ready

  const refused = stage.supervisor.replace(stage.plan)
  const broken = await stage.runner(1)
  broken.thread(0, { loads: false }).send({ type: 'broken', problems: [{ file: 'f', line: 1, text: 'x', cure: null }] })
  t.match(await refused, { kind: 'broken' })
  const inHand = stage.ask()
  const job = await thread.job(0)
  const waiting = stage.ask()
  t.notOk(thread.isLeaving(), 'that is broken changes nothing')

  // Now the second filter of the list is another one.
  const next = { ...stage.plan, chain: { ...chain, entries: entriesOf('e', 'other', 'soft') } }
  const replaced = stage.supervisor.replace(next)
  const fresh = await stage.runner(2)
  const taker = fresh.thread(0)
  t.match(await replaced, { kind: 'serving' })
  await until('the old thread to be told to leave', () => thread.isLeaving())
  answer(taker, await taker.job(0))
  t.equal(await told(waiting), 'pass 1', 'that is sound takes over those who wait')
  old.say({ type: 'blocked', slot: 0, job: job.number, filter: 1, afterMs: 2000 })
  die(old, thread)
  old.end('SIGTERM')
  const again = await taker.job(1)
  t.same(again.without, [], 'and leaves none of its own filters out for what one of the old list did')
  answer(taker, again)
  t.equal(await told(inHand), 'pass 2', 'a message in hand of the old runner is not lost with it')
})

t.test('a lane that is replaced while its runner waits to be started again starts none', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const old = await stage.runner(0)
  old.thread(0)
  await stage.supervisor.ready
  const replaced = stage.supervisor.replace(stage.plan)
  const fresh = await stage.runner(1)
  old.end('SIGKILL')
  fresh.thread(0)
  t.match(await replaced, { kind: 'serving' })
  // Three times the pause before a restart: that nothing comes can only be waited for.
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.equal(stage.started(), 2, 'the old lane is left in peace')
})

t.test('no answer is given while code that was given up may still edit the message', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const settled: string[] = []
  const late = { verdict: null, by: 'e', failure: { kind: 'late', filter: 'e', text: 'late' }, stray: true }

  const stray = stage.ask().then(({ failure }) => settled.push(`stray ${failure?.kind ?? ''}`))
  answer(thread, await thread.job(0), late)
  await until('the thread to be ended', () => killed(runner).length === 1)
  t.same(settled, [], 'the chain has given the filter up, but its thread lives')
  die(runner, thread)
  await stray
  t.same(settled, ['stray late'])

  const fresh = runner.thread(0)
  const expired = stage.ask(50).then(({ failure }) => settled.push(`expired ${failure?.kind ?? ''}`))
  await fresh.job(0)
  await until('the thread to be ended for the deadline', () => killed(runner).length === 2)
  t.same(settled, ['stray late'], 'the deadline is over, but its thread lives')
  die(runner, fresh)
  await expired
  t.same(settled, ['stray late', 'expired deadline'], 'and it does not run again')
})

t.test('a thread that cannot load its filters again', async (t) => {
  const stage = await openRunnerStage(t)
  const runner = await stage.runner(0)
  const [one, two] = [runner.thread(0), runner.thread(1)]
  await stage.supervisor.ready
  const problem = { file: '/e.js', line: null, text: 'is gone', cure: null }
  die(runner, one)
  runner.thread(0, { loads: false }).send({ type: 'broken', problems: [problem] })
  await until('it to be ended, so that its slot gets another', () => killed(runner).includes(0))
  t.equal(stage.supervisor.state().kind, 'serving', 'the other one serves')

  die(runner, two)
  runner.thread(1, { loads: false }).send({ type: 'broken', problems: [problem] })
  await until('the chain to be broken', () => stage.supervisor.state().kind === 'broken')
  t.match(stage.log.join('\n'), /configuration-broken problem="\/e\.js: is gone"/, 'told at once')
  t.equal(await told(stage.ask()), 'broken 1')
})

t.test('at a stop no message is answered while its filters may still edit it, and none runs again', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const settled: string[] = []
  const note = (name: string, result: Promise<RunResult>): Promise<number> =>
    result.then(({ failure }) => settled.push(`${name} ${failure?.kind ?? ''}`))
  const running = note('running', stage.ask())
  await thread.job(0)
  const waiting = note('waiting', stage.ask())

  const drained = stage.supervisor.drain(9000)
  await waiting
  t.same(settled, ['waiting stopping'], 'the one that runs is not answered yet')
  runner.end('SIGKILL')
  await Promise.all([drained, running])
  t.same(settled, ['waiting stopping', 'running stopping'])
  t.equal(stage.started(), 1, 'no runner is started for it')
})

t.test('a stop while a new plan is being loaded ends both, and what loads takes nothing over', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const old = await stage.runner(0)
  const thread = old.thread(0)
  await stage.supervisor.ready
  void stage.supervisor.replace(stage.plan)
  const fresh = (await stage.runner(1)).thread(0, { loads: false })
  let drained = false
  const stopped = stage.supervisor.drain(9000).then(() => (drained = true))
  await until('the old thread to be told to leave', () => thread.isLeaving())
  fresh.send({ type: 'loaded', filters: [], warnings: [] })
  await until('the new runner to be ended', () => !fresh.isOpen())
  t.notOk(drained, 'the old runner may still have something in hand')
  old.end('SIGTERM')
  await until('the stop to be done', () => drained, 2000)
  await stopped
  t.match(await stage.supervisor.replace(stage.plan), { kind: 'broken', problems: [{ text: /being stopped/ }] })
  t.equal(stage.started(), 2, 'and nothing is started any more')
})

t.test('a stop does not wait longer than it may for a plan that was replaced', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const old = await stage.runner(0)
  const thread = old.thread(0)
  await stage.supervisor.ready
  const replaced = stage.supervisor.replace(stage.plan)
  const fresh = await stage.runner(1)
  fresh.thread(0)
  await replaced
  await until('the old thread to be told to leave', () => thread.isLeaving())
  const sinceMs = performance.now()
  const stopped = stage.supervisor.drain(200)
  fresh.end('SIGTERM')
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 10_000).unref())])
  t.ok(performance.now() - sinceMs < 8000, 'its runner is killed when the time is over')
})

t.test('the grace of a thread that was ended early does not end the next one in its slot', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 2 })
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  await stage.supervisor.ready
  const [stray, beside] = [stage.ask(), stage.ask()]
  const late = { verdict: null, by: 'e', failure: { kind: 'late', filter: 'e', text: 'late' }, stray: true }
  const [strayJob, besideJob] = [await thread.job(0), await thread.job(1)]
  const sinceMs = performance.now()
  answer(thread, strayJob, late)
  answer(thread, besideJob)
  t.equal(await told(beside), 'pass 1')
  await until('the thread to be ended, now that it is empty', () => killed(runner).length === 1)
  die(runner, thread)
  t.equal(await told(stray), 'late 1')

  runner.thread(0)
  // The grace is a second; what must not happen can only be waited for.
  await until('the grace to be over', () => performance.now() - sinceMs > 1200)
  t.equal(killed(runner).length, 1)
})
