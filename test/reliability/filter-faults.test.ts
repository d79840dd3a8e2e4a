/** R21, R22 and R27: filters that block, never answer, answer late, throw anything, or end their thread or process. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { askHost } from '../../host/control/client.ts'
import { until } from '../helpers/until.ts'
import { orders, servingHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Asks, and tells how long it took; `null` if there was no answer within `limitMs`. */
async function askFor(
  host: HostProcess,
  id: string,
  acts: Record<string, string | readonly string[]>,
  limitMs: number,
) {
  const sinceMs = performance.now()
  const answer = await within(limitMs, host.ask(host.place.pair({ id, content: orders(acts) })))
  return { answer, tookMs: performance.now() - sinceMs }
}

/** Longer than any answer takes on a busy machine, shorter than the deadline; a control need not wait as long. */
const patience = (without: readonly string[]): number => (without.length === 0 ? 4000 : 2000)

type Findings = ReturnType<typeof createFindings>

/** Ends the stream and the host. What was asked in vain is let go first, once something was seen to go wrong. */
async function finish(
  host: HostProcess,
  stream: ReturnType<typeof startStream>,
  { seen, expect }: Findings,
  promptMs: number,
) {
  const isKept = seen.length === 0
  if (!isKept) await host.kill()
  const { wrong, slowestMs } = await stream.stop()
  if (isKept) expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  if (isKept) expect(slowestMs < promptMs, `a good message waited ${slowestMs} ms`)
  await host.kill()
  return seen
}

const neverAndLate: Check = async (t, without) => {
  const findings = createFindings()
  const promptMs = patience(without)
  const { expect } = findings
  // One thread, so that it is known who is beside whom.
  const set = ['host.deadline=20s', 'runner.threads=1']
  const host = await servingHost(t, ['act with time_limit=400ms', 'act as calm'], { set, without })
  const stream = startStream(host)

  const never = await askFor(host, 'NEVER.1', { act: 'never' }, promptMs)
  expect(never.answer !== null, `never: no answer within ${promptMs} ms, though the filter's limit is 400 ms`)
  if (never.answer === null) return finish(host, stream, findings, promptMs)
  expect(/^451 4\.3\.0 .*\n$/.test(never.answer), `never: ${never.answer}`)

  // Within the time that a filter has to notice that it was given up: its answer is late all the same.
  const late = await askFor(host, 'LATE.1', { act: 'later 480 "200 too late"' }, promptMs)
  expect(/^451 4\.3\.0 .*\n$/.test(late.answer ?? ''), `late: ${late.answer ?? 'no answer'}`)

  for (const id of ['NEVER.1', 'LATE.1']) {
    const cause = /errorCode=late errorCause="gave no answer within 400 ms"/
    expect(cause.test(await host.settled(id).catch(String)), `the log does not tell why ${id} was deferred`)
  }

  // A message beside it keeps the thread, and the late answer is heard and logged; it changes nothing.
  const calm = host.ask(host.place.pair({ content: orders({ calm: `hold ${host.place.at('go')}` }) }))
  const ignored = await askFor(host, 'LATE.2', { act: 'later 900 "200 much too late"' }, promptMs)
  expect(/^451 4\.3\.0 .*\n$/.test(ignored.answer ?? ''), `late answer: ${ignored.answer ?? 'no answer'}`)
  await host
    .logged(/ filter=act queueId=LATE\.2 text="answered after it had been given up; the answer is ignored"/, 3000)
    .catch(() => expect(false, 'a late answer is not logged'))
  writeFileSync(host.place.at('go'), '')
  const beside = await calm
  expect(beside === '200 Ok\n', `beside a late one: ${beside}`)

  return finish(host, stream, findings, promptMs)
}

/** The message's own deadline holds where no filter's limit does. */
const deadline: Check = async (t, without) => {
  const findings = createFindings()
  const promptMs = patience(without)
  const { expect } = findings
  const host = await servingHost(t, ['act'], { set: ['host.deadline=800ms', 'runner.threads=2'], without })
  const stream = startStream(host)
  const { answer } = await askFor(host, 'NEVER.1', { act: 'never' }, promptMs)
  expect(answer !== null, `no answer ${promptMs} ms after a deadline of 800 ms`)
  expect(/^(null|451 4\.3\.0 .*\n)$/.test(String(answer)), `never: ${answer ?? ''}`)
  return finish(host, stream, findings, promptMs)
}

testPromise('R22 a filter that never answers, or too late, costs its own message alone: 451', neverAndLate, [
  { without: ["a filter's time limit"], sees: /^never: no answer within/ },
  { without: ['an answer in the grace is late'], sees: /^late: 200 too late/ },
])
testPromise('R22 a message hears 451 at its deadline', deadline, [
  { without: ["a filter's time limit", "a message's deadline"], sees: /^no answer/ },
])

/** What never ends, and is no call that the thread could be torn out of only with its process. */
const endless = { 'an endless loop': 'loop', 'a stuck regular expression': `match ${'a'.repeat(40)}` }

/** A place in a file of journal entries, one a message. */
const entries = (path: string): number => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0)

/** How many threads of a host take messages. */
async function servingThreads(host: HostProcess): Promise<number | undefined> {
  const asked = await askHost(join(host.place.state, 'control.sock'), 'status')
  const status = asked.kind === 'answer' && asked.answer.type === 'status' ? asked.answer.status : null
  return status?.runners.find(({ name }) => name === 'main')?.serving
}

/**
 * The culprit, with ten good messages in hand and ten that come while a thread stands still; each good one has an answer
 * of its own. The deadline is so far away that nobody may wait for it.
 */
const blocks =
  (acts: readonly string[]): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { seen, expect } = findings
    const isControl = without.length > 0
    // In the long one a slow machine has time for ten messages before the thread is ended.
    const blockedLimitMs = isControl ? 1000 : 2000
    // The second beyond the limit that is promised, and what a busy machine adds to it.
    const promptMs = blockedLimitMs + 1000 + (isControl ? 0 : 3000)
    const set = ['host.deadline=30s', 'runner.threads=2', `runner.blocked_limit=${blockedLimitMs}ms`]
    const host = await servingHost(t, ['act'], { set, without })
    const { at, pair } = host.place
    for (const [round, act] of acts.entries()) {
      const [begun, blocked, go] = ['begun', 'blocked', 'go'].map((name) => at(`${name}-${round}`)) as [
        ...[string, string, string],
      ]
      const ask = (id: string, ...act: readonly string[]) => host.ask(pair({ id, content: orders({ act }) }))
      const good = (number: number, ...act: readonly string[]) =>
        ask(`GOOD.${round}.${number}`, ...act, `reply "250 good ${number}"`)
      // Else all ten are in hand of the one that serves, and the culprit comes to the next, where it is alone.
      await until('both threads to serve', async () => (await servingThreads(host)) === 2)
      const inHand = Array.from({ length: 10 }, (_, index) => good(index, `journal ${begun}`, `hold ${go}`))
      await until('ten messages in hand', () => entries(begun) === 10)
      const culprit = ask(`BAD.${round}`, `journal ${blocked}`, act)
      await until('the culprit to begin', () => entries(blocked) === 1)
      const sinceMs = performance.now()
      writeFileSync(go, '')
      let isOver = false
      const answer = within(promptMs, culprit).finally(() => (isOver = true))
      await until('one thread to be seen standing still', async () => isOver || (await servingThreads(host)) === 1)
      const beside = Array.from({ length: 10 }, (_, index) => good(10 + index))
      const early = await Promise.race([Promise.all(beside).then(() => true), answer.then(() => false)])
      expect(early, `${act}: messages wait for a thread that stands still`)

      const heard = await answer
      expect(heard !== null, `${act}: no answer within ${promptMs} ms, though the limit is ${blockedLimitMs} ms`)
      if (heard === null) break
      const want = `451 4.3.0 Local policy check took too long, try again later (BAD.${round})\n`
      expect(heard === want, `${act}: ${heard}`)
      const line = await host.settled(`BAD.${round}`).catch(String)
      expect(
        / filter=act .*errorCode=blocked .*did not give its thread back/.test(line),
        `${act}: the log says ${line}`,
      )
      const all = await within(promptMs, Promise.all([...inHand, ...beside]))
      const others = (all ?? []).map((text, index) => (text === `250 good ${index}\n` ? '' : `${index}: ${text}`))
      expect(all !== null, `${act}: a good message has no answer ${promptMs} ms after the culprit`)
      expect(others.join('') === '', `${act}: good messages hear ${others.join('')}`)
      const tookMs = performance.now() - sinceMs
      expect(tookMs < promptMs + 3000, `${act}: the last good message had its answer after ${tookMs} ms`)
      const again = host.log.filter((text) => / runs-again .*queueId=GOOD\./.test(text)).length
      expect(again > 0, `${act}: no good message was in hand of the thread that stood still`)
      if (seen.length > 0) break
    }
    await host.kill()
    return seen
  }

const loops = blocks([endless['an endless loop']])
testPromise(
  'R21 an endless loop or a stuck regular expression: 451 soon after the blocked limit, the neighbours run again',
  blocks(Object.values(endless)),
  [
    { without: ['a thread that stands still is ended'], sees: /^loop: no answer within/, check: loops },
    {
      without: ['it is known whose filter was running'],
      sees: /^loop: (no answer within|the log says .*thread-lost)/,
      check: loops,
    },
    { without: ['neighbours run again'], sees: /^loop: good messages hear [0-9]+: 451/, check: loops },
    {
      without: ['a thread that stands still gets nothing new'],
      sees: /^loop: messages wait for a thread that stands still/,
      check: loops,
    },
  ],
)

interface Fault {
  /** What the filter is ordered to do. */
  readonly act: string
  readonly code: string
  readonly cause: RegExp
}

const things = ['error', 'undefined', 'null', '0', '""', 'false', 'nan']
const shown = (thing: string): RegExp =>
  thing === 'error' ? /Error: told to/ : new RegExp(`threw ${thing === '""' ? '' : thing === 'nan' ? 'NaN' : thing}`)
const faults: readonly Fault[] = [
  ...things.map((thing) => ({ act: `throw ${thing}`, code: 'threw', cause: shown(thing) })),
  ...things.map((thing) => ({ act: `reject ${thing}`, code: 'threw', cause: shown(thing) })),
  { act: 'stray', code: 'thread-lost', cause: /told to/ },
  { act: 'exit 0', code: 'thread-lost', cause: /exit/ },
  { act: 'exit 3', code: 'thread-lost', cause: /exit/ },
  // Node refuses it in a thread.
  { act: 'abort', code: 'threw', cause: /process\.abort\(\) is not supported/ },
  { act: 'kill SIGSEGV', code: 'runner-lost', cause: /ended by SIGSEGV/ },
  { act: 'kill SIGKILL', code: 'runner-lost', cause: /ended by SIGKILL/ },
]

/** Each fault in turn beside a stream of good messages, then a good message on its own. */
const ends =
  (told: readonly Fault[]): Check =>
  async (t, without) => {
    const findings = createFindings()
    const promptMs = patience(without)
    const { expect } = findings
    const set = ['host.deadline=20s', 'runner.threads=2', 'runner.blocked_limit=20s']
    const host = await servingHost(t, ['act'], { set, without })
    const stream = startStream(host)
    for (const [index, { act, code, cause }] of told.entries()) {
      const id = `FAULT.${index}`
      const { answer } = await askFor(host, id, { act }, promptMs)
      expect(/^4[0-9][0-9] .*\n$/.test(answer ?? ''), `${act}: ${answer ?? `no answer within ${promptMs} ms`}`)
      const line = answer === null ? '' : await host.settled(id).catch(String)
      expect(line.includes(` errorCode=${code} `), `${act}: the log has no errorCode=${code}: ${line}`)
      if (act.startsWith('exit'))
        expect(line.includes(' filter=act '), `${act}: the log does not name the filter: ${line}`)
      expect(cause.test(line.slice(line.indexOf('errorCause='))), `${act}: the log does not tell the cause: ${line}`)
      const next = await askFor(host, `NEXT.${index}`, {}, promptMs)
      expect(next.answer === '200 Ok\n', `after ${act} the next message hears ${next.answer ?? 'nothing'}`)
      if (answer === null || next.answer === null) break
    }
    return finish(host, stream, findings, promptMs)
  }

const only = (act: string): Check => ends(faults.filter((fault) => fault.act === act))
testPromise(
  'R27 a filter that throws, rejects, exits or kills: 4xx, the cause in the log, the next one fine',
  ends(faults),
  [
    { without: ['a throw is a failure'], sees: /^throw 0: 200 Ok/, check: only('throw 0') },
    { without: ["a lost thread's messages are told of"], sees: /^exit 0: no answer/, check: only('exit 0') },
    {
      without: ['a runner is started again'],
      sees: /^after kill SIGSEGV the next message hears nothing/,
      check: only('kill SIGSEGV'),
    },
    {
      without: ['who ended a thread is told'],
      sees: /^exit 0: the log does not name the filter/,
      check: only('exit 0'),
    },
  ],
)
