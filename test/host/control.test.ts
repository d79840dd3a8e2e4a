/** The control socket, and `nodefilter status`, `reload` and `restart` against a running host. */
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { launcherScript } from '../../host/cli/courier/launcher.ts'
import { askHost } from '../../host/control/client.ts'
import { maxRequestChars, readAnswer, readRequest, workingEveryMs } from '../../host/control/protocol.ts'
import { controlLimits, openControlServer, type AnswerRequest } from '../../host/control/server.ts'
import type { HostStatus } from '../../host/control/status.ts'
import { createEvents, type Summary } from '../../host/observe/events.ts'
import { textLine } from '../../host/observe/line-format.ts'
import { createTally, spreadBoundsMs } from '../../host/observe/tally.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { createTurns } from '../../host/turns.ts'
import { nodefilter } from '../helpers/command.ts'
import { converse, requestOf } from '../helpers/converse.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import {
  fixtureFilters,
  makePlace,
  orders,
  servingHost,
  startHost,
  startStream,
  type HostProcess,
  type Place,
} from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'

t.test('what is a request, and what an answer', (t) => {
  const requests: [name: string, frame: unknown, want: unknown][] = [
    ['status is one', { ask: 'status' }, { ask: 'status' }],
    ['metrics in a form', { ask: 'metrics', format: 'prometheus' }, { ask: 'metrics', format: 'prometheus' }],
    ['metrics in an unknown form, which is the usual one', { ask: 'metrics', format: 'xml' }, { ask: 'metrics' }],
    ['reload is one, whatever a later release adds to it', { ask: 'reload', more: 1 }, { ask: 'reload' }],
    ['an unknown one is refused by name', { ask: 'stop' }, /cannot "stop"; it knows status, metrics, reload, restart/],
    ['a name of the prototype is none', { ask: 'toString' }, /cannot/],
    ['a long one is cut', { ask: 'x'.repeat(500) }, /^.{0,120}$/],
    ['an object without "ask" is none', {}, /JSON object with "ask"/],
    ['a number for "ask" is none', { ask: 1 }, /JSON object with "ask"/],
    ['null is none', null, /JSON object/],
    ['a list is none', ['status'], /JSON object/],
  ]
  for (const [name, frame, want] of requests) t.match(readRequest(frame), want, name)
  const answers: [name: string, frame: unknown, isOne: boolean][] = [
    ['working', { type: 'working' }, true],
    ['a status', { type: 'status', status: {} }, true],
    ['a status without one', { type: 'status', status: null }, false],
    ['metrics', { type: 'metrics', text: '' }, true],
    ['metrics without a text', { type: 'metrics' }, false],
    ['a reload', { type: 'reload', result: {} }, true],
    ['a restart', { type: 'restart', instance: 'x' }, true],
    ['a restart of nobody', { type: 'restart' }, false],
    ['a refusal', { type: 'refused', text: 'no' }, true],
    ['another type', { type: 'done' }, false],
    ['null', null, false],
    ['a text', 'working', false],
  ]
  for (const [name, frame, isOne] of answers) t.equal(readAnswer(frame) !== null, isOne, name)
  t.end()
})

t.test('turns: one at a time, and who waits shares', async (t) => {
  const begun: ((value: number) => void)[] = []
  const first = Promise.withResolvers<null>()
  const ask = createTurns(first.promise, () => new Promise<number>((resolve) => void begun.push(resolve)))
  const [one, two] = [ask(), ask()]
  t.equal(begun.length, 0, 'nothing begins before the first turn')
  first.resolve(null)
  await until('the job to begin', () => begun.length === 1)
  const [three, four] = [ask(), ask()]
  begun[0]?.(1)
  t.same(await Promise.all([one, two]), [1, 1], 'both who asked before it began have its result')
  await until('the job to begin again', () => begun.length === 2)
  const five = ask()
  begun[1]?.(2)
  t.same(await Promise.all([three, four]), [2, 2], 'who asked while it ran gets the next one')
  await until('the job to begin a third time', () => begun.length === 3)
  begun[2]?.(3)
  t.equal(await five, 3)
})

type Step = Summary['trail'][number]
const step = (filter: string, outcome: Step['outcome'], wallMs = 1, dryRun = false): Step => ({
  ...{ filter, outcome, dryRun, wallMs, cpuMs: null, text: null },
})

function summary(more: Partial<Summary>): Summary {
  return {
    ...{ id: 'i', door: 'd', queueId: null, client: null, sender: null, recipients: 1, octets: 1, verdict: 'pass' },
    ...{
      reply: '',
      filter: null,
      ms: 2,
      attempts: 1,
      source: 'smtp',
      auth: null,
      trail: [],
      notes: [],
      errorCode: null,
      errorCause: null,
    },
    ...more,
  }
}

t.test('the tally', (t) => {
  const tally = createTally()
  t.match(tally.snapshot(), { messages: 0, verdicts: {}, failures: {}, filters: [], wall: { count: 0, maxMs: 0 } })
  tally.settled(summary({ trail: [step('a', 'pass', 0.5), step('b', 'pass', 250)] }))
  tally.settled(summary({ verdict: 'reject', filter: 'a', ms: 40, trail: [step('a', 'reject', 40)] }))
  tally.settled(
    summary({ verdict: 'pass,nobody-there', trail: [step('a', 'failed', 5), step('b', 'reject', 1, true)] }),
  )
  tally.settled(
    summary({ verdict: 'defer', errorCode: 'threw', filter: 'b', attempts: 2, trail: [step('b', 'failed', 1)] }),
  )
  tally.settled(summary({ verdict: 'accept', errorCode: 'late', filter: 'b', trail: [step('b', 'failed', 90_000)] }))
  const before = tally.snapshot()
  t.match(before, {
    ...{ messages: 5, unheard: 1, ranAgain: 1, failuresPassed: 1 },
    verdicts: { pass: 2, reject: 1, defer: 1, accept: 1 },
    doors: [{ door: 'd', verdicts: { pass: 2, reject: 1, defer: 1, accept: 1 } }],
    failures: { threw: 1, late: 1 },
    wall: { count: 5, totalMs: 48, maxMs: 40 },
  })
  const [a, b] = before.filters
  t.match(a, { filter: 'a', outcomes: { pass: 1, reject: 1, failed: 1 }, failuresPassed: 1, onTrial: 0 })
  t.match(b, { filter: 'b', outcomes: { pass: 1, reject: 1, failed: 2 }, failuresPassed: 0, onTrial: 1 })
  t.match(a?.wall, { count: 3, totalMs: 45.5, maxMs: 40 })
  const buckets = (bounds: readonly number[]): number[] =>
    [...spreadBoundsMs, Infinity].map((bound) => bounds.filter((each) => each === bound).length)
  t.same(a?.wall.buckets, buckets([0.5, 5, 50]), 'each run counts in the bucket of the next bound')
  t.same(b?.wall.buckets, buckets([500, 1, 1, Infinity]))

  tally.settled(summary({}))
  t.equal(before.messages, 5, 'a snapshot stands still')
  for (let index = 0; index < 3000; index++) tally.settled(summary({ trail: [step(`filter-${index}`, 'pass')] }))
  const { filters } = tally.snapshot()
  t.ok(filters.length <= 301, 'names of filters do not fill the memory')
  t.match(filters.at(-1), { filter: '(others)', outcomes: { pass: 2702 } }, 'what is too much is counted together')
  t.end()
})

/** Where a control socket may be opened, with a clock that stands still; a killed host has left its socket there. */
async function openStage(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const path = join(root, 'control.sock')
  const stale = createServer()
  await new Promise<void>((resolve) => stale.listen(`${path}.new`, resolve))
  renameSync(`${path}.new`, path)
  await new Promise((resolve) => stale.close(resolve))
  const clock = makeClock()
  const log: string[] = []
  const events = createEvents({
    ...{ write: (event) => log.push(textLine(event)), dropped: () => 0, reopen: () => undefined },
    close: () => Promise.resolve(),
  })
  const open = async (answer: AnswerRequest) => {
    const server = await openControlServer(path, answer, { ...systemPlatform, clock }, events)
    t.teardown(() => server.close())
    return server
  }
  return { path, clock, log, open }
}

/** A client that does as it likes; `heard` is all that came, `closed` becomes true at the end. */
function hostileClient(t: Test, path: string) {
  const socket = connect({ path, allowHalfOpen: true })
  const client = { socket, heard: '', closed: false, connected: false }
  socket.setEncoding('utf8')
  socket.on('connect', () => (client.connected = true))
  socket.on('data', (text: string) => (client.heard += text))
  socket.on('end', () => (client.closed = true))
  socket.on('close', () => (client.closed = true))
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return client
}

const refusal: AnswerRequest = () => ({ type: 'refused', text: 'as expected' })
const refusalLine = '{"type":"refused","text":"as expected"}\n'

t.test('the socket, whatever a client does', async (t) => {
  const { path, clock, log, open } = await openStage(t)
  let answer = refusal
  const server = await open((request) => answer(request))
  t.equal(lstatSync(path).mode & 0o777, 0o600, 'a stale socket is replaced by one of mode 0600')

  const line = '{"ask":"status"}\n'
  const rows: [name: string, send: string | Buffer, want: string | RegExp][] = [
    ['a request is answered', line, refusalLine],
    ['in CRLF too', '{"ask":"status"}\r\n', refusalLine],
    ['of two requests the first one is answered', line + line, refusalLine],
    // Who is still writing may hear of the end before the answer.
    ['what follows it is not read', line + 'x'.repeat(1e6), /^(\{"type":"refused".*\n)?$/],
    [
      'an unknown request is refused in words',
      '{"ask":"stop"}\n',
      /^\{"type":"refused","text":"this host cannot .*"\}\n$/,
    ],
    ['another JSON value too', '[[[]]]\n', /^\{"type":"refused"/],
    ['a line that is no JSON is not answered', 'GET / HTTP/1.1\r\n\r\n', ''],
    ['nor is an empty one', '\n', ''],
    ['nor are octets that are no UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x0a]), ''],
    ['nor is a line that has no end', 'x'.repeat(maxRequestChars + 1), ''],
    ['nor is a long one that has', `{"ask":"status"${' '.repeat(maxRequestChars)}}\n`, ''],
    ['nor is JSON that is nested without end', `${'['.repeat(maxRequestChars - 1)}\n`, ''],
  ]
  for (const [name, send, want] of rows) {
    const heard = await converse(path, send, { limitMs: 5000, halfClose: want !== '' })
    if (typeof want === 'string') t.equal(heard, want, name)
    else t.match(heard, want, name)
  }
  t.equal(await converse(path, '{"ask":"sta', { halfClose: true }), '', 'half a line and an end is not answered')

  const silent = hostileClient(t, path)
  silent.socket.write('{"ask":')
  await until('a connection', () => silent.connected && clock.timers() === 1)
  await clock.advance(controlLimits.requestMs - 1)
  t.notOk(silent.closed, 'half a line is waited for')
  silent.socket.write('"sta')
  await clock.advance(1)
  await until('the end', () => silent.closed)
  t.equal(silent.heard, '', 'but not for ever, also where more of it comes')

  const crowd = Array.from({ length: controlLimits.connections + 10 }, () => hostileClient(t, path))
  await until('those beyond the limit to be closed', () => crowd.filter(({ closed }) => closed).length === 10)
  await until('the others to be open', () => clock.timers() === controlLimits.connections)
  t.match(await askHost(path, 'status', 2000), { kind: 'silent' }, 'a full house answers nobody')
  await clock.advance(controlLimits.requestMs)
  await until('all to be gone', () => crowd.every(({ closed }) => closed))
  t.match(await askHost(path, 'status'), { kind: 'answer', answer: { type: 'refused' } }, 'then it answers again')

  const long = Promise.withResolvers<ReturnType<typeof refusal>>()
  answer = () => long.promise as ReturnType<typeof refusal>
  const patient = hostileClient(t, path)
  patient.socket.write(line)
  await until('the request to be read', () => clock.timers() === 1 && patient.connected)
  await clock.advance(workingEveryMs * 2)
  await until('two signs of life', () => patient.heard === '{"type":"working"}\n'.repeat(2))
  patient.socket.write(line)
  const gone = hostileClient(t, path)
  gone.socket.write(line)
  await until('another request', () => clock.timers() === 2)
  gone.socket.destroy()
  await clock.advance(workingEveryMs * 2)
  long.resolve(await refusal({ ask: 'status' }))
  await until('the answer', () => patient.heard.endsWith(refusalLine))
  await until('its end', () => patient.closed)
  await until('no timer to be left', () => clock.timers() === 0)

  // More than the system buffers for a client that does not read.
  answer = () => ({ type: 'refused', text: 'x'.repeat(3e6) })
  const deaf = connect({ path })
  deaf.on('error', () => undefined)
  deaf.pause()
  deaf.write(line)
  await until('the answer to be on its way', () => clock.timers() === 1)
  await clock.advance(controlLimits.readingMs)
  await until('the deaf one to be given up', () => clock.timers() === 0)
  deaf.destroy()

  answer = () => {
    throw new Error('as told')
  }
  t.match(
    await askHost(path, 'status'),
    { answer: { type: 'refused', text: /its log says why/ } },
    'a bug is contained',
  )
  t.match(log.join('\n'), /^ERR: bug where=control cause="Error: as told/, 'and told')

  answer = () => new Promise<never>(() => undefined)
  t.match(
    await askHost(path, 'status', 100),
    { kind: 'silent', text: 'it gave no answer for 0.1 s' },
    'a host that stands',
  )
  const busy = createServer((socket) => {
    socket.on('error', () => undefined)
    const saying = setInterval(() => socket.write('{"type":"working"}\n'), 20)
    socket.on('close', () => clearInterval(saying))
  })
  await new Promise((resolve) => busy.listen(`${path}.busy`, () => resolve(null)))
  t.match(await askHost(`${path}.busy`, 'status', 300), { kind: 'silent' }, 'nor is one waited for that works for ever')
  busy.close()
  server.close()
  t.notOk(existsSync(path), 'at the end the socket is gone')
  t.same(await askHost(path, 'status'), { kind: 'nobody' })
  await t.rejects(openControlServer(join(path, 'x'.repeat(200)), refusal, systemPlatform, {} as never), 'a bad path')
})

/** What the host in `place` says of itself. */
async function statusOf(stateDirectory: string): Promise<HostStatus> {
  const asked = await askHost(join(stateDirectory, 'control.sock'), 'status')
  if (asked.kind !== 'answer' || asked.answer.type !== 'status') throw new Error(JSON.stringify(asked))
  return asked.answer.status
}

const threads = 'runner.threads=1'

t.test('nodefilter status', async (t) => {
  const list = ['act', 'act as soft with on_error=pass', 'act as dry with dry_run=yes']
  const host = await servingHost(t, list, { set: [threads] })
  const { place } = host
  t.equal(lstatSync(join(place.state, 'control.sock')).mode & 0o777, 0o600, 'the socket is private')

  const ask = (acts: Parameters<typeof orders>[0]): Promise<string> => host.ask(place.pair({ content: orders(acts) }))
  for (const acts of [{}, {}, { soft: 'throw error' }, { act: 'reply "554 no"' }, { act: 'throw error' }])
    await ask(acts)
  const held = ask({ act: [`journal ${place.at('begun')}`, `hold ${place.at('go')}`] })
  await until('a message to be held', () => existsSync(place.at('begun')))
  const status = await statusOf(place.state)
  t.match(status, {
    ...{ format: 1, pid: host.pid, node: process.version, phase: 'serving', stateDirectory: place.state },
    ...{ canRestart: false, inHand: 1, waiting: 0, log: { linesDropped: 0 } },
    configuration: {
      ...{ directory: place.config, filters: ['act', 'soft', 'dry'], reloads: 0, refusedReload: null, problems: [] },
      ...{ files: [join(place.config, 'filters.conf')], needRestart: [] },
    },
    doors: [{ name: 'courierfilter', path: host.socketPath, open: true }],
    runners: [{ name: 'main', role: 'serving', threads: 1, serving: 1, inHand: 1, waiting: 0, restarts: 0 }],
    tally: { messages: 5, verdicts: { pass: 3, reject: 1, defer: 1 }, failures: { threw: 1 }, failuresPassed: 0 },
  })
  t.match(
    status.tally.filters.find(({ filter }) => filter === 'soft'),
    { outcomes: { pass: 2, failed: 1 }, failuresPassed: 1, wall: { count: 3 } },
  )
  t.match(
    status.tally.filters.find(({ filter }) => filter === 'dry'),
    { onTrial: 3 },
  )
  t.match(
    status.settings.find(({ setting }) => setting === 'runner.threads'),
    { value: '1', isDefault: false },
  )
  t.match(
    status.settings.find(({ setting }) => setting === 'host.deadline'),
    { value: '1m', isDefault: true },
  )

  const told = await nodefilter(['status', '--state-dir', place.state])
  t.equal(told.code, 0)
  for (const line of [
    new RegExp(`^nodefilter [0-9.]+ serves \\(process ${host.pid}, Node v[0-9.]+, up [0-9 a-z]+\\)$`, 'm'),
    /^ {2}state folder {3}\/.*\/s$/m,
    /^ {2}configuration {2}.*\/c: filters\.conf$/m,
    /^ {2}in hand {8}1 message, 0 of them waiting for a thread$/m,
    /^ {2}messages {7}5 since the start: .*1 reject/m,
    /^ {2}failures {7}1 threw$/m,
    /^soft +3 +2 +0 +0 +0 +1 +0 +1 +[0-9.]+ +[0-9.]+$/m,
    /^main +serving +[0-9]+ +1 +1 +1 +0 +0 +0$/m,
    /^ {2}runner\.threads = 1$/m,
  ]) {
    t.match(told.out, line)
  }
  t.notMatch(told.out, /host\.deadline/, 'what has its default is left out')
  t.match(
    (await nodefilter(['status', '--state-dir', place.state, '--verbose'])).out,
    /host\.deadline = 1m \(default\)/,
  )

  writeFileSync(join(place.config, 'nodefilter.conf'), `[host]\nstate_dir = ${place.state}\n`)
  const json = await nodefilter(['status', '-c', place.config, '--json'])
  t.match(JSON.parse(json.out), { pid: host.pid }, 'the state folder is found by the configuration; --json is JSON')
  t.match(await nodefilter(['status', 'x']), { code: 64 })
  t.match(await nodefilter(['status', '--state-dir', place.at('none')]), {
    ...{ code: 69, out: '' },
    err: /no host runs with the state folder .*none\. Under Courier, "nodefilter courier enable"/,
  })
  // Somebody else, who may otherwise look at everything.
  if (process.getuid?.() === 0) {
    chmodSync(place.root, 0o755)
    t.match(await nodefilter(['status', '--state-dir', place.state], { uid: 65_534 }), { code: 77, err: /become root/ })
  }

  writeFileSync(place.at('go'), '')
  t.equal(await held, '200 Ok\n')
  await host.stop()
  t.notOk(existsSync(join(place.state, 'control.sock')), 'a stopped host leaves no control socket')
})

t.test('a host is not harmed by who connects to its control socket', async (t) => {
  const host = await servingHost(t, ['act'], { set: [threads] })
  const path = join(host.place.state, 'control.sock')
  const stream = startStream(host)
  const clients: ReturnType<typeof hostileClient>[] = []
  for (let round = 0; round < 40; round++) {
    const client = hostileClient(t, path)
    client.socket.write(
      ['\0'.repeat(1e5), '{"ask":"reload"}\n', '{"ask":"status"}\n', '{"ask":{}}\n', 'x'][round % 5] ?? '',
    )
    if (round % 2 === 0) client.socket.destroySoon()
    clients.push(client)
  }
  for (const { socket } of clients) socket.destroy()
  await until('an answer to an honest one', async () => (await askHost(path, 'status')).kind === 'answer')
  const { sent, wrong } = await stream.stop()
  t.same(wrong, [], `all of ${sent} messages are accepted meanwhile`)
  t.same(await host.stop(), { code: 0, signal: null })
  t.notMatch(host.log.join('\n'), / bug /)
})

t.test('a host without a control socket filters mail', async (t) => {
  const place = makePlace(t, 'act')
  mkdirSync(join(place.state, 'control.sock', 'in-the-way'), { recursive: true, mode: 0o700 })
  const host = startHost(t, place, { set: [threads] })
  await host.ready()
  t.match(await host.logged(/ control-failed /), /^ERR: .*control\.sock/, 'and says why it has none')
  t.equal(await host.ask(place.pair()), '200 Ok\n')
  const { code, err } = await nodefilter(['status', '--state-dir', place.state])
  t.equal(code, 69)
  t.match(err, new RegExp(`process ${host.pid} has the state folder .* but has no control socket there`))
  await host.stop()
})

t.test('nodefilter reload', async (t) => {
  const place = makePlace(t, 'act')
  const logFile = place.at('log.json')
  const host = startHost(t, place, { set: [threads, `log.file=${logFile}`] })
  await host.ready()
  const reload = () => nodefilter(['reload', '--state-dir', place.state])
  place.list('act', 'act as other')
  await until('the log to be written', () => existsSync(logFile))
  renameSync(logFile, `${logFile}.1`)
  t.match(await reload(), { code: 0, out: 'reloaded: 2 filters: act other\n', err: '' })
  await until('the log file to be opened anew', () => existsSync(logFile))
  // The runner that was replaced may be there for a while yet.
  const servingRunner = ({ runners }: HostStatus) => runners.find(({ role }) => role === 'serving')
  const first = await statusOf(place.state)
  t.match(first.configuration, { reloads: 1, refusedReload: null, filters: ['act', 'other'] })

  place.list('atc', 'act whith x', 'act with x=y')
  const refused = await reload()
  t.equal(refused.code, 78)
  t.match(refused.err, /filters\.conf:2:[0-9:]* .*\n.*nodefilter reload: refused, 2 filters go on as before\n$/s)
  t.match(await nodefilter(['reload', '--state-dir', place.state]), { code: 78, out: '' })
  place.list('atc')
  t.match((await reload()).err, /filters\.conf:1: there is no filter "atc"/, 'what the runner finds is told as well')
  const after = await statusOf(place.state)
  t.match(after, { phase: 'serving', instance: first.instance })
  t.match(servingRunner(after), { pid: servingRunner(first)?.pid, restarts: 0 }, 'the runner is the same')
  t.match(after.configuration, {
    ...{ reloads: 1, filters: ['act', 'other'], loadedMs: first.configuration.loadedMs, problems: [] },
    refusedReload: { problems: [{ line: 1, text: /there is no filter/ }] },
  })
  t.match(
    (await nodefilter(['status', '--state-dir', place.state])).out,
    /^ {2}reload refused [0-9: -]+, since it was broken/m,
  )
  t.equal(await host.ask(place.pair()), '200 Ok\n', 'mail goes on')

  place.list('act')
  writeFileSync(join(place.config, 'nodefilter.conf'), '[courierfilter]\nmax_connections = 7\n[host]\ndeadline = 50s\n')
  t.match(
    (await reload()).out,
    /^reloaded: 1 filter: act\nchanged, but only .* takes it over: courierfilter\.max_connections\n$/,
  )
  const changed = await statusOf(place.state)
  t.match(changed.configuration, { refusedReload: null, needRestart: ['courierfilter.max_connections'] })
  const value = (name: string) => changed.settings.find(({ setting }) => setting === name)?.value
  t.same(['courierfilter.max_connections', 'host.deadline'].map(value), ['1000', '50s'], 'what is in force is shown')

  renameSync(place.spool, `${place.spool}.away`)
  t.match(await reload(), {
    code: 78,
    err: /^--set courierfilter\.spool_dir: .* is not there, or may not be entered; /,
  })
  renameSync(`${place.spool}.away`, place.spool)
  t.equal(await host.ask(place.pair()), '200 Ok\n', 'a folder of messages that is wrong takes none away')

  // The answer belongs to the right one: each asker's change is in force when it hears of it.
  const answers = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      place.list('act', `act as turn-${index}`)
      const asked = await askHost(join(place.state, 'control.sock'), 'reload')
      return asked.kind === 'answer' && asked.answer.type === 'reload' ? asked.answer.result : null
    }),
  )
  t.ok(
    answers.every((result) => result?.takenOver === true && result.filters[1] === 'turn-5'),
    'the newest list',
    { answers },
  )
  await host.stop()
  t.match(await reload(), { code: 69 })
})

t.test('a host that is broken from its start', async (t) => {
  const place = makePlace(t, 'atc')
  const host = startHost(t, place, { set: [threads] })
  await host.ready()
  const command = (name: string) => nodefilter([name, '--state-dir', place.state])
  const told = await command('status')
  t.equal(told.code, 78, 'status says so by its exit code, and tells all the same')
  t.match(
    told.out,
    /^nodefilter [0-9.]+ IS BROKEN: .*\n[^]*^ {2}broken {9}.*filters\.conf:1: there is no filter "atc"/m,
  )
  t.match(await command('reload'), { code: 78, err: /filters\.conf:1: [^]*refused, the host goes on as before\n$/ })
  place.list('act')
  t.match(await command('reload'), { code: 0, out: 'reloaded: 1 filter: act\n' }, 'a reload mends it')
  t.match(await command('status'), { code: 0 })
  t.equal(await host.ask(place.pair()), '200 Ok\n')
  t.match(
    await command('restart'),
    { code: 69, err: /nothing would start this host again: .*"nodefilter courier enable"/ },
    'without a launcher there is no restart',
  )
  await host.stop()
})

/** A place whose filter is loaded once there is a file `go`. */
function slowPlace(t: Test): Place {
  const place = makePlace(t, 'slow')
  place.filter(
    'slow.mjs',
    `import { existsSync } from 'node:fs'
export async function initFilter() {
  while (!existsSync(${JSON.stringify(place.at('go'))})) await new Promise((done) => setTimeout(done, 20))
}
export const doFilter = () => ''
`,
  )
  return place
}

t.test('a host that is still starting says so', async (t) => {
  const place = slowPlace(t)
  const host = startHost(t, place, { set: [threads] })
  const status = await until('the control socket', () => statusOf(place.state).catch(() => null))
  t.match(status, { phase: 'starting', doors: [{ open: false }], configuration: { loadedMs: null } })
  t.match(await nodefilter(['status', '--state-dir', place.state]), { code: 75, out: / is starting / })
  const reload = askHost(join(place.state, 'control.sock'), 'reload')
  t.match(await askHost(join(place.state, 'control.sock'), 'restart'), { answer: { text: /still starting/ } })
  writeFileSync(place.at('go'), '')
  t.match(await reload, { answer: { result: { takenOver: true } } }, 'a reload waits for the start')
  t.match(await statusOf(place.state), { phase: 'serving', configuration: { reloads: 1 } })
  await host.ready()
  await host.stop()
})

t.test('a host that is still starting', async (t) => {
  const place = slowPlace(t)
  for (const [how, stop] of [
    ['at the end of standard input', (host: HostProcess) => void host.stop()],
    ['by SIGTERM', (host: HostProcess) => host.signal('SIGTERM')],
  ] as const) {
    const host = startHost(t, place, { set: [threads, 'runner.start_limit=60s'] })
    await host.logged(/ runner-started /)
    stop(host)
    const end = await Promise.race([host.ended, new Promise((resolve) => setTimeout(resolve, 5000).unref())])
    t.same(end, { code: 0, signal: null }, `stops ${how} without waiting for its filters`)
    t.match(host.log.at(-1), /^INFO: host-stopped /)
    await host.kill()
  }
  const host = startHost(t, place, { set: [threads] })
  await host.logged(/ runner-started /)
  place.list('slow', 'act')
  host.signal('SIGHUP')
  writeFileSync(place.at('go'), '')
  await host.logged(/ chain-loaded filters="slow act"/)
  t.pass('and takes a SIGHUP for what was written meanwhile when it serves')
  await host.stop()
})

t.test('nodefilter restart', async (t) => {
  const place = makePlace(t, 'act')
  const settings = [
    ...['[courierfilter]', `directory = ${place.sockets}`, `spool_dir = ${place.spool}`],
    ...['[chain]', `filter_path = ${fixtureFilters}`, '[runner]', 'threads = 1'],
  ]
  writeFileSync(join(place.config, 'nodefilter.conf'), `${settings.join('\n')}\n`)
  const paths = { nodePath: process.execPath, programPath: join(import.meta.dirname, '../../host/main.ts') }
  const folders = { configDirectory: place.config, stateDirectory: place.state }
  writeFileSync(place.at('nodefilter'), launcherScript({ ...paths, ...folders }))
  execFileSync('mkfifo', [place.at('input')])
  const input = openSync(place.at('input'), constants.O_RDWR)
  const output = openSync(place.at('log'), 'a')
  const launcher = spawn('/bin/sh', [place.at('nodefilter')], {
    env: { PATH: process.env['PATH'] },
    stdio: [input, 'ignore', output],
  })
  closeSync(output)
  const ended = new Promise((resolve) => launcher.once('exit', (code) => resolve(code)))
  const first = await until('the first host', () => statusOf(place.state).catch(() => null))
  t.teardown(() => {
    for (const pid of [launcher.pid, first.pid]) if (pid !== undefined) killQuietly(pid)
  })
  await until('it to serve', async () => (await statusOf(place.state)).phase === 'serving')
  t.equal(first.canRestart, true)

  // Messages without a pause, as Courier sends them: what hears nothing, or finds nobody listening, hears 432 there.
  const socketPath = join(place.sockets, 'nodefilter')
  const ask = (content?: string): Promise<string> =>
    converse(socketPath, requestOf(place.pair(content === undefined ? {} : { content }))).catch((error: unknown) =>
      isRefused(error) ? '' : String(error),
    )
  const refused = orders({ act: 'reply "554 filtered"' })
  const answers: string[] = []
  const done = new AbortController()
  const stream = (async () => {
    while (!done.signal.aborted) answers.push(await ask(refused))
  })()
  const held = ask(orders({ act: [`journal ${place.at('begun')}`, `hold ${place.at('go')}`] }))
  await until('a message to be held', () => existsSync(place.at('begun')))

  const restarting = nodefilter(['restart', '--state-dir', place.state])
  await until('the host to stop', async () => (await statusOf(place.state)).phase === 'stopping')
  t.match(await askHost(join(place.state, 'control.sock'), 'reload'), { answer: { type: 'refused', text: /stopped/ } })
  writeFileSync(place.at('go'), '')
  t.equal(await held, '200 Ok\n', 'what is in hand is finished')
  const said = await restarting
  const next = await statusOf(place.state)
  t.equal(said.code, 0)
  t.match(said.out, new RegExp(`^restarted in [0-9]+\\.[0-9] s: nodefilter [0-9.]+, process ${next.pid}\n$`))
  t.match(next, { phase: 'serving' })
  t.not(next.pid, first.pid, 'another process')
  const before = answers.length
  await until('mail at the new host', () => answers.slice(before).includes('554 filtered\n'))
  done.abort()
  await stream
  t.same(
    answers.filter((answer) => answer !== '554 filtered\n' && answer !== ''),
    [],
    `each of ${answers.length} messages was filtered or is tried again`,
  )
  t.ok(answers.includes(''), 'some of them came while no host ran')
  const log = readFileSync(place.at('log'), 'utf8')
  t.match(log, /^INFO: host-stopping reason=restart /m)
  t.notMatch(log, /^(WARN|ERR): /m, 'nothing is reported as wrong')

  place.list('atc')
  t.match(await nodefilter(['restart', '--state-dir', place.state]), {
    code: 78,
    err: /there is no filter "atc".*\n.*back after [0-9.]+ s .* but broken/,
  })
  const last = await statusOf(place.state)
  t.equal(last.phase, 'broken')
  launcher.kill('SIGTERM')
  t.equal(await ended, 0, 'the launcher ends with its host')
  t.ok(existsSync(socketPath), "Courier's socket file is still there")
  closeSync(input)
})

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended, as it should.
  }
}
