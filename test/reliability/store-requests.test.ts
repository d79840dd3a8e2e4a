/** R31 for the stores: threads that ask for what they may not have, or for too much, played frame by frame. */
import t from 'tap'
import { memoryStores } from '../../host/store/memory.ts'
import { noStores, type Stores } from '../../host/store/stores.ts'
import { openRunnerStage } from '../helpers/runner-stage.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

const add = (key: string, more: object = {}) => ({
  ...{
    op: 'add',
    key,
    filter: 0,
    isDry: false,
    queue: 'mail',
    message: null,
    envelope: null,
    facts: {},
    orderKey: null,
  },
  ...{ make: null, makesKey: true, ...more },
})

/** Threads that say whatever they like. */
const strangers: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const staged: string[] = []
  const stores: Stores = {
    ...memoryStores(),
    stage: ({ queue }) => Promise.resolve({ handle: staged.push(queue), octets: 1 }),
  }
  const stage = await openRunnerStage(t, {}, without, stores)
  const runner = await stage.runner(0)
  const [own, foreign] = [runner.thread(0), runner.thread(1)]
  const first = stage.ask(9000)
  const second = stage.ask(9000)
  const holder = await until('a job', () => [own, foreign].find(({ jobs }) => jobs.length === 1))
  const thief = holder === own ? foreign : own
  const { key } = await holder.job(0)
  const refusals = async (what: string, requests: readonly unknown[]): Promise<void> => {
    const before = thief.answers.length
    for (const [index, request] of requests.entries()) thief.send({ type: 'store', number: before + index, request })
    await until('answers', () => thief.answers.length === before + requests.length, 3000)
    const taken = thief.answers.slice(before).filter((answer) => !('fault' in answer))
    expect(taken.length === 0, `${what}: ${taken.length} of ${requests.length} were taken`)
  }
  await refusals("another thread's message", [add(key), add(key, { isDry: true })])
  await refusals('what is no request', [
    ...[null, 1, {}, { op: 'drop' }, { op: 'add' }, add(''), add('x'.repeat(36)), add(key, { filter: 'all' })],
    ...[add(key, { queue: 7 }), add(key, { message: 'text' }), add(key, { facts: [] }), add(key, { envelope: {} })],
    ...[
      { op: 'ttl', maps: [], operations: [{ op: 'get', map: 'm' }] },
      { op: 'ttl', maps: 'm', operations: [] },
    ],
    ...[{ op: 'ttl', maps: [['m', null]], operations: [{ op: 'drop', map: 'm', key: 'k' }] }],
    ...[
      { op: 'make-queue', queue: 'q', settings: { order: 1 } },
      { op: 'make-queue', queue: 'q', settings: { no: 1 } },
    ],
  ])
  expect(staged.length === 0, `${staged.length} were staged`)
  holder.send({ type: 'store', number: 1, request: add(key) })
  await until('an answer', () => holder.answers.length === 1)
  expect(staged.length === 1, 'its own was not staged')

  const done = (jobKey: string) => ({
    ...{ key: jobKey },
    outcome: {
      ...{ verdict: { kind: 'pass' }, by: null, failure: null, trail: [], notes: [], stray: false },
      ...{ rerunWithout: null, undone: false, version: null },
    },
  })
  holder.send({ type: 'done', results: [done(key)] })
  const thiefJob = await within(3000, thief.job(0))
  if (thiefJob !== null) thief.send({ type: 'done', results: [done(thiefJob.key)] })
  const results = await Promise.all([first, second])
  expect(results.filter(({ staging }) => staging !== undefined).length === 1, 'what was staged is not told of')
  return seen
}
testPromise('R31 a thread adds to its own messages alone, and only what it may', strangers, [
  { without: ['nobody adds to the message of another thread'], sees: /^another thread's message: 2 of 2/ },
])

/** More than is allowed, to a store that answers nothing. */
const flood: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  let taken = 0
  const stores: Stores = {
    ...noStores,
    ttl: () => {
      taken++
      return new Promise(() => undefined)
    },
  }
  const stage = await openRunnerStage(t, { threads: 1 }, without, stores)
  const thread = (await stage.runner(0)).thread(0)
  const asked = stage.ask(9000)
  const job = await thread.job(0)
  const ttl = (key: string) => ({
    ...{ op: 'ttl', maps: [['m', null]], operations: Array(20).fill({ op: 'get', map: 'm', key }) },
  })
  for (let number = 0; number < 1500; number++) thread.send({ type: 'store', number, request: ttl('k') })
  await until('the refusals', () => thread.answers.length >= 500, 3000).catch(() => undefined)
  expect(taken <= 1000, `${taken} requests were taken`)
  // Each of another thread's, for what one may hold.
  const large = (await stage.runner(0)).thread(1)
  taken = 0
  for (let number = 0; number < 30; number++) large.send({ type: 'store', number, request: ttl('x'.repeat(60_000)) })
  await until('the refusals', () => large.answers.length + taken === 30, 5000)
  expect(taken < 16, `${taken} requests of 1.2 MB were taken`)
  const failed = { kind: 'threw', filter: null, text: '' }
  const outcome = { verdict: null, by: null, failure: failed, trail: [], notes: [], stray: false, rerunWithout: null }
  thread.send({ type: 'done', results: [{ key: job.key, outcome: { ...outcome, undone: false, version: null } }] })
  await asked
  return seen
}
testPromise('R31 a flood of requests to the stores is bounded', flood, [
  { without: ['requests to the stores are few at a time'], sees: /^1500 requests were taken/ },
  { without: ['requests to the stores hold little'], sees: /^30 requests of 1\.2 MB were taken/ },
])

/** One that is answered by its deadline, while its thread goes on. */
const late: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const staged: number[] = []
  const stores: Stores = {
    ...memoryStores(),
    stage: () => Promise.resolve({ handle: staged.push(0), octets: 1 }),
  }
  const stage = await openRunnerStage(t, { threads: 1 }, without, stores)
  const runner = await stage.runner(0)
  const thread = runner.thread(0)
  const asked = stage.ask(100)
  const { key } = await thread.job(0)
  await until('its thread to be ended', () => runner.heard.find(({ type }) => type === 'kill-thread'), 4000)
  thread.send({ type: 'store', number: 1, request: add(key) })
  await until('an answer', () => thread.answers.length === 1, 3000)
  expect(staged.length === 0, 'it was staged')
  runner.say({ type: 'thread-gone', slot: 0, text: 'ended' })
  expect((await asked).failure?.kind === 'deadline', 'it is late')
  return seen
}
testPromise('R31 a message whose time is over is added to no more', late, [
  { without: ['a message that is answered is added to no more'], sees: /^it was staged/ },
])

t.test('a settling that throws costs its own message the answer, and the thread nothing', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1 })
  const thread = (await stage.runner(0)).thread(0)
  const told: string[] = []
  stage.supervisor.run('id', stage.pair(), performance.now() + 9000, ({ failure }) => {
    told.push(failure?.kind ?? 'verdict')
    if (told.length === 1) throw new Error('a fault of ours')
  })
  const outcome = {
    ...{ verdict: { kind: 'pass' }, by: null, failure: null, trail: [], notes: [], stray: false },
    ...{ rerunWithout: null, undone: false, version: null },
  }
  thread.send({ type: 'done', results: [{ key: (await thread.job(0)).key, outcome }] })
  await until('the second telling', () => told.length === 2)
  t.same(told, ['verdict', 'internal'])
  t.match(stage.log.join('\n'), /bug where=supervisor .*a fault of ours/)
  const next = stage.ask(9000)
  thread.send({ type: 'done', results: [{ key: (await thread.job(1)).key, outcome }] })
  t.equal((await next).failure, null, 'the line serves the next message')
  t.equal(thread.isOpen(), true)
})
