/** `nodefilter top`: the arithmetic, the screen, the loop, the terminal, and the command against a running host. */
import { spawn, spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import type { WriteStream } from 'node:tty'
import t from 'tap'
import { watchHost } from '../../host/cli/top/live.ts'
import { filterRates, intervalOf, quantileMs, spreadSince } from '../../host/cli/top/rates.ts'
import { topScreen, type ScreenLine, type WindowSize } from '../../host/cli/top/screen.ts'
import { openScreen, screenText, type Keys, type Screen } from '../../host/cli/top/terminal.ts'
import type { Asked } from '../../host/control/client.ts'
import { statusFormat, type HostStatus } from '../../host/control/status.ts'
import { spreadBoundsMs, type FilterTally, type Spread } from '../../host/observe/tally.ts'
import { nodefilter } from '../helpers/command.ts'
import { noStores } from '../../host/store/stores.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { makePlace, startHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'

/** Times, as the tally has them. */
function spreadOf(...times: readonly number[]): Spread {
  const buckets = Array.from({ length: spreadBoundsMs.length + 1 }, () => 0)
  for (const ms of times) {
    const place = spreadBoundsMs.findIndex((bound) => ms <= bound)
    const at = place === -1 ? spreadBoundsMs.length : place
    buckets[at] = (buckets[at] ?? 0) + 1
  }
  return { count: times.length, totalMs: times.reduce((sum, ms) => sum + ms, 0), maxMs: Math.max(0, ...times), buckets }
}

function filterOf(
  filter: string,
  outcomes: Readonly<Record<string, number>>,
  ...times: readonly number[]
): FilterTally {
  return { filter, outcomes, onTrial: 0, failuresPassed: 0, wall: spreadOf(...times) }
}

/** A host that has been up for so long, and has done what is handed in. */
function statusOf(
  uptimeMs: number,
  tally: Partial<HostStatus['tally']> = {},
  more: Partial<HostStatus> = {},
): HostStatus {
  return {
    ...{ format: statusFormat, version: '1.2.3', node: 'v24.0.0', pid: 4711, instance: 'one', phase: 'serving' },
    ...{ startedMs: 0, uptimeMs, stateDirectory: '/s', canRestart: true, inHand: 8, waiting: 3, maxWaiting: 500 },
    store: noStores.status(),
    configuration: {
      ...{ directory: '/c', files: [], filters: [], loadedMs: 0, reloads: 0, reloadsRefused: 0, refusedReload: null },
      ...{ problems: [], needRestart: [] },
    },
    doors: [
      {
        ...{ name: 'courierfilter', path: '/x', open: true, maxConnections: 1000 },
        counts: { open: 9, accepted: 0, refused: 0, requestsRefused: { late: 0, unfinished: 0, malformed: 0 } },
      },
    ],
    tally: {
      ...{ messages: 0, verdicts: {}, doors: [], unheard: 0, failures: {}, failuresPassed: 0, ranAgain: 0 },
      ...{ boundsMs: spreadBoundsMs, wall: spreadOf(), filters: [] },
      ...tally,
    },
    runners: [
      {
        ...{ name: 'main', role: 'serving', pid: 4712, threads: 2, serving: 2, inHand: 8, waiting: 3, restarts: 1 },
        ...{ threadsLost: 4, memoryOctets: null, residentOctets: 120 * 2 ** 20, answered: 300 },
        recycled: { messages: 0, memory: 0 },
      },
    ],
    ...{ runnerTally: [], poisonAlerts: 0 },
    process: { residentOctets: 88 * 2 ** 20, cpuMs: 0, loopActiveMs: 0, loopIdleMs: 0, loopTurnMs: 0.25 },
    log: { linesDropped: 0 },
    settings: [],
    ...more,
  }
}

t.test('times below which a share stays', (t) => {
  const quantile = (share: number, ...times: readonly number[]) => quantileMs(share, spreadOf(...times), spreadBoundsMs)
  t.equal(quantile(0.5), null, 'of nothing there is none')
  t.equal(quantile(0.5, 10, 10), 7.5, 'half of those between 5 and 10 are at the middle')
  t.equal(quantile(1, 10, 10), 10)
  t.equal(quantile(0.99, 6), 5 + 0.99, 'never above the largest that was seen')
  t.equal(quantile(0.5, 0.04, 0.04, 0.04, 0.04), 0.02, 'the first ones begin at zero')
  t.equal(quantile(1, 70_000), 70_000, 'beyond all bounds the largest is the end')
  const mixed = [...Array.from({ length: 98 }, () => 1), 100, 2000]
  t.ok((quantile(0.5, ...mixed) ?? 0) <= 1)
  t.ok((quantile(0.99, ...mixed) ?? 0) > 50 && (quantile(0.99, ...mixed) ?? 0) <= 100)
  t.match(spreadSince(spreadOf(1, 1, 50), spreadOf(1)), { count: 2, totalMs: 51, maxMs: 50 })
  t.end()
})

t.test('what counts as the interval', (t) => {
  const now = statusOf(10_000)
  t.match(intervalOf(now, null), { seconds: 10, isSinceStart: true, before: null })
  t.match(intervalOf(now, statusOf(8000)), { seconds: 2, isSinceStart: false })
  t.match(intervalOf(now, statusOf(8000, {}, { instance: 'two' })), { seconds: 10, isSinceStart: true }, 'another host')
  t.match(intervalOf(now, now), { isSinceStart: true }, 'the same look twice')
  const before = statusOf(0, { filters: [filterOf('a', { pass: 1 }, 1), filterOf('gone', { pass: 1 }, 5000)] })
  const after = statusOf(2000, {
    filters: [
      filterOf('a', { pass: 3, reject: 2, defer: 1 }, 1, 1, 1, 1, 1, 1),
      filterOf('gone', { pass: 1 }, 5000),
      filterOf('new', { failed: 2 }, 40, 60),
    ],
  })
  const rates = filterRates(after, intervalOf(after, { ...before, uptimeMs: 1 }))
  t.strictSame(
    rates.map(({ filter }) => filter),
    ['new', 'a', 'gone'],
    'the slowest one first, those that did not run last',
  )
  t.match(rates[0], { runs: 2, meanMs: 50, failedPerSecond: 2 / 1.999, refusedPerSecond: 0 })
  t.match(rates[1], { runs: 5, meanMs: 1, refusedPerSecond: 3 / 1.999, failedPerSecond: 0 })
  t.match(rates[2], { runs: 0, meanMs: null, p99Ms: null, maxMs: 5000, runsPerSecond: 0 })
  t.end()
})

const texts = (lines: readonly ScreenLine[]): string[] => lines.map(({ text }) => text)

const earlier = statusOf(60_000, {
  ...{ messages: 100, verdicts: { pass: 90, reject: 10 }, failures: { late: 1 }, wall: spreadOf(3000) },
  filters: [filterOf('noduplicates', { pass: 100 }, 3000)],
})
const later = statusOf(62_000, {
  ...{ messages: 300, verdicts: { pass: 270, reject: 30 }, failures: { late: 3, threw: 1 } },
  wall: spreadOf(3000, 10, 10),
  filters: [filterOf('noduplicates', { pass: 300 }, 3000, 0.2, 0.2), filterOf('slow', { defer: 2 }, 400, 400)],
})

t.test('the screen', (t) => {
  t.strictSame(
    texts(topScreen(later, earlier, null)),
    [
      'nodefilter 1.2.3 serves (process 4711, up 1 min 2 s), rates over 2.0 s',
      'messages     100.0/s: 90.0 pass, 0.0 accept, 10.0 reject, 0.0 defer; 300 in all',
      'times        p50 7.50 ms, p99 9.95 ms; 3000 ms at most since the start',
      'in hand      8, 3 of them waiting (500 may)',
      'connections  9 open (1000 may), 0.0/s; refused: 0 connections, 0 requests',
      'failures     3 late (1.0/s), 1 threw (0.5/s)',
      'log          0 lines dropped, 0 of filters left out',
      'host         event loop 0% busy, 0.25 ms a turn; CPU 0%; 88 MiB',
      '',
      'runner  is       process  threads  in hand  waiting  memory   restarts  threads lost',
      '------  -------  -------  -------  -------  -------  -------  --------  ------------',
      'main    serving     4712  2 of 2         8        3  120 MiB         1             4',
      '',
      'filter        runs/s  refused/s  failed/s  mean ms  p50 ms  p99 ms  max ms',
      '------------  ------  ---------  --------  -------  ------  ------  ------',
      'slow             1.0        1.0       0.0      400     300     398     400',
      'noduplicates     1.0        0.0       0.0     0.20    0.15    0.20    3000',
    ],
    'all of it',
  )
  const toned = (status: HostStatus, before: HostStatus | null, pattern: RegExp) =>
    topScreen(status, before, null).find(({ text }) => pattern.test(text))?.tone
  t.equal(toned(later, earlier, /^failures/), 'bad', 'new failures stand out')
  t.equal(toned(later, { ...later, uptimeMs: 61_000 }, /^failures/), 'plain', 'old ones do not')
  t.equal(toned(statusOf(1, {}, { waiting: 500 }), null, /^in hand/), 'bad', 'so does a full queue')
  t.equal(toned(statusOf(1, {}, { log: { linesDropped: 1 } }), null, /^log +1 line dropped/), 'bad')
  const problem = { file: 'filters.conf', line: 3, column: null, text: 'there is no filter "atc"', cure: null }
  const broken = statusOf(1000, {}, { phase: 'broken', runners: [] })
  const screen = topScreen({ ...broken, configuration: { ...broken.configuration, problems: [problem] } }, null, null)
  t.match(texts(screen)[0], /IS BROKEN: no mail is filtered .* rates since its start$/)
  t.match(texts(screen)[1], /^broken +filters\.conf:3: there is no filter "atc"/)
  t.match(texts(screen), [/nodefilter/, /broken/, /messages +0\.0\/s/, /p50 - ms, p99 - ms/])
  const nasty = statusOf(1, { filters: [filterOf('a\u001b[2J\u202eb', {}, 1)], verdicts: { '\u0007bell': 1 } })
  t.notMatch(
    texts(topScreen(nasty, null, null)).join(''),
    /[\u0000-\u001f\u202e]/,
    'what a terminal obeys is not shown',
  )
  t.end()
})

t.test('the size of the window', (t) => {
  const names = Array.from({ length: 40 }, (_, index) =>
    filterOf(`filter-${'x'.repeat(index)}`, { pass: 1 }, index + 1),
  )
  const status = statusOf(1000, { filters: names })
  for (const rows of [1, 2, 5, 12, 13, 15, 16, 17, 24, 54, 55, 56, 100]) {
    for (const columns of [1, 20, 79, 80, 200]) {
      const lines = topScreen(status, null, { columns, rows })
      if (lines.length > rows || lines.some(({ text }) => text.length > columns)) t.fail(`${columns} x ${rows}`)
      const shown = lines.filter(({ text }) => text.startsWith('filter-')).length
      const [, left] = /^and ([0-9]+) quicker/.exec(lines.at(-1)?.text ?? '') ?? []
      if (rows >= 17 && columns >= 20)
        t.equal(shown + Number(left ?? 0), 40, `${columns} x ${rows}: all are there or told`)
    }
  }
  t.match(texts(topScreen(status, null, { columns: 100, rows: 24 })), [/^nodefilter/], 'a usual window')
  t.equal(topScreen(status, null, { columns: 100, rows: 24 }).length, 24, 'is used to its last line')
  t.match(
    topScreen(status, null, { columns: 100, rows: 24 }).at(15)?.text,
    /^filter-x{19}\.\. /,
    'the slowest first, long names cut',
  )
  t.end()
})

t.test('what is drawn', (t) => {
  const lines: ScreenLine[] = [
    { text: 'one', tone: 'title' },
    { text: 'two', tone: 'plain' },
    { text: 'three', tone: 'bad' },
  ]
  t.equal(screenText(lines, false), '\u001b[Hone\u001b[K\r\ntwo\u001b[K\r\nthree\u001b[K\u001b[J', 'without colours')
  t.equal(
    screenText(lines, true).replaceAll('\u001b[K', ''),
    '\u001b[H\u001b[1mone\u001b[0m\r\ntwo\r\n\u001b[1;31mthree\u001b[0m\u001b[J',
  )
  t.end()
})

/** Input and output of a terminal that write down what is done with them. */
function fakeTerminal(hasKeys = true) {
  const done: string[] = []
  const output = Object.assign(new EventEmitter(), {
    ...{ columns: 80, rows: 24 },
    write: (text: string) => done.push(text),
  })
  const input = Object.assign(new EventEmitter(), {
    pause: () => done.push('pause'),
    resume: () => done.push('resume'),
    ...(hasKeys ? { setRawMode: (raw: boolean) => done.push(`raw ${raw}`) } : {}),
  })
  return {
    done,
    output,
    input,
    open: () => openScreen(input as unknown as Keys, output as unknown as WriteStream, false),
  }
}

const [entered, left] = ['\u001b[?1049h\u001b[?25l', '\u001b[?25h\u001b[?1049l']

t.test('the terminal is given back', async (t) => {
  const listeners = () => ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit'].map((name) => process.listenerCount(name))
  const before = listeners()
  const ends: [name: string, end: (terminal: ReturnType<typeof fakeTerminal>) => unknown][] = [
    ['q', ({ input }) => input.emit('data', Buffer.from('q'))],
    ['Q among other keys', ({ input }) => input.emit('data', Buffer.from('xyQ'))],
    ['Ctrl-C', ({ input }) => input.emit('data', Buffer.from([3]))],
    ['Ctrl-D', ({ input }) => input.emit('data', Buffer.from([4]))],
    ['the end of the input', ({ input }) => input.emit('end')],
    ['an error of the input', ({ input }) => input.emit('error', new Error('EIO'))],
    ['an error of the output', ({ output }) => output.emit('error', new Error('EPIPE'))],
    ['SIGTERM', () => process.emit('SIGTERM')],
    ['SIGHUP', () => process.emit('SIGHUP')],
  ]
  for (const [name, end] of ends) {
    const terminal = fakeTerminal()
    const screen = terminal.open()
    t.strictSame(terminal.done.splice(0), ['raw true', 'resume', entered], name)
    terminal.input.emit('data', Buffer.from('x\u001b[A'))
    end(terminal)
    await screen.left
    screen.close()
    screen.close()
    screen.draw([{ text: 'x', tone: 'plain' }])
    t.strictSame(terminal.done, ['raw false', 'pause', left], `${name}: once, and nothing is drawn after it`)
  }
  const crashed = fakeTerminal()
  crashed.open()
  process.listeners('exit').at(-1)?.call(process, 1)
  t.equal(crashed.done.at(-1), left, 'also where the process ends in another way')
  t.strictSame(listeners(), before, 'no listener is left')
  const keyless = fakeTerminal(false)
  const screen = keyless.open()
  t.strictSame(keyless.done, [entered], 'input that is no terminal is left alone')
  keyless.output.columns = 0
  t.strictSame(screen.size(), { columns: 80, rows: 24 }, 'a window of unknown size is a usual one')
  screen.close()
})

t.test('the loop', async (t) => {
  const clock = makeClock()
  const { promise: gone, resolve: leave } = Promise.withResolvers<null>()
  const drawn: string[][] = []
  let size: WindowSize = { columns: 100, rows: 30 }
  let resized: () => void = () => undefined
  const screen: Screen = {
    size: () => size,
    draw: (lines) => void drawn.push(texts(lines)),
    onResize: (act) => (resized = act),
    left: gone,
    close: () => undefined,
  }
  const answers: Asked[] = [
    { kind: 'answer', answer: { type: 'status', status: earlier } },
    { kind: 'answer', answer: { type: 'status', status: later } },
    { kind: 'nobody' },
    { kind: 'silent', text: 'it gave no answer for 15 s' },
    { kind: 'answer', answer: { type: 'status', status: { ...later, format: statusFormat + 1 } } },
    { kind: 'answer', answer: { type: 'status', status: { ...later, instance: 'two', pid: 5000 } } },
  ]
  let asked = 0
  const watching = watchHost(() => Promise.resolve(answers[asked++] ?? { kind: 'denied' }), screen, 1000, clock)
  const next = async (count: number): Promise<string[]> => {
    await until(`screen ${count}`, () => drawn.length === count && clock.timers() === 1)
    return drawn.at(-1) ?? []
  }
  t.match((await next(1))[0], /up 1 min 0 s\), rates since its start$/)
  await clock.advance(999)
  t.equal(asked, 1, 'nothing is asked before its time')
  await clock.advance(1)
  t.match((await next(2))[0], /rates over 2\.0 s$/)
  size = { columns: 20, rows: 3 }
  resized()
  t.strictSame(
    drawn[2]?.map((line) => line.length <= 20),
    [true, true, true],
    'another size is drawn at once',
  )
  t.equal(asked, 2, 'without asking')
  size = { columns: 100, rows: 30 }
  await clock.advance(1000)
  const silent = await next(4)
  t.match(silent, [/^no host runs there now; it is asked again, q leaves$/, /^nodefilter 1\.2\.3 serves/])
  await clock.advance(1000)
  t.match(await next(5), [/^the host gave no answer: it gave no answer for 15 s; /])
  await clock.advance(1000)
  t.match(await next(6), [/^the host is of another release than this command; /])
  await clock.advance(1000)
  t.match(
    await next(7),
    [/^nodefilter 1\.2\.3 serves \(process 5000, .* rates since its start$/],
    'a host that came back',
  )
  leave(null)
  await watching
  t.equal(clock.timers(), 0, 'and nothing goes on')
  t.equal(asked, 6)

  const stuck = watchHost(
    () => new Promise<never>(() => undefined),
    { ...screen, left: Promise.resolve(null) },
    1000,
    clock,
  )
  await stuck
  t.pass('whoever leaves does not wait for an answer')
})

const hasScript = spawnSync('script', ['--version']).status === 0

t.test('nodefilter top', async (t) => {
  const place = makePlace(t, 'act')
  const host = startHost(t, place, { set: ['runner.threads=1'] })
  await host.ready()
  const stream = startStream(host)
  const once = await nodefilter(['top', '--state-dir', place.state, '--once', '--interval', '500ms'])
  t.match(once, { code: 0, err: '' })
  t.match(
    once.out,
    /^nodefilter [0-9.]+ serves \(process [0-9]+, up .*\), rates over [0-9.]+ s\nmessages +[1-9][0-9]*\.[0-9]\/s: /,
  )
  t.match(once.out, /^act +[0-9.]+ +0\.0 +0\.0 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$/m)
  t.match(once.out, /^main +serving +[0-9]+ +1 of 1 +.* MiB /m)
  t.notMatch(once.out, /\u001b/, 'no escape sequence')
  const plain = await nodefilter(['top', '--state-dir', place.state, '--interval', '100ms'])
  t.match(plain, { code: 0, out: /^nodefilter [0-9.]+ serves/ }, 'so does an output that is no terminal')
  t.match(await nodefilter(['top', '--interval', '1']), { code: 64, err: /"1" is no time from 100ms to 1h/ })
  t.match(await nodefilter(['top', '--interval', '1ms']), { code: 64 })
  t.match(await nodefilter(['top', 'x']), { code: 64 })
  t.match(await nodefilter(['top', '--state-dir', place.at('none')]), { code: 69, out: '', err: /no host runs/ })

  await t.test('in a terminal', { skip: hasScript ? false : 'script(1) is not here' }, async (t) => {
    for (const [name, end] of [
      ['q', 'q'],
      ['Ctrl-C', '\u0003'],
    ] as const) {
      const said = await inTerminal(place.state, end)
      t.ok(
        said.startsWith(`${entered}\u001b[H`) || said.includes(`${entered}\u001b[H`),
        `${name}: another screen is taken`,
      )
      t.match(said, /nodefilter [0-9.]+ serves/)
      t.notMatch(said, /\u001b\[[0-9;]*m/, 'without colours where NO_COLOR is set')
      t.ok(said.trimEnd().endsWith(left), 'and given back')
    }
  })
  const { wrong } = await stream.stop()
  t.same(wrong, [])
  await host.stop()
})

/** Runs `top` in a terminal of its own, presses `key` once something is drawn, and gives all that was written there. */
async function inTerminal(stateDirectory: string, key: string): Promise<string> {
  const program = join(import.meta.dirname, '../../host/main.ts')
  const command = `${process.execPath} ${program} top --interval 200ms --state-dir ${stateDirectory}`
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm', NO_COLOR: '1', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => (said += text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await until('two screens', () => said.split('\u001b[H').length > 2, 20_000)
  child.stdin.write(key)
  await ended
  return said
}
