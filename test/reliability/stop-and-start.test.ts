/** R11 and R12: stopping under load, a second instance, and starting again after any end. */
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { makePlace, orders, startHost, startStream, type HostProcess, type Place } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Looks at a file without a pause, from another thread, and counts how often it was not there. */
function watchFile(t: Test, path: string) {
  const state = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT))
  const watcher = new Worker(
    `const { workerData: { state, path } } = require('node:worker_threads')
     const { lstatSync } = require('node:fs')
     while (Atomics.load(state, 0) === 0) {
       Atomics.add(state, 1, 1)
       if (lstatSync(path, { throwIfNoEntry: false }) === undefined) Atomics.add(state, 2, 1)
     }`,
    { eval: true, workerData: { state, path }, execArgv: [] },
  )
  t.teardown(() => watcher.terminate())
  const ended = new Promise((resolve) => watcher.once('exit', resolve))
  return {
    /** Resolves when it looks. */
    begun: () => until('the watcher to look', () => Atomics.load(state, 1) > 0),
    stop: async () => {
      Atomics.store(state, 0, 1)
      await ended
      return { looks: Atomics.load(state, 1), missing: Atomics.load(state, 2) }
    },
  }
}

const graceMs = 500

/** How much longer than its grace a stop may take on a busy machine. */
const marginMs = 3500

/** 50 conversations: 20 that end in time once the stop has begun, 20 that do not, 10 with half a request. */
const stopsUnderLoad =
  (stop: (host: HostProcess) => void): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const place = makePlace(t, 'act')
    const options = { set: [`host.grace=${graceMs}ms`, 'runner.threads=2', 'runner.messages_per_thread=25'], without }
    const host = startHost(t, place, options)
    await host.ready()
    const begun = place.at('begun')
    const hold = (path: string) =>
      host.ask(place.pair({ content: orders({ act: [`journal ${begun}`, `hold ${path}`] }) }))
    const ending = Array.from({ length: 20 }, () => hold(place.at('stopping')))
    const endless = Array.from({ length: 20 }, () => hold(place.at('never')))
    const unfinished = Array.from({ length: 10 }, () => host.ask(`${place.spool}/D1\n${place.spool}/1\n`))
    await until('40 messages in hand', () => existsSync(begun) && readFileSync(begun, 'utf8').split('\n').length === 41)

    // Begun no sooner: it takes a whole core.
    const watch = watchFile(t, host.socketPath)
    await watch.begun()
    const sinceMs = performance.now()
    stop(host)
    const stopping = / host-stopping /
    const said = await Promise.race([
      host.logged(stopping, 2000).catch(() => null),
      host.ended.then(() => host.log.find((line) => stopping.test(line))),
    ])
    expect(typeof said === 'string', 'the host does not say that it stops')
    writeFileSync(place.at('stopping'), '')
    const end = await within(graceMs + marginMs - (performance.now() - sinceMs), host.ended)
    expect(end !== null, `the host still runs ${marginMs} ms after its grace`)
    expect(end === null || end.code === 0, `the host ended with ${JSON.stringify(end)}`)
    await host.kill()
    for (const answer of await Promise.all(ending)) expect(answer === '200 Ok\n', `ending in time: ${answer}`)
    for (const answer of await Promise.all(endless)) expect(/^(451 4\.3\.2 .*\n)?$/.test(answer), `endless: ${answer}`)
    for (const answer of await Promise.all(unfinished)) expect(answer === '', `half a request: ${answer}`)

    const next = startHost(t, place, options)
    await next.ready()
    expect((await next.ask(place.pair())) === '200 Ok\n', 'the next host does not serve')
    await next.kill()
    const { missing, looks } = await watch.stop()
    expect(looks > 1000, `the socket file was looked at ${looks} times only`)
    expect(missing === 0, 'the socket file was missing for a moment')
    return seen
  }

const byInput = stopsUnderLoad((host) => void host.stop())
testPromise(
  'R11 a stop by the end of standard input, under load, answers or closes all and leaves the socket',
  byInput,
  [
    { without: ['socket stays at stop'], sees: /^the socket file was missing/ },
    { without: ['socket is replaced by rename'], sees: /^the socket file was missing/ },
    { without: ['stop has an end'], sees: /^the host still runs/ },
  ],
)
testPromise(
  'R11 a stop by SIGTERM, under load, answers or closes all and leaves the socket',
  stopsUnderLoad((host) => host.signal('SIGTERM')),
  [{ without: ['stop by signal'], sees: /^the host ended with .*SIGTERM/ }],
)

async function serves(t: Test, place: Place, without: readonly string[]): Promise<HostProcess | null> {
  const host = startHost(t, place, { without })
  const isReady = await host.ready().then(
    () => true,
    () => false,
  )
  return isReady && (await host.ask(place.pair())) === '200 Ok\n' ? host : null
}

const secondInstance: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act')
  const first = startHost(t, place, { without })
  await first.ready()
  const stream = startStream(first)
  const socket = lstatSync(first.socketPath).ino
  const second = startHost(t, place, { without })
  const serving = second.ready().then(() => null)
  const end = await Promise.race([second.ended, serving.catch(() => second.ended)])
  expect(end?.code === 75, `the second host ended with ${JSON.stringify(end)}`)
  const words = `ERR: nodefilter: process ${first.pid} runs with the same state folder ${place.state}`
  expect(second.log.includes(words), `the second host says ${second.log.join(' / ')}`)
  await second.kill()
  expect(lstatSync(first.socketPath).ino === socket, 'the second host took the socket')
  expect((await within(5000, first.ask(place.pair())).catch(String)) === '200 Ok\n', 'the first host serves no more')
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `messages of the first host heard ${JSON.stringify(wrong.slice(0, 3))}`)
  return seen
}
testPromise(
  'R12 a second host on the same state ends with 75 and a clear word, the first one unharmed',
  secondInstance,
  [{ without: ['one instance'], sees: /^the second host ended with null/ }],
)

const plainRestart: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act')
  const first = startHost(t, place, { without })
  await first.ready()
  const runner = Number(/ runner-started .*pid=([0-9]+)/.exec(await first.logged(/ runner-started /))?.[1])
  await first.kill()
  await until('the runner to end after its host', () => !isRunning(runner), 2000).catch((thrown: unknown) =>
    seen.push(String(thrown)),
  )
  if (seen.length > 0) return seen
  const second = await serves(t, place, without)
  expect(second !== null, 'no plain restart after a kill')
  await second?.kill()

  const locks = {
    // This very process lives, but it is not the one that took the lock.
    'of a process whose number was used again': `${process.pid} another-boot/1\n`,
    'that was cut short by a power failure': '',
    'with rubbish in it': 'x y z\n',
  }
  for (const [what, content] of Object.entries(locks)) {
    if (seen.length > 0) return seen
    writeFileSync(join(place.state, 'lock'), content)
    const next = await serves(t, place, without)
    expect(next !== null, `no plain restart beside a lock ${what}`)
    await next?.kill()
  }
  return seen
}
testPromise('R12 after any kill a plain restart is enough, whatever lock was left', plainRestart, [
  { without: ['a lock of the dead is taken over'], sees: /^no plain restart after a kill/ },
  { without: ['a lock names its process for certain'], sees: /^no plain restart beside a lock of a process/ },
  { without: ['runner ends with its host'], sees: /^Error: waited 2000 ms for: the runner to end/ },
])

/** A zombie runs no more, though a signal reaches it. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
