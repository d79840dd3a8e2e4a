/** R28: double, late, foreign and malformed verdicts, by filters and by whatever runs in a thread's place. */
import type { Test } from 'tap'
import type { ChainOutcome } from '../../host/chain/chain.ts'
import type { RunResult } from '../../host/runner/ticket.ts'
import type { FakeThread } from '../helpers/fake-runner.ts'
import { orders, servingHost, startStream } from '../helpers/host-process.ts'
import { openRunnerStage } from '../helpers/runner-stage.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** A supervisor with a fake runner of two threads. */
async function openStage(t: Test, without: readonly string[]) {
  const { ask, log, runner, supervisor } = await openRunnerStage(t, {}, without)
  const first = await runner(0)
  const threads: [FakeThread, FakeThread] = [first.thread(0), first.thread(1)]
  await supervisor.ready
  return { ask, runner: first, threads, log }
}

const empty = {
  by: null,
  failure: null,
  trail: [],
  notes: [],
  stray: false,
  rerunWithout: null,
  undone: false,
  version: null,
}
const outcome = (verdict: ChainOutcome['verdict']): ChainOutcome => ({ ...empty, verdict })
const accept = outcome({ kind: 'accept', skipOthers: false, reply: { code: 200, status: null, lines: ['first'] } })
const reject = outcome({ kind: 'reject', reply: { code: 554, status: null, lines: ['second'] } })
const told = (result: RunResult | null): string =>
  result === null ? 'nothing' : (result.outcome?.verdict?.kind ?? result.failure?.kind ?? 'neither')

const onlyTheFirst: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { ask, runner, threads, log } = await openStage(t, without)
  const strays = (): number => log.filter((line) => line.includes('an answer to no open question')).length
  const [one, two] = threads

  const double = ask()
  const { key } = await until('the first message', () => one.jobs[0] ?? two.jobs[0])
  const [holder, other] = one.jobs.length > 0 ? [one, two] : [two, one]
  holder.send({
    type: 'done',
    results: [
      { key, outcome: accept },
      { key, outcome: reject },
    ],
  })
  holder.send({ type: 'done', results: [{ key, outcome: reject }] })
  const first = told(await double)
  expect(first === 'accept', `answered twice: ${first}`)
  await until('both to be logged', () => strays() === 2, 1000).catch(() =>
    expect(false, `of two second answers ${strays()} are logged`),
  )
  if (seen.length > 0) return seen

  const foreign = ask()
  const asked = await until('the next message', () => holder.jobs[1] ?? other.jobs[0])
  const [owner, stranger] = holder.jobs.length > 1 ? [holder, other] : [other, holder]
  stranger.send({ type: 'done', results: [{ key: asked.key, outcome: accept }] })
  for (const key of [undefined, 7, '', 'x', asked.messageId, asked.number]) {
    stranger.send({ type: 'done', results: [{ key, outcome: accept }] })
  }
  stranger.send({ type: 'done', results: 'x' })
  stranger.send({ type: 'done', results: [null, 1, [], {}] })
  stranger.send({ type: 'accept' })
  await until('the last of them to be read', () => log.some((line) => line.includes('a frame of unknown type')))
  const early = await within(100, foreign)
  expect(early === null, `answered by another thread: ${told(early)}`)
  if (seen.length > 0) return seen
  owner.send({ type: 'done', results: [{ key: asked.key, outcome: reject }] })
  const proper = told(await foreign)
  expect(proper === 'reject', `answered by its own thread: ${proper}`)

  const before = strays()
  const number = { owner: owner.jobs.length, stranger: stranger.jobs.length }
  const late = ask(200)
  const open = await until('the third message', () => owner.jobs[number.owner] ?? stranger.jobs[number.stranger])
  const tardy = owner.jobs.length > number.owner ? owner : stranger
  const slot = tardy === one ? 0 : 1
  const unanswered = told(await late)
  expect(unanswered === 'deadline', `not answered: ${unanswered}`)
  await until('the thread to be ended', () => runner.heard.some(({ type }) => type === 'kill-thread'))
  runner.say({ type: 'thread-gone', slot, text: 'killed' })
  tardy.send({ type: 'done', results: [{ key: open.key, outcome: accept }] })
  await until('the late answer to be logged', () => strays() > before, 1000).catch(() =>
    expect(false, 'an answer after the deadline is not logged'),
  )
  return seen
}

/** What is no outcome, each with a verdict that would let the message in if it were believed. */
const nonsense: Readonly<Record<string, unknown>> = {
  'an acceptance with a code that refuses': {
    ...accept,
    verdict: { kind: 'accept', skipOthers: false, reply: { code: 550, status: null, lines: ['x'] } },
  },
  nothing: undefined,
  null: null,
  'a text': '200 Ok',
  'a list': [accept],
  'an empty object': {},
  'an unknown kind of verdict': { ...accept, verdict: { kind: 'allow' } },
  'a refusal with a code that accepts': {
    ...accept,
    verdict: { kind: 'reject', reply: { code: 250, status: null, lines: ['x'] } },
  },
  'a deferral with a code of no class': {
    ...accept,
    verdict: { kind: 'defer', reply: { code: 354, status: null, lines: ['x'] } },
  },
  'a code that is a text': {
    ...accept,
    verdict: { kind: 'accept', skipOthers: false, reply: { code: '200', status: null, lines: ['x'] } },
  },
  'a line end in a line': {
    ...accept,
    verdict: { kind: 'accept', skipOthers: false, reply: { code: 200, status: null, lines: ['x\n550 y'] } },
  },
  'no lines': {
    ...accept,
    verdict: { kind: 'accept', skipOthers: false, reply: { code: 200, status: null, lines: [] } },
  },
  'an acceptance that does not say how far it goes': {
    ...accept,
    verdict: { kind: 'accept', reply: { code: 200, status: null, lines: ['x'] } },
  },
  'a verdict and a failure': { ...accept, failure: { kind: 'threw', filter: null, text: 'x' } },
  'neither verdict nor failure': { ...accept, verdict: null },
  'a failure of unknown kind': { ...accept, verdict: null, failure: { kind: 'fun', filter: null, text: 'x' } },
  'a name that is none': { ...accept, by: 7 },
  'no word on stray code': { ...accept, stray: undefined },
  'a place in the list that is none': { ...accept, rerunWithout: 0.5 },
  'a trail that is none': { ...accept, trail: [{}] },
  'a trail without an end': { ...accept, trail: Array.from({ length: 5000 }, () => ({})) },
  'a text without an end': { ...accept, notes: [['x', 'y'.repeat(100_000)]] },
  'notes that are none': { ...accept, notes: { x: 'y' } },
}

const malformed: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { ask, runner, threads, log } = await openStage(t, without)
  const fresh = [...threads]
  for (const [what, value] of Object.entries(nonsense)) {
    const result = ask()
    const slot = await until('a thread to be given it', () => {
      const found = fresh.findIndex(({ jobs }) => jobs.length > 0)
      return found === -1 ? null : { found }
    })
    const thread = fresh[slot.found]
    thread?.send({ type: 'done', results: [{ key: thread.jobs[0]?.key, outcome: value }] })
    let answered = false
    void result.then(() => (answered = true))
    const isKilled = (): boolean => runner.heard.some((frame) => frame.type === 'kill-thread')
    await until('an answer, or the end of the thread', () => answered || isKilled(), 2000)
    expect(isKilled() && !answered, `${what} is answered while its thread lives`)
    // Such a thread is ended, only then is the message answered, and its slot gets another one.
    thread?.close()
    runner.say({ type: 'thread-gone', slot: slot.found, text: 'killed' })
    const heard = await within(2000, result)
    expect(heard?.outcome === null && heard.failure?.kind === 'malformed', `${what} is taken for ${told(heard)}`)
    if (heard === null || heard.outcome !== null) return seen
    runner.heard.length = 0
    await until('its end to be logged', () => log.some((line) => line.includes('thread-lost')))
    log.length = 0
    fresh[slot.found] = runner.thread(slot.found)
  }

  for (const text of ['no frame\n', '[1]\n', '7\n', '{"type":"done"\n']) {
    const thread = runner.thread(2)
    thread.write(text)
    await until('the line to be closed', () => !thread.isOpen(), 2000).catch(() =>
      expect(false, `the line goes on after ${JSON.stringify(text)}`),
    )
  }
  return seen
}

testPromise('R28 only the first answer by the thread that was asked counts; all others are logged', onlyTheFirst, [
  { without: ['one answer to one question'], sees: /^of two second answers 0 are logged/ },
  { without: ['a question belongs to its thread'], sees: /^answered by another thread: accept/ },
])
testPromise('R28 an outcome that is none is a failure, and its thread is ended', malformed, [
  { without: ['outcomes are checked'], sees: /^an acceptance with a code that refuses is taken for accept/ },
])

/** What a filter may return by mistake. */
const replies: Readonly<Record<string, string>> = {
  'a number': '5',
  null: 'null',
  true: 'true',
  'a list': '["200 Ok"]',
  'an object': '{"code":200}',
  'a word': '"nonsense"',
  'a code alone that goes on': '"200-Ok"',
  'a code of another class': '"354 hmm"',
  'a code of no class': '"999 x"',
  'two codes': '"200-a\\n550 b"',
  'a reply that goes on after its end': '"200 a\\n200 b"',
  'a blank': '" "',
  'a line end': '"\\n"',
  'a status of another class': '"250 5.7.1 x"',
}

const byFilters: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await servingHost(t, ['act'], { without })
  const stream = startStream(host)
  for (const [what, reply] of Object.entries(replies)) {
    for (const act of ['reply', 'later 1']) {
      const answer = await host.ask(host.place.pair({ id: 'M.1', content: orders({ act: `${act} ${reply}` }) }))
      expect(answer === '451 4.3.0 Local policy check failed, try again later (M.1)\n', `${what}: ${answer}`)
    }
  }
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  await host.stop()
  return seen
}
testPromise('R28 what a filter returns and is no reply is a failure', byFilters, [
  {
    without: ['a code of another class is no reply', 'a verdict from a thread is checked'],
    sees: /^a code of another class: 354 hmm/,
  },
])
