/** Metrics: their text, what they say after real messages, health and readiness, and the bounds of the server. */
import { createServer, connect, type AddressInfo } from 'node:net'
import { existsSync, lstatSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isLocalAddress, listenAddressText, parseListenAddress } from '../../host/config/listen-address.ts'
import { checkHostSettings } from '../../host/config/settings.ts'
import { askHost } from '../../host/control/client.ts'
import { maxAnswerChars } from '../../host/control/protocol.ts'
import type { HostPhase, HostStatus } from '../../host/control/status.ts'
import { createEvents, type Summary } from '../../host/observe/events.ts'
import { createMetricsEvents } from '../../host/observe/metrics-events.ts'
import { createMetricsListener } from '../../host/observe/metrics-listener.ts'
import { metricsLimits, openMetricsServer } from '../../host/observe/metrics-server.ts'
import { metricDeclarations, readMetrics } from '../../host/observe/metrics.ts'
import {
  acceptedFormat,
  metricsMediaTypes,
  metricsText,
  type MetricFamily,
  type MetricsFormat,
} from '../../host/observe/open-metrics.ts'
import { countRunnerEvents } from '../../host/observe/runner-tally.ts'
import { createTally } from '../../host/observe/tally.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { nodefilter } from '../helpers/command.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { makePlace, orders, servingHost, startHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { parseMetrics, valueOf, type ParsedMetrics } from '../helpers/metrics-parser.ts'
import { until } from '../helpers/until.ts'

t.test('the text', (t) => {
  const nasty = 'a "quoted" \\ back\nslash \ud800'
  const families: MetricFamily[] = [
    {
      name: 'x_build',
      type: 'info',
      unit: null,
      help: 'Built.',
      samples: [{ labels: [['version', nasty]], value: 1 }],
    },
    {
      ...{ name: 'x_sent', type: 'counter', unit: null, help: 'Sent "out",\nand \\ back.' },
      samples: [
        { labels: [['to', 'a']], value: 3 },
        { labels: [['to', 'b']], value: 0.5 },
      ],
    },
    { name: 'x_none', type: 'gauge', unit: null, help: 'Nothing to tell.', samples: [] },
    {
      ...{ name: 'x_wait_seconds', type: 'histogram', unit: 'seconds', help: 'Waits.' },
      samples: [
        { labels: [['of', 'one']], bounds: [0.001, 1, 2.5], buckets: [2, 0, 3, 1], sum: 12.25 },
        { labels: [], bounds: [0.001, 1, 2.5], buckets: [0, 0, 0, 0], sum: 0 },
      ],
    },
    {
      name: 'x_odd',
      type: 'gauge',
      unit: null,
      help: 'Odd.',
      samples: [NaN, Infinity, -Infinity, 1e21, -0.25].map((value, at) => ({ labels: [['at', String(at)]], value })),
    },
  ]
  t.equal(
    metricsText(families.slice(0, 4), 'openmetrics'),
    String.raw`# TYPE x_build info
# HELP x_build Built.
x_build_info{version="a \"quoted\" \\ back\nslash ${'\ufffd'}"} 1
# TYPE x_sent counter
# HELP x_sent Sent \"out\",\nand \\ back.
x_sent_total{to="a"} 3
x_sent_total{to="b"} 0.5
# TYPE x_wait_seconds histogram
# UNIT x_wait_seconds seconds
# HELP x_wait_seconds Waits.
x_wait_seconds_bucket{of="one",le="0.001"} 2
x_wait_seconds_bucket{of="one",le="1.0"} 2
x_wait_seconds_bucket{of="one",le="2.5"} 5
x_wait_seconds_bucket{of="one",le="+Inf"} 6
x_wait_seconds_count{of="one"} 6
x_wait_seconds_sum{of="one"} 12.25
x_wait_seconds_bucket{le="0.001"} 0
x_wait_seconds_bucket{le="1.0"} 0
x_wait_seconds_bucket{le="2.5"} 0
x_wait_seconds_bucket{le="+Inf"} 0
x_wait_seconds_count 0
x_wait_seconds_sum 0
# EOF
`,
  )
  t.equal(
    metricsText(families.slice(0, 2), 'prometheus'),
    String.raw`# TYPE x_build_info gauge
# HELP x_build_info Built.
x_build_info{version="a \"quoted\" \\ back\nslash ${'\ufffd'}"} 1
# TYPE x_sent_total counter
# HELP x_sent_total Sent "out",\nand \\ back.
x_sent_total{to="a"} 3
x_sent_total{to="b"} 0.5
`,
  )
  for (const format of ['openmetrics', 'prometheus'] as const) {
    const parsed = parseMetrics(metricsText(families, format), format)
    t.strictSame(
      [0, 1, 2, 3, 4].map((at) => valueOf(parsed, 'x_odd', { at: String(at) })),
      [NaN, Infinity, -Infinity, 1e21, -0.25],
      `${format}: every number comes back`,
    )
    const label = 'a "quoted" \\ back\nslash \ufffd'
    t.equal(valueOf(parsed, 'x_build_info', { version: label }), 1, `${format}: every text comes back`)
  }
  t.equal(metricsText([], 'openmetrics'), '# EOF\n', 'nothing at all has an end')
  t.end()
})

t.test('the parser of these tests is a strict one', (t) => {
  const good = '# TYPE a counter\na_total{x="1"} 1\n# EOF\n'
  t.doesNotThrow(() => parseMetrics(good, 'openmetrics'))
  for (const [name, text] of [
    ['no end', good.replace('# EOF\n', '')],
    ['something behind the end', `${good}a_total 1\n`],
    ['no last line end', good.slice(0, -1)],
    ['an undeclared name', `b 1\n${good}`],
    ['a counter without its suffix', good.replace('a_total', 'a')],
    ['a value that is none', good.replace('} 1', '} one')],
    ['an open quote', good.replace('"1"', '"1')],
    ['a bare quote in a value', good.replace('"1"', '"1"2"')],
    ['the same twice', good.replace('# EOF', 'a_total{x="1"} 2\n# EOF')],
    ['a family in two places', good.replace('# EOF', '# TYPE b gauge\nb 1\na_total{x="2"} 2\n# EOF')],
    ['a family declared twice', good.replace('# EOF', '# TYPE a counter\n# EOF')],
    ['a unit that the name does not have', good.replace('a_total', '# UNIT a seconds\na_total')],
    ['buckets that fall', histogramText([3, 2, 2], 2)],
    ['a count that is not that of the last bucket', histogramText([1, 2, 3], 4)],
    ['no bucket without a bound', histogramText([1, 2, 3], 3).replace('le="+Inf"', 'le="9"')],
    ['an empty line', `\n${good}`],
  ] as const) {
    t.throws(() => parseMetrics(text, 'openmetrics'), name)
  }
  t.doesNotThrow(() => parseMetrics(histogramText([1, 2, 2], 2), 'openmetrics'))
  t.end()
})

function histogramText(buckets: readonly number[], count: number): string {
  const lines = ['1.0', '2.0', '+Inf'].map((le, at) => `h_bucket{le="${le}"} ${buckets[at] ?? 0}`)
  return ['# TYPE h histogram', ...lines, `h_count ${count}`, 'h_sum 1', '# EOF', ''].join('\n')
}

t.test('what a client accepts', (t) => {
  const scraper =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'
  const rows: [accept: string | undefined, want: MetricsFormat][] = [
    [undefined, 'openmetrics'],
    ['*/*', 'openmetrics'],
    ['', 'openmetrics'],
    [scraper, 'openmetrics'],
    ['text/plain', 'prometheus'],
    ['text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.4', 'prometheus'],
    ['TEXT/PLAIN ; Q=1 , */*;q=0.1', 'prometheus'],
    ['text/*', 'prometheus'],
    ['text/plain;q=0', 'openmetrics'],
    ['application/openmetrics-text;q=0, */*', 'prometheus'],
    ['text/plain;q=many', 'prometheus'],
    [','.repeat(8000), 'openmetrics'],
  ]
  for (const [accept, want] of rows) t.equal(acceptedFormat(accept), want, accept?.slice(0, 60) ?? 'no field')
  t.end()
})

t.test('where it listens', (t) => {
  const rows: [text: string, want: string | null, isLocal: boolean][] = [
    ['off', null, true],
    ['127.0.0.1:9125', '127.0.0.1:9125', true],
    ['127.1.2.3:1', '127.1.2.3:1', true],
    ['[::1]:65535', '[::1]:65535', true],
    ['[0:0:0:0:0:0:0:1]:80', '[0:0:0:0:0:0:0:1]:80', true],
    ['/run/nodefilter/metrics.sock', '/run/nodefilter/metrics.sock', true],
    ['0.0.0.0:9125', '0.0.0.0:9125', false],
    ['[::]:9125', '[::]:9125', false],
    ['192.0.2.1:9125', '192.0.2.1:9125', false],
    ['[2001:db8::1]:9125', '[2001:db8::1]:9125', false],
    ['[::ffff:127.0.0.1]:9125', '[::ffff:127.0.0.1]:9125', false],
  ]
  for (const [text, want, isLocal] of rows) {
    const parsed = parseListenAddress(text)
    if ('problem' in parsed) t.fail(`${text}: ${parsed.problem}`)
    else {
      t.equal(parsed.address === null ? null : listenAddressText(parsed.address), want, text)
      if (parsed.address !== null) t.equal(isLocalAddress(parsed.address), isLocal, `${text} is local`)
    }
    const allowed = (allow: string): number =>
      checkHostSettings({ metrics: { listen: text, allow_remote: allow } }).problems.length
    t.same([allowed('no'), allowed('yes')], [isLocal ? 0 : 1, 0], `${text} needs to be allowed if others can reach it`)
  }
  for (const text of [
    ...['', '9125', 'localhost:9125', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:x', '::1:9125'],
    ...['[::1]', '[127.0.0.1]:9125', 'metrics.sock', `/${'x'.repeat(107)}`, '127.0.0.1:9125/metrics', ':9125', 'OFF'],
  ]) {
    t.match(parseListenAddress(text), { problem: /^".*" (is no address|cannot be the path)/ }, `"${text}" is none`)
  }
  const { settings, problems } = checkHostSettings({ metrics: { listen: '192.0.2.1:9125' } })
  t.match(problems, [{ section: 'metrics', key: 'listen', text: /other machines/, cure: /allow_remote/ }])
  t.equal(settings.metrics.listen, 'off', 'what is refused is not used')
  t.end()
})

t.test('runners are counted by what is told of them', (t) => {
  const told: string[] = []
  const log = { write: ({ event }: { event: string }) => told.push(event), dropped: () => 0, reopen: () => undefined }
  const { events, snapshot, poisonAlerts } = countRunnerEvents(createEvents({ ...log, close: () => Promise.resolve() }))
  t.strictSame(snapshot(), [none('main')])
  events.runnerStarted('main', 1)
  events.runnerStarted('solo', 2)
  events.runnerEnded('main', 1, 'x', 0)
  events.runnerStarted('main', 3)
  events.threadLost('main', 0, 'x', 1)
  events.threadBlocked('solo', 0, 2000, null, null)
  events.runnerRecycled('main', 3, 'memory', 10, null)
  events.recycleFailed('main', 'memory', 'x')
  events.poisonMessage('i', 'q', null, 3, null, 'x')
  events.linesLeftOut('main', 5)
  events.linesLeftOut('main', 6)
  t.strictSame(snapshot(), [
    {
      ...{ ...none('main'), starts: 2, lost: 1, threadsLost: 1, linesLeftOut: 11, recycleFailures: 1 },
      recycled: { messages: 0, memory: 1 },
    },
    { ...none('solo'), starts: 1, threadsBlocked: 1 },
  ])
  t.equal(poisonAlerts(), 1)
  t.equal(told.length, 11, 'and all is told as before')
  t.end()
})

function none(runner: string) {
  return {
    runner,
    starts: 0,
    lost: 0,
    recycled: { messages: 0, memory: 0 },
    recycleFailures: 0,
    threadsLost: 0,
    threadsBlocked: 0,
    linesLeftOut: 0,
  }
}

function summaryOf(filter: string, door: string, errorCode: string | null): Summary {
  return {
    ...{
      id: 'i',
      door,
      queueId: null,
      client: null,
      sender: null,
      recipients: 1,
      octets: 1,
      verdict: 'pass',
      reply: '',
    },
    ...{ filter: null, ms: 2, attempts: 1, source: 'smtp', auth: null, notes: [], errorCode, errorCause: null },
    trail: [{ filter, outcome: 'pass', dryRun: false, wallMs: 1, cpuMs: null, text: null }],
  }
}

t.test('the state of a host in numbers', async (t) => {
  const host = await servingHost(t, ['act'], { set: ['runner.threads=1'] })
  const status = await statusOf(host)
  const tally = createTally()
  for (let index = 0; index < 10_000; index++) {
    // As long as a filter's alias can be, that of a package included.
    tally.settled(summaryOf(`${'x'.repeat(200)}${index}`, `door-${index}`, `kind-${index}`))
  }
  const many: HostStatus = { ...status, tally: tally.snapshot() }
  for (const format of ['openmetrics', 'prometheus'] as const) {
    const text = metricsText(readMetrics(many), format)
    const parsed = parseMetrics(text, format)
    t.ok(parsed.samples.length < 10_000, `${parsed.samples.length} samples, however many names there were`)
    t.ok(JSON.stringify(text).length < maxAnswerChars, `and they fit into one answer: ${text.length}`)
    t.equal(
      parsed.samples
        .filter(({ name, labels }) => name === 'nodefilter_filter_duration_seconds_count' && labels['filter'] !== '')
        .reduce((sum, { value }) => sum + value, 0),
      10_000,
      'none is lost',
    )
    t.equal(valueOf(parsed, 'nodefilter_filter_runs_total', { filter: '(others)', outcome: 'pass' }), 9700)
  }
  t.ok(JSON.stringify(many).length < maxAnswerChars, 'so does the status')

  const broken = readMetrics({ ...status, phase: 'broken', configuration: { ...status.configuration, loadedMs: null } })
  const parsed = parseMetrics(metricsText(broken, 'openmetrics'), 'openmetrics')
  t.equal(valueOf(parsed, 'nodefilter_phase', { phase: 'broken' }), 1)
  t.equal(valueOf(parsed, 'nodefilter_phase', { phase: 'serving' }), 0)
  t.equal(parsed.families.has('nodefilter_configuration_load_time_seconds'), false, 'what is not there is left out')

  const names = metricDeclarations.map(({ name }) => name)
  t.equal(new Set(names).size, names.length, 'no name twice')
  for (const { name, type, unit, help, labels, read } of metricDeclarations) {
    t.match(name, /^[a-z]+(?:_[a-z]+)*$/)
    t.notMatch(name, /_(?:total|info|count|sum|bucket)$/, `${name}: what a type adds is not in the name`)
    t.ok(unit === null || name.endsWith(`_${unit}`), `${name} ends in its unit`)
    t.equal(type === 'histogram' && unit === null, false, name)
    t.match(help, /^[A-Z].*\.$/, `${name} has a sentence`)
    const used = new Set(read(many).map(({ labels }) => labels.map(([label]) => label).join()))
    t.strictSame([...used], [labels.join()], `${name} has the labels that are declared`)
  }
  await host.stop()
})

async function statusOf(host: HostProcess): Promise<HostStatus> {
  const asked = await askHost(join(host.place.state, 'control.sock'), 'status')
  if (asked.kind !== 'answer' || asked.answer.type !== 'status') throw new Error(JSON.stringify(asked))
  return asked.answer.status
}

interface Heard {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

interface Wanted {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One HTTP request over a Unix socket or a port. */
function get(to: string | number, path: string, { method = 'GET', headers = {}, body }: Wanted = {}): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const where = typeof to === 'string' ? { socketPath: to } : { host: '127.0.0.1', port: to }
    const asking = request({ ...where, path, method, headers, agent: false, timeout: 20_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      response.on('error', reject)
    })
    asking.on('timeout', () => asking.destroy(new Error(`no answer to ${method} ${path}`)))
    asking.on('error', reject)
    asking.end(body)
  })
}

async function scrape(to: string | number): Promise<ParsedMetrics> {
  const { status, body, headers } = await get(to, '/metrics')
  if (status !== 200 || headers['content-type'] !== metricsMediaTypes.openmetrics) throw new Error(`${status} ${body}`)
  return parseMetrics(body, 'openmetrics')
}

/** As `until`, for what asks the server: beyond so many connections a second it closes them. */
const untilMetrics = <T>(what: string, probe: () => T | Promise<T>) =>
  until(what, probe, 10_000, 4000 / metricsLimits.perSecond)

t.test('the values after real messages', async (t) => {
  const list = ['act', 'act as soft with on_error=pass', 'act as dry with dry_run=yes']
  const place = makePlace(t, ...list)
  const socket = place.at('m')
  const host = startHost(t, place, { set: ['runner.threads=1', `metrics.listen=${socket}`, 'log.lines_per_second=1'] })
  await host.ready()
  await host.logged(/ metrics-opened address=\/.*\/m$/)
  t.equal(lstatSync(socket).mode & 0o777, 0o660, 'the group may connect, nobody else')
  const zero = await scrape(socket)
  t.equal(
    valueOf(zero, 'nodefilter_messages_total', { door: 'courierfilter', verdict: 'reject' }),
    0,
    'zeros are there',
  )
  t.equal(valueOf(zero, 'nodefilter_failures_total', { kind: 'late' }), 0)

  const ask = (acts: Parameters<typeof orders>[0]): Promise<string> => host.ask(place.pair({ content: orders(acts) }))
  for (const acts of [{}, {}, { soft: 'throw error' }, { act: 'reply "554 no"' }, { act: 'throw error' }])
    await ask(acts)
  const held = ask({ act: [`journal ${place.at('begun')}`, `hold ${place.at('go')}`] })
  await until('a message to be held', () => existsSync(place.at('begun')))
  t.equal(await host.ask('nonsense\n\n'), '', 'no request')
  t.equal(await host.ask('\n'), '', 'nor this')
  place.list('atc')
  t.match(await askHost(join(place.state, 'control.sock'), 'reload'), { answer: { result: { takenOver: false } } })

  // The text may be a moment old.
  const now = await untilMetrics('a text made after the reload', async () => {
    const parsed = await scrape(socket)
    return valueOf(parsed, 'nodefilter_reloads_total', { result: 'refused' }) === 1 && parsed
  })
  const value = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
    valueOf(now, `nodefilter_${name}`, labels)
  const rows: [name: string, labels: Readonly<Record<string, string>>, want: number][] = [
    ['messages_total', { door: 'courierfilter', verdict: 'pass' }, 3],
    ['messages_total', { door: 'courierfilter', verdict: 'reject' }, 1],
    ['messages_total', { door: 'courierfilter', verdict: 'defer' }, 1],
    ['message_duration_seconds_count', {}, 5],
    ['failures_total', { kind: 'threw' }, 1],
    ['failures_passed_total', {}, 0],
    ['filter_runs_total', { filter: 'act', outcome: 'pass' }, 3],
    ['filter_runs_total', { filter: 'act', outcome: 'failed' }, 1],
    ['filter_runs_total', { filter: 'soft', outcome: 'failed' }, 1],
    ['filter_failures_passed_total', { filter: 'soft' }, 1],
    ['filter_trial_runs_total', { filter: 'dry' }, 3],
    ['filter_duration_seconds_count', { filter: 'act' }, 5],
    ['messages_in_flight', {}, 1],
    ['messages_waiting', {}, 0],
    ['messages_waiting_limit', {}, 500],
    ['connections_open', { door: 'courierfilter' }, 1],
    ['connections_limit', { door: 'courierfilter' }, 1000],
    ['connections_total', { door: 'courierfilter' }, 8],
    ['connections_refused_total', { door: 'courierfilter' }, 0],
    ['requests_refused_total', { door: 'courierfilter', cause: 'malformed' }, 2],
    ['requests_refused_total', { door: 'courierfilter', cause: 'late' }, 0],
    ['runners', { runner: 'main' }, 1],
    ['threads', { runner: 'main' }, 1],
    ['threads_serving', { runner: 'main' }, 1],
    ['runner_starts_total', { runner: 'main' }, 2],
    ['runners_lost_total', { runner: 'main' }, 0],
    ['runners_recycled_total', { runner: 'main', reason: 'memory' }, 0],
    ['poison_alerts_total', {}, 0],
    ['reloads_total', { result: 'refused' }, 1],
    ['reloads_total', { result: 'taken-over' }, 0],
    ['log_lines_dropped_total', {}, 0],
    ['phase', { phase: 'serving' }, 1],
  ]
  for (const [name, labels, want] of rows) t.equal(value(name, labels), want, `${name} ${JSON.stringify(labels)}`)
  t.ok((value('resident_memory_bytes', { process: 'host' }) ?? 0) > 1e7, 'the host has some memory')
  t.ok((value('resident_memory_bytes', { process: 'main' }) ?? 0) > 1e7, 'so has its runner')
  const started = value('start_time_seconds') ?? 0
  t.ok(Math.abs(started - Date.now() / 1000) < 300, 'it was started a moment ago')
  for (const name of ['event_loop_active_seconds_total', 'host_cpu_seconds_total', 'event_loop_turn_seconds'])
    t.ok((value(name) ?? 0) > 0, name)

  writeFileSync(place.at('go'), '')
  t.equal(await held, '200 Ok\n')
  place.list('act')
  t.match(await askHost(join(place.state, 'control.sock'), 'reload'), { answer: { result: { takenOver: true } } })
  await until('the old runner to be gone', async () => (await statusOf(host)).runners.length === 1)
  const { pid } = (await statusOf(host)).runners[0] ?? {}
  process.kill(pid ?? 0, 'SIGKILL')
  const later = await untilMetrics('the next runner', async () => {
    const parsed = await scrape(socket)
    const [lost, serving] = ['runners_lost_total', 'threads_serving'].map((name) =>
      valueOf(parsed, `nodefilter_${name}`, { runner: 'main' }),
    )
    return lost === 1 && serving === 1 ? parsed : null
  })
  t.equal(valueOf(later, 'nodefilter_runner_starts_total', { runner: 'main' }), 4, 'a reload does not begin anew')

  const command = await nodefilter(['metrics', '--state-dir', place.state])
  t.match(command, { code: 0, err: '' })
  const told = parseMetrics(command.out, 'openmetrics')
  t.strictSame([...told.families.keys()], [...later.families.keys()], 'the command tells the same')
  t.equal(valueOf(told, 'nodefilter_messages_total', { door: 'courierfilter', verdict: 'pass' }), 4)
  const older = await nodefilter(['metrics', '--state-dir', place.state, '--format', 'prometheus'])
  t.equal(parseMetrics(older.out, 'prometheus').families.get('nodefilter_messages_total')?.type, 'counter')
  t.match(await nodefilter(['metrics', '--format', 'xml']), { code: 64, err: /neither openmetrics nor prometheus/ })
  t.match(await nodefilter(['metrics', '--state-dir', place.at('none')]), { code: 69, err: /no host runs/ })
  await host.stop()
  t.notOk(existsSync(socket), 'a stopped host leaves no socket of metrics')
})

/** A place whose one filter waits for the file `go` before it is loaded. */
function slowPlace(t: Test) {
  const place = makePlace(t, 'slow')
  const source = `
import { existsSync } from 'node:fs'
export const initFilter = async () => {
  while (!existsSync(${JSON.stringify(place.at('go'))})) await new Promise((resolve) => setTimeout(resolve, 10))
}
export const doFilter = () => ''
`
  place.filter('slow.mjs', source)
  return place
}

t.test('health and readiness, from start to stop', async (t) => {
  const place = slowPlace(t)
  const socket = place.at('m')
  const host = startHost(t, place, { set: ['runner.threads=1', `metrics.listen=${socket}`] })
  await host.logged(/ metrics-opened /)
  const state = async () => {
    const [health, ready] = await Promise.all(['/healthz', '/readyz'].map((path) => get(socket, path)))
    // The text may be a moment old.
    await untilMetrics(`metrics that say ${ready?.body}`, async () => {
      const { samples } = await scrape(socket)
      const { labels } = samples.find(({ name, value }) => name === 'nodefilter_phase' && value === 1) ?? {}
      return ready?.body.startsWith(labels?.['phase'] ?? 'none')
    })
    return [health?.status, ready?.status, ready?.body]
  }
  t.strictSame(await state(), [200, 503, 'starting: the filters are being loaded\n'])
  writeFileSync(place.at('go'), '')
  await host.ready()
  t.strictSame(await state(), [200, 200, 'serving\n'])

  // Only at a start can a configuration break a host; here its filter is gone when its runner is replaced.
  rmSync(join(place.filters, 'slow.mjs'))
  process.kill((await statusOf(host)).runners[0]?.pid ?? 0, 'SIGKILL')
  await untilMetrics('the host to be broken', async () => (await get(socket, '/readyz')).status === 503)
  t.strictSame(await state(), [...[200, 503, 'broken: no mail is filtered; "nodefilter status" tells why\n']])

  place.list('act')
  await askHost(join(place.state, 'control.sock'), 'reload')
  t.strictSame(await state(), [200, 200, 'serving\n'], 'a reload mends it')
  const content = orders({ act: [`journal ${place.at('begun')}`, `hold ${place.at('on')}`] })
  const held = host.ask(place.pair({ content }))
  await until('a message to be held', () => existsSync(place.at('begun')))
  const stopped = host.stop()
  await host.logged(/ host-stopping /)
  t.strictSame(await state(), [200, 503, 'stopping\n'], 'while the last messages are finished')
  writeFileSync(place.at('on'), '')
  t.equal(await held, '200 Ok\n')
  await stopped
})

t.test('an address that cannot be had disturbs no mail; a reload moves it', async (t) => {
  const occupied = createServer()
  await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve))
  const { port } = occupied.address() as AddressInfo
  const place = makePlace(t, 'act')
  const configure = (listen: string): void =>
    writeFileSync(join(place.config, 'nodefilter.conf'), `[metrics]\nlisten = ${listen}\n`)
  configure(`127.0.0.1:${port}`)
  const host = startHost(t, place, { set: ['runner.threads=1'] })
  await host.ready()
  await host.logged(new RegExp(`^ERR: metrics-failed address=127.0.0.1:${port} cause=".*EADDRINUSE`))
  t.equal(await host.ask(place.pair()), '200 Ok\n', 'mail is filtered')
  await new Promise((resolve) => occupied.close(resolve))
  const reload = () => askHost(join(place.state, 'control.sock'), 'reload')
  t.match(await reload(), { answer: { result: { takenOver: true, needRestart: [] } } })
  t.equal((await get(port, '/readyz')).status, 200, 'a reload tries again')

  configure(place.at('m'))
  await reload()
  t.equal((await get(place.at('m'), '/readyz')).status, 200, 'a reload moves it')
  await t.rejects(get(port, '/readyz'), { code: 'ECONNREFUSED' }, 'the old address is free')
  configure('0.0.0.0:9125')
  t.match(
    await reload(),
    { answer: { result: { takenOver: false, problems: [{ line: 2, text: /\[metrics\] listen.*other machines/ }] } } },
    'an address for others is refused',
  )
  t.equal((await get(place.at('m'), '/readyz')).status, 200, 'and the old one goes on')
  configure('off')
  await reload()
  await t.rejects(get(place.at('m'), '/readyz'), { code: 'ENOENT' })
  t.equal(await host.ask(place.pair()), '200 Ok\n')
  await host.stop()
  t.notMatch(host.log.join('\n'), / bug /)
})

t.test('a host with hostile clients of its metrics answers mail', async (t) => {
  const place = makePlace(t, 'act')
  const port = await freePort()
  const host = startHost(t, place, { set: ['runner.threads=1', `metrics.listen=127.0.0.1:${port}`] })
  await host.ready()
  const stream = startStream(host)
  const clients = Array.from({ length: 600 }, (_, index) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      [
        '',
        'GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ',
        `GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(10_000)}\r\n\r\n`,
        'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nxxxx',
        'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50),
        '\0\u0001\u0002'.repeat(1000),
      ][index % 6] ?? '',
    )
    return socket
  })
  await until(
    'those to be closed that sent a whole request',
    () => clients.filter(({ destroyed }) => destroyed).length >= 300,
  )
  for (const socket of clients) socket.destroy()
  const answered = await until('an answer to an honest one', () => get(port, '/metrics').catch(() => null))
  t.equal(answered.status, 200)
  const { sent, wrong } = await stream.stop()
  t.same(wrong, [], `all of ${sent} messages are accepted meanwhile`)
  await host.stop()
  t.notMatch(host.log.join('\n'), / bug | metrics-failed /)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A server without a host, on a clock that stands still. */
async function openStage(t: Test, text: () => Promise<string> = () => Promise.resolve('# EOF\n')) {
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const path = join(root, 'm')
  const clock = makeClock()
  const log: string[] = []
  const events = createMetricsEvents({
    ...{ write: ({ event, fields }) => log.push(`${event} ${JSON.stringify(fields)}`), dropped: () => 0 },
    ...{ reopen: () => undefined, close: () => Promise.resolve() },
  })
  let phase: HostPhase = 'serving'
  let made = 0
  const source = {
    text: () => {
      made++
      return text()
    },
    phase: () => phase,
  }
  const stage = {
    path,
    clock,
    log,
    events,
    source,
    root,
    made: () => made,
    setPhase: (next: HostPhase) => (phase = next),
  }
  const server = await openMetricsServer({ kind: 'unix', path }, source, { ...systemPlatform, clock }, events)
  t.teardown(() => server.close())
  return { ...stage, server }
}

t.test('the server', async (t) => {
  const { path, clock, made } = await openStage(t)
  const plain = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }
  const rows: [name: string, path: string, wanted: Wanted, want: Partial<Heard>][] = [
    ['metrics', '/metrics', {}, { status: 200, body: '# EOF\n', headers: { connection: 'close' } }],
    ['metrics, whatever is asked of them', '/metrics?name=x', {}, { status: 200, body: '# EOF\n' }],
    ['health', '/healthz', {}, { status: 200, body: 'ok\n', headers: plain }],
    ['readiness', '/readyz', {}, { status: 200, body: 'serving\n', headers: plain }],
    ['only the head', '/metrics', { method: 'HEAD' }, { status: 200, body: '', headers: { 'content-length': '6' } }],
    [
      'the older form',
      '/metrics',
      { headers: { accept: 'text/plain' } },
      {
        ...{ status: 200, headers: { 'content-type': metricsMediaTypes.prometheus } },
      },
    ],
    ['POST', '/metrics', { method: 'POST', body: 'x'.repeat(1000) }, { status: 405, headers: { allow: 'GET, HEAD' } }],
    ['PUT', '/healthz', { method: 'PUT', body: 'x' }, { status: 405 }],
    ['DELETE', '/readyz', { method: 'DELETE' }, { status: 405 }],
    ['another path', '/', {}, { status: 404, body: 'there are /metrics, /healthz and /readyz\n' }],
    ['a path below', '/metrics/x', {}, { status: 404 }],
    ['a way out', '/../../etc/passwd', {}, { status: 404 }],
    ['10,000 octets of header', '/metrics', { headers: { 'x-long': 'x'.repeat(10_000) } }, { status: 431 }],
  ]
  for (const [name, url, wanted, want] of rows) t.match(await get(path, url, wanted), want, name)

  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let heard = ''
      const socket = connect({ path })
      socket.setEncoding('latin1')
      socket.on('data', (piece: string) => (heard += piece))
      socket.on('error', () => resolve(heard))
      socket.on('close', () => resolve(heard))
      socket.write(text)
    })
  t.match(await raw('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /, 'what is no HTTP')
  const two = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2))
  t.equal(two.match(/\nok\n/g)?.length, 1, 'a connection has one request')

  const before = made()
  await clock.advance(metricsLimits.sameTextMs)
  await Promise.all(Array.from({ length: 8 }, () => get(path, '/metrics')))
  t.equal(made() - before, 1, 'those who ask at once share one text')
  await clock.advance(metricsLimits.sameTextMs)
  await get(path, '/metrics')
  t.equal(made() - before, 2, 'later ones get another')
})

t.test('the bounds of the server', async (t) => {
  const big = 'x'.repeat(8e6)
  const { path, clock, server } = await openStage(t, () => Promise.resolve(big))
  const client = (text: string) => {
    const socket = connect({ path })
    const state = { socket, heard: 0, closed: false }
    socket.on('error', () => undefined)
    socket.on('close', () => (state.closed = true))
    socket.write(text)
    t.teardown(() => socket.destroy())
    return state
  }
  const slow = client('GET /metrics HT')
  const deaf = client('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  deaf.socket.pause()
  await until('both to be there', () => clock.timers() === 2)
  await clock.advance(metricsLimits.wholeMs - 1)
  slow.socket.write('TP/1.1\r\nHost')
  t.equal(clock.timers(), 2, 'both are borne for a while')
  slow.socket.on('data', () => slow.heard++)
  await clock.advance(1)
  await until('the slow one to be closed', () => slow.closed)
  t.equal(slow.heard, 0, 'also one that goes on')
  deaf.socket.resume()
  await until('the deaf one to be closed', () => deaf.closed)
  t.equal(clock.timers(), 0, 'no timer is left')

  await clock.advance(1000)
  const crowd = Array.from({ length: metricsLimits.connections + 5 }, () => client('GET '))
  await until('those beyond the limit to be closed', () => crowd.filter(({ closed }) => closed).length === 5)
  t.equal(clock.timers(), metricsLimits.connections)
  for (const { socket } of crowd) socket.destroy()
  await until('all to be gone', () => clock.timers() === 0)

  await clock.advance(1000)
  for (let index = 0; index < metricsLimits.perSecond; index++)
    t.equal((await get(path, '/healthz')).status, 200, 'as many as one second may have')
  await t.rejects(get(path, '/healthz'), { code: /^(?:ECONNRESET|EPIPE)$/ }, 'one more is closed')
  await clock.advance(1000)
  t.equal((await get(path, '/healthz')).status, 200, 'in the next second it is answered again')

  const last = client('GET ')
  await until('it to be there', () => clock.timers() === 1)
  server.close()
  await until('it to be closed with the server', () => last.closed)
})

t.test('the socket file, a bug, and a stop while it opens', async (t) => {
  const broken = await openStage(t, () => Promise.reject(new Error('as told')))
  await t.rejects(get(broken.path, '/metrics'), { code: 'ECONNRESET' })
  t.match(broken.log.join('\n'), /^metrics-failed .*as told/m, 'a bug is told')
  t.equal((await get(broken.path, '/healthz')).status, 200, 'and contained')

  const open = (path: string) =>
    openMetricsServer({ kind: 'unix', path }, broken.source, { ...systemPlatform, clock: broken.clock }, broken.events)
  await t.rejects(open(broken.path), /another process listens there/)
  const file = join(broken.root, 'file')
  writeFileSync(file, 'mine')
  await t.rejects(open(file), /something else has that name/)
  t.ok(existsSync(file), 'and it stays')
  const stale = createServer()
  await new Promise<void>((resolve) => stale.listen(join(broken.root, 'was'), resolve))
  renameSync(join(broken.root, 'was'), join(broken.root, 'stale'))
  await new Promise((resolve) => stale.close(resolve))
  const again = await open(join(broken.root, 'stale'))
  t.equal((await get(join(broken.root, 'stale'), '/healthz')).status, 200, 'what a dead host left is replaced')
  again.close()
  await t.rejects(open(join(broken.root, 'none', 'm')), /listen E/, 'a folder that is not there')

  const listener = createMetricsListener(broken.source, { ...systemPlatform, clock: broken.clock }, broken.events)
  const opening = listener.listenOn({ kind: 'unix', path: join(broken.root, 'late') })
  listener.close()
  await opening
  await t.rejects(get(join(broken.root, 'late'), '/healthz'), 'a host that was stopped meanwhile listens no more')
})
