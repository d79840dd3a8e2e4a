/** R66: a runner, the host or the whole machine stands still, and goes on or not. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type * as lineServerModule from '../../host/runner/line-server.ts'
import { makePlace, orders, servingHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { importWithout } from '../helpers/without.mjs'
import { systemFiles } from '../../host/platform/files.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'
import { finish, ownWatch, promptMs, runnerPid, signal, told } from './harm.ts'
import { hostPaused, suspended } from './pause-checks.ts'

const frozen: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await servingHost(t, ['act'], { set: ownWatch, without })
  const stream = startStream(host)
  const begun = host.place.at('begun')
  const content = orders({ act: [`journal ${begun}`, `first hold ${host.place.at('never')}`] })
  const inHand = host.ask(host.place.pair({ content }))
  await until('it in hand', () => existsSync(begun))
  const runner = await runnerPid(host)
  signal(runner, 'SIGSTOP')
  const answer = await within(promptMs, inHand)
  expect(answer === '200 Ok\n', `the message in hand hears ${answer ?? 'nothing'}`)
  expect(told(host, / runner-ended .*heartbeat/) === 1, 'nobody noticed')
  signal(runner, 'SIGKILL')
  return finish(host, stream, findings)
}
testPromise('R66 a runner that stands still is noticed; its messages run again in time', frozen, [
  { without: ['a runner that stands still is ended'], sees: /^the message in hand hears nothing/ },
])

/** Nothing is in hand, and nobody asks: only the heart beats. */
const frozenAtRest: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await servingHost(t, ['act'], { set: ownWatch, without })
  // That it came to rest cannot be seen from outside.
  await new Promise((resolve) => setTimeout(resolve, 5000))
  signal(await runnerPid(host), 'SIGSTOP')
  const stream = startStream(host)
  const answer = await within(promptMs, host.ask(host.place.pair()))
  expect(answer === '200 Ok\n', `the first message hears ${answer ?? 'nothing'}`)
  return finish(host, stream, findings)
}
testPromise('R66 a runner that stands still at rest is noticed by the first message', frozenAtRest, [
  { without: ['a runner that stands still is ended'], sees: /^the first message hears nothing/ },
])

testPromise('R66 a machine that was suspended goes on where it was', suspended(6000), [])
// Its control needs a moment that cannot be met from outside: test/host/supervision.test.ts has it.
testPromise('R66 a host that stood still judges anew', hostPaused(6000), [])

/** A thread has said who it is, and the host stands still before it has read that, longer than such a thing may take. */
const unheard: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { openLineServer } = (await importWithout('host/runner/line-server.ts', without)) as typeof lineServerModule
  const limitMs = 100
  const server = await openLineServer(join(makePlace(t).root, 'lines'), systemFiles, limitMs)
  let slot: number | null = null
  server.register('word', (number) => (slot = number))
  const socket = connect(server.path)
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  // The server has accepted it by then.
  await new Promise((resolve) => setTimeout(resolve, 20))
  // After this phase of the event loop come the timers, and then what there is to read.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      socket.write(`${JSON.stringify({ type: 'hello', token: 'word', slot: 3 })}\n`)
      const endMs = performance.now() + 3 * limitMs
      while (performance.now() < endMs);
      resolve()
    })
  })
  await until('the thread is known', () => slot !== null, 2000).catch(() => expect(false, 'a thread is turned away'))
  const stranger = connect(server.path)
  stranger.on('error', () => undefined)
  const isClosed = new Promise<true>((resolve) => stranger.once('close', () => resolve(true)))
  expect((await within(3000, isClosed)) === true, 'who says nothing is not turned away')
  socket.destroy()
  server.close()
  return seen
}
testPromise('R66 a thread that the host has not heard yet is not turned away', unheard, [
  { without: ['what a thread has said is read first'], sees: /^a thread is turned away/ },
])
