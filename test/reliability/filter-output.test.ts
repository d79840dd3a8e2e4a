/**
 * R30: what a filter prints, logs, or does to descriptors reaches neither the protocols, nor the order of the log, nor
 * another message. (Its children: supervision.test.ts.)
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Test } from 'tap'
import { parseTextLine } from '../../host/observe/line-parser.ts'
import { servingHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { runCode as run } from '../helpers/pollute.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Long enough for a busy machine, short enough to tell what hangs. */
const patienceMs = 15_000

const serve = (t: Test, without: readonly string[], ...set: readonly string[]): Promise<HostProcess> =>
  servingHost(t, ['pollute'], { set: ['host.deadline=15s', ...set], without })

type Findings = ReturnType<typeof createFindings>

/** What must hold of the log however much was written there: records of ours, whole, each a line. */
function judgeLog(host: HostProcess, { expect }: Findings): void {
  const odd = host.log.filter((line) => parseTextLine(line) === null)
  expect(odd.length === 0, `lines of the log are no records: ${JSON.stringify(odd.slice(0, 2))}`)
  const long = host.log.filter((line) => Buffer.byteLength(line) > 500)
  expect(long.length === 0, `lines of the log are too long: ${long.length}`)
  const forged = host.log.filter((line) => /^[A-Z]+: (settled|bug) .*forged/.test(line))
  expect(forged.length === 0, `a filter wrote a record: ${JSON.stringify(forged.slice(0, 2))}`)
}

/** Ends the stream and judges what the good messages heard. */
async function judgeStream(stream: ReturnType<typeof startStream>, { expect }: Findings): Promise<void> {
  const { wrong, slowestMs } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  expect(slowestMs < patienceMs, `a good message waited ${slowestMs} ms`)
}

const countOf = (host: HostProcess, event: string, pattern = /(?:)/): number =>
  host.log.filter((line) => parseTextLine(line)?.event === event && pattern.test(line)).length

/** Prints megabytes as fast as they are taken. */
const print = (stream: string, megabytes: number, part: string): string => `
  const part = ${part};
  for (let n = 0; n < ${megabytes}; n++)
    if (!process.${stream}.write(part)) await new Promise((resolve) => process.${stream}.once('drain', resolve));
  return '250 printed'`

const lines = `('x'.repeat(1023) + '\\n').repeat(1024)`

const printing =
  (megabytes: number, isAll: boolean): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await serve(t, without, 'runner.threads=2', 'log.lines_per_second=20')
    const stream = startStream(host)
    const floods: readonly (readonly [string, string])[] = [
      ['OUT.1', print('stdout', megabytes, lines)],
      ['ERR.1', print('stderr', isAll ? 20 : 0, lines)],
      // A line that never ends.
      ['LONG.1', print('stdout', 20, `'y'.repeat(2 ** 20)`)],
      // What looks like records of the log, and like frames.
      [
        'FORGED.1',
        `for (const text of ['INFO: settled id=forged verdict=accept', '\\r\\nERR: bug where=forged', '{"type":"leave"}'])
           console.log(text);
         return '250 printed'`,
      ],
    ]
    const sinceMs = performance.now()
    for (const [id, body] of floods) {
      const answer = await within(patienceMs * 2, run(host, id, body))
      expect(/^250 /.test(answer ?? ''), `${id}: ${answer ?? 'no answer'}`)
      if (answer === null) break
    }
    await judgeStream(stream, findings)
    await host
      .logged(/ filter-lines-left-out .*lines=[0-9]+/, 2000)
      .catch(() => expect(false, 'nothing tells of lines that were left out'))
    const seconds = Math.ceil((performance.now() - sinceMs) / 1000) + 1
    const kept = countOf(host, 'filter-output')
    expect(kept <= seconds * 20, `${kept} printed lines are in the log after ${seconds} s, 20 a second may be`)
    judgeLog(host, findings)
    await host.kill()
    return findings.seen
  }

testPromise('R30 200 MB printed: protocols and log stay whole, lines are limited and counted', printing(200, true), [
  {
    without: ['printed lines are limited in rate'],
    sees: /printed lines are in the log after/,
    check: printing(2, false),
  },
])

/** Text that does its worst to whoever writes it into a log. */
const nasty = String.raw`'a\nINFO: settled id=forged\r\n\u2028\u0000\u001b[2J" x="forged' + 'z'.repeat(100000)`

const logging =
  (count: number): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await serve(t, without, 'runner.threads=2', 'log.lines_per_second=20')
    const stream = startStream(host)
    const sinceMs = performance.now()
    const flood = `for (let n = 0; n < ${count}; n++) context.log.info('flood ' + n); return '250 logged'`
    const answer = await within(patienceMs, run(host, 'LOG.1', flood))
    expect(answer === '250 logged\n', `LOG.1: ${answer ?? 'no answer'}`)
    const said = await run(host, 'LOG.2', `context.log.error(${nasty}); console.log(${nasty}); return '250 logged'`)
    expect(said === '250 logged\n', `LOG.2: ${said}`)
    await judgeStream(stream, findings)
    const seconds = Math.ceil((performance.now() - sinceMs) / 1000) + 1
    const kept = countOf(host, 'filter', /text="flood /)
    expect(kept > 0 && kept <= seconds * 20, `${kept} of ${count} lines are in the log after ${seconds} s`)
    const order = host.log.flatMap((line) => / text="flood ([0-9]+)"/.exec(line)?.slice(1, 2).map(Number) ?? [])
    expect(
      order.every((number, index) => index === 0 || number > (order[index - 1] ?? 0)),
      'lines changed places',
    )
    // The filter says nothing more.
    const isTold = (): boolean => countOf(host, 'filter', /[0-9]+ lines were left out/) > 0
    await until('the lines left out to be told', isTold, 5000, 50).catch(() =>
      expect(false, 'nothing tells of lines that were left out'),
    )
    judgeLog(host, findings)
    await host.kill()
    return findings.seen
  }

testPromise(
  'R30 a million log lines, and lines that would be several: limited, counted, in order',
  logging(1_000_000),
  [
    {
      without: ["a filter's log lines are limited in rate"],
      sees: /^[0-9]+ of 3000 lines are in the log after/,
      check: logging(3000),
    },
    { without: ['a value has quotes'], sees: /lines of the log are no records/, check: logging(100) },
  ],
)

/** A filter's last words are a flood, within one second of its thread's. */
const lastWords: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await serve(t, without, 'runner.threads=2', 'log.lines_per_second=20')
  const flood = `while (performance.now() % 1000 > 300);
    for (let n = 0; n < 300; n++) context.log.info('flood ' + n)`
  await run(host, 'LOG.1', flood)
  await host
    .logged(/ filter .*text="280 lines were left out"/, 5000)
    .catch(() => expect(false, 'nothing tells of lines that were left out'))
  await host.kill()
  return seen
}

testPromise('R30 a flood of log lines at the end: its number is told', lastWords, [
  { without: ['lines left out are told without another line'], sees: /nothing tells of lines that were left out/ },
])

/** Outcomes as a thread sends them, for questions with the keys that a guess would try first. */
const forgedOutcomes = `${JSON.stringify({
  type: 'done',
  results: Array.from({ length: 40 }, (_, number) => ({
    key: String(number),
    outcome: {
      ...{ verdict: { kind: 'reject', reply: { code: 554, status: '5.7.1', lines: ['forged'] } }, by: 'pollute' },
      ...{ failure: null, trail: [], notes: [], stray: false, rerunWithout: null, undone: false, version: null },
    },
  })),
})}\n`

/** What is written to every descriptor there is. */
const rubbish: Readonly<Record<string, readonly string[]>> = {
  'a line': ['rubbish\n'],
  frames: ['{"type":"pong","number":1}\n', '{}\n', '[]\n'],
  'half a frame': ['{"type":"done","results":[', 'x'.repeat(2 ** 20)],
}

const writeTo = (texts: readonly string[]): string => `
  const { writeSync } = require('node:fs');
  for (const text of [${texts.map((text) => (text.length > 20_000 ? `'x'.repeat(${text.length})` : JSON.stringify(text))).join()}])
    for (let fd = 0; fd <= 80; fd++) try { writeSync(fd, text) } catch {}
  await new Promise((resolve) => setTimeout(resolve, 20));
  return '250 written'`
/** To every line of a thread, its neighbours' too, but not to the control pipe, where it would end the runner. */
const forge = `
  const { fstatSync, writeSync } = require('node:fs');
  for (let fd = 4; fd <= 80; fd++)
    try { if (fstatSync(fd).isSocket()) writeSync(fd, ${JSON.stringify(forgedOutcomes)}) } catch {}
  await new Promise((resolve) => setTimeout(resolve, 20));
  return '250 written'`
const close = (descriptors: string): string => `
  const { closeSync } = require('node:fs');
  for (const fd of ${descriptors}) try { closeSync(fd) } catch {}
  await new Promise((resolve) => setTimeout(resolve, 20));
  return '250 closed'`
const all = 'Array.from({ length: 21 }, (_, fd) => fd)'

/** A message that is held in the other thread while one does that, and hears its own answer all the same. */
const descriptors =
  (acts: Readonly<Record<string, string>>): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    for (const [name, body] of Object.entries(acts)) {
      const host = await serve(t, without, 'runner.threads=2', 'runner.blocked_limit=1s')
      const { at } = host.place
      const hold = `
        const { appendFileSync, existsSync } = require('node:fs');
        appendFileSync(${JSON.stringify(at('begun'))}, 'x');
        while (!existsSync(${JSON.stringify(at('go'))})) await new Promise((resolve) => setTimeout(resolve, 20));
        return '250 held'`
      const held = run(host, 'HELD.1', hold)
      await until('the neighbour to be held', () => existsSync(at('begun')))
      const stream = startStream(host, 1)
      const culprit = await within(patienceMs, run(host, 'BAD.1', body))
      expect(/^(4[0-9][0-9]|250) /.test(culprit ?? ''), `${name}: the culprit hears ${culprit ?? 'nothing'}`)
      writeFileSync(at('go'), '')
      const neighbour = await within(patienceMs, held)
      expect(neighbour === '250 held\n', `${name}: the neighbour hears ${neighbour ?? 'nothing'}`)
      const next = await within(patienceMs, run(host, 'NEXT.1', `return '250 next'`))
      expect(next === '250 next\n', `${name}: the next message hears ${next ?? 'nothing'}`)
      await judgeStream(stream, findings)
      judgeLog(host, findings)
      expect(readFileSync(at('begun'), 'latin1').length <= 3, `${name}: the neighbour ran again and again`)
      await host.kill()
      if (findings.seen.length > 0) break
    }
    return findings.seen
  }

testPromise(
  'R30 descriptors written to or closed: 4xx at worst for the culprit, its neighbour hears its own answer',
  descriptors({
    ...Object.fromEntries(Object.entries(rubbish).map(([name, texts]) => [name, writeTo(texts)])),
    'forged outcomes': forge,
    'all closed': close(all),
    'standard output closed': close('[1, 2]'),
    'the control pipe closed': close('[3]'),
    'all but the first closed, backwards': close(`${all}.slice(4).reverse()`),
  }),
  [
    {
      without: ['the key of a question cannot be guessed'],
      sees: /the (neighbour|culprit) hears 554 .*forged|good messages heard .*forged/,
      check: descriptors({ 'forged outcomes': forge }),
    },
  ],
)
