/**
 * R29: what the filters of one message change in their thread, or leave behind there, does not reach the next one: the
 * thread is replaced first. What shared the thread runs again.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { type Test } from 'tap'
import { servingHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { runCode } from '../helpers/pollute.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Long enough for a busy machine, short enough to tell what hangs. */
const patienceMs = 15_000

const serve = (t: Test, without: readonly string[], threads: number): Promise<HostProcess> =>
  servingHost(t, ['pollute'], { set: ['host.deadline=15s', `runner.threads=${threads}`], without })

/** What a message does to its thread, how the next one would notice, and what the log says. */
type Row = readonly [name: string, code: string, isDirty: string, cause: RegExp]

const fs = `require('node:fs')`
const rows: readonly Row[] = [
  [
    'a polluted prototype',
    'Object.prototype.polluted = 1',
    '({}).polluted === 1',
    /Object\.prototype has a new property .*polluted/,
  ],
  [
    'a prototype polluted in the course of time',
    `await new Promise((resolve) => setTimeout(resolve, 5)); ({}).__proto__.polluted = 1`,
    '({}).polluted === 1',
    /Object\.prototype has a new property .*polluted/,
  ],
  [
    'a hidden property',
    `Object.defineProperty(Array.prototype, 'hidden', { value: 1 })`,
    '[].hidden === 1',
    /Array\.prototype has a new property .*hidden/,
  ],
  [
    'a patched module',
    `${fs}.existsSync = () => true`,
    `${fs}.existsSync('/nonexistent')`,
    /fs\.existsSync was replaced/,
  ],
  ['a patched method', 'String.prototype.trim = () => 7', `''.trim() === 7`, /String\.prototype\.trim was replaced/],
  [
    'a patched accessor',
    `Object.defineProperty(Map.prototype, 'size', { get: () => 7 })`,
    'new Map().size === 7',
    /Map\.prototype\.size was replaced/,
  ],
  ['a leaked global', 'globalThis.leaked = 1', `'leaked' in globalThis`, /globalThis has a new property .*leaked/],
  ['the environment', `process.env.LEAKED = '1'`, `'LEAKED' in process.env`, /process\.env\.LEAKED was set/],
  [
    'a frozen prototype',
    'Object.freeze(Object.prototype)',
    'Object.isFrozen(Object.prototype)',
    /Object\.prototype was frozen/,
  ],
  [
    'a listener',
    `process.on('uncaughtException', () => undefined)`,
    `process.listenerCount('uncaughtException') > 1`,
    /a listener was added to process, for .*uncaughtException/,
  ],
  [
    'a look that is blinded',
    'Reflect.ownKeys = () => []; Object.keys = () => []',
    'Object.keys({ x: 1 }).length === 0',
    /was replaced/,
  ],
]

/** One after the other, in the one thread there is. */
const pollution =
  (told: readonly Row[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const host = await serve(t, without, 1)
    for (const [index, [name, code, isDirty, cause]] of told.entries()) {
      const polluter = await within(patienceMs, runCode(host, `POLLUTE.${index}`, code, `return '250 polluted'`))
      // It ran alone, so that its verdict is its own.
      expect(polluter === '250 polluted\n', `${name}: the polluter hears ${polluter ?? 'nothing'}`)
      const next = await within(
        patienceMs,
        runCode(host, `NEXT.${index}`, `return ${isDirty} ? '554 dirty' : '250 clean'`),
      )
      expect(next === '250 clean\n', `${name}: the next message hears ${next ?? 'nothing'}`)
      if (seen.length > 0) break
      const told = host.log.filter((line) => line.includes(' thread-unclean ') && cause.test(line))
      expect(told.length > 0, `${name}: the log does not tell`)
    }
    await host.kill()
    return seen
  }

testPromise('R29 pollution: the thread is replaced before the next message', pollution(rows), [
  { without: ['a realm is looked over'], sees: /the next message hears 554 dirty/, check: pollution(rows.slice(0, 1)) },
])

/** What shares a thread with a polluter is judged in a clean one. */
const sharing: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await serve(t, without, 1)
  const { at } = host.place
  const hold = `
    const { appendFileSync, existsSync } = require('node:fs');
    appendFileSync(${JSON.stringify(at('begun'))}, 'x');
    while (!existsSync(${JSON.stringify(at('go'))})) await new Promise((resolve) => setTimeout(resolve, 10));
    return ({}).polluted ? '554 dirty' : '250 clean'`
  const held = Array.from({ length: 3 }, (_, index) => runCode(host, `HELD.${index}`, hold))
  await until('the neighbours to be held', () => existsSync(at('begun')))
  const pollute = `
    Object.prototype.polluted = 1;
    require('node:fs').appendFileSync(${JSON.stringify(at('polluted'))}, 'x');
    return '250 polluted'`
  const polluting = runCode(host, 'POLLUTE.1', pollute)
  // They go on in the thread as it is then; when they run again, there is nothing to wait for.
  await until('the thread to be polluted', () => existsSync(at('polluted')))
  writeFileSync(at('go'), '')
  const polluter = await within(patienceMs, polluting)
  expect(polluter === '250 polluted\n', `the polluter hears ${polluter ?? 'nothing'}`)
  const neighbours = await within(patienceMs, Promise.all(held))
  expect(
    neighbours?.every((answer) => answer === '250 clean\n') === true,
    `the neighbours hear ${JSON.stringify(neighbours)}`,
  )
  await host.kill()
  return seen
}

testPromise('R29 messages that share a thread with a polluter run again on another one', sharing, [
  { without: ['a realm is looked over'], sees: /the neighbours hear .*554 dirty/ },
])

/** A timer that a message left does nothing after its answer: it would write a file. */
const leftOvers =
  (timers: Readonly<Record<string, (act: string) => string>>): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const host = await serve(t, without, 2)
    const stream = startStream(host)
    const { at } = host.place
    const waitMs = 400
    for (const [index, [name, begin]] of Object.entries(timers).entries()) {
      const fired = at(`fired-${index}`)
      const act = `require('node:fs').writeFileSync(${JSON.stringify(fired)}, '')`
      const answer = await within(patienceMs, runCode(host, `TIMER.${index}`, begin(act), `return '250 left'`))
      const hadFired = existsSync(fired)
      expect(answer === '250 left\n', `${name}: the message hears ${answer ?? 'nothing'}`)
      const overMs = performance.now() + waitMs * 3
      await until('the time of the timer to be over', () => performance.now() > overMs || existsSync(fired))
      // A busy machine may let it fire before the answer; nothing may come after it.
      expect(hadFired || !existsSync(fired), `${name}: it fired after the answer`)
      expect(
        host.log.some((line) => line.includes(' thread-unclean ')),
        `${name}: the log does not tell`,
      )
      if (seen.length > 0) break
    }
    const { wrong } = await stream.stop()
    expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
    await host.kill()
    return seen
  }

const timers = {
  'a timer': (act: string) => `setTimeout(() => ${act}, 400)`,
  'a timer that nobody waits for': (act: string) => `setTimeout(() => ${act}, 400).unref()`,
  'an interval': (act: string) => `setInterval(() => ${act}, 400)`,
  'a promise that nobody waits for': (act: string) =>
    `void require('node:timers/promises').setTimeout(400).then(() => ${act})`,
}
testPromise('R29 left-over timers: the answer is held until nothing of the message runs any more', leftOvers(timers), [
  {
    without: ['timers are booked'],
    sees: /^a timer: (it fired after the answer|the log does not tell)/,
    check: leftOvers({ 'a timer': timers['a timer'] }),
  },
])

/** What a decent author does costs no thread. */
const decent: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await serve(t, without, 2)
  const stream = startStream(host)
  const bodies = [
    `await new Promise((resolve) => setTimeout(resolve, 2))`,
    `clearTimeout(setTimeout(() => undefined, 9000)); await require('node:timers/promises').setTimeout(1)`,
    `AbortSignal.timeout(9000); AbortSignal.any([AbortSignal.timeout(9000)])`,
    `if (state.server === undefined) {
       const server = require('node:http').createServer((_, reply) => reply.end('x')).listen(0, '127.0.0.1');
       await new Promise((resolve) => server.once('listening', resolve));
       state.server = server.unref() }
     const url = 'http://127.0.0.1:' + state.server.address().port;
     await (await fetch(url, { signal: AbortSignal.timeout(9000) })).text();
     await new Promise((resolve) => require('node:http').get(url, (reply) => reply.resume().on('end', resolve)))`,
    `await import('data:text/javascript,export default 1'); await crypto.subtle.digest('SHA-256', new Uint8Array(3))`,
    `await require('node:util').promisify(require('node:child_process').execFile)('true', { timeout: 9000 })`,
    `state.cache = new Map([[1, 2]]); console.log('x'); structuredClone(state.cache); new Intl.DateTimeFormat('de').format()`,
  ]
  for (let round = 0; round < 4; round++) {
    for (const [index, body] of bodies.entries()) {
      const answer = await within(patienceMs, runCode(host, `DECENT.${round}.${index}`, body, `return '250 fine'`))
      expect(answer === '250 fine\n', `${body}: ${answer ?? 'nothing'}`)
    }
  }
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  const unclean = host.log.filter((line) => line.includes(' thread-unclean '))
  expect(unclean.length === 0, `a thread was taken for unclean: ${unclean[0] ?? ''}`)
  await host.kill()
  return seen
}

testPromise('R29 what decent filters do costs no thread', decent, [])
