/**
 * The loop "fail the n-th step until none fails": every operation on a message's files, by the host, the library or a
 * filter, fails in turn with every error that a disk has.
 */
import { startHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import {
  firedFault,
  leftBeside,
  makeEditPair,
  makeEditPlace,
  openDescriptors,
  orderFault,
  runnerOf,
  wrongFiles,
} from './edit-chain.ts'

const codes = ['ENOSPC', 'EIO', 'EMFILE', 'EACCES', 'EINTR'] as const

/** Fewer would mean that the loop no longer meets what it is there to break. */
const leastSteps = { host: 8, runner: 40 } as const

/** No message comes to this many. */
const mostSteps = 400

type Side = keyof typeof leastSteps

async function failEveryStep(host: HostProcess, side: Side, code: string, { expect }: Findings): Promise<void> {
  for (let at = 1; ; at++) {
    if (at > mostSteps) throw new Error(`${side} ${code}: the loop does not end`)
    const pair = makeEditPair(host.place, at % 2 === 0)
    orderFault(pair, side, at, code)
    const answer = await host.ask(pair)
    const call = firedFault(pair)
    const what = `${side} ${code} at ${at}, ${call ?? 'nothing'}`
    const verdict = pair.refuse ? '550 as told\n' : '200 Ok\n'
    const isRight = answer === verdict || (call !== null && /^451 4\.3\.0 .*\n$/.test(answer))
    expect(isRight, `${what}: heard ${JSON.stringify(answer)}`)
    const wrong = await wrongFiles(host, pair, answer)
    expect(wrong === null, `${what}: ${wrong ?? ''}`)
    const left = leftBeside(pair)
    if (left.length > 0) {
      await host.settled(pair.id)
      const isTold = host.log.some((line) => line.includes(`what lies beside ${pair.bodyPath} cannot be removed`))
      expect(isTold, `${what}: ${left.join(' ')} is left, and the log does not say so`)
    }
    if (call !== null) continue
    expect(at > leastSteps[side], `${side} ${code}: there are but ${at - 1} steps`)
    return
  }
}

type Findings = ReturnType<typeof createFindings>

const failing =
  (sides: readonly Side[], wanted: readonly string[]): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { seen, expect } = findings
    const set = ['runner.threads=2', 'host.deadline=30s']
    const host = startHost(t, makeEditPlace(t), { preload: ['file-faults.mjs'], set, without })
    await host.ready()
    await host.ask(makeEditPair(host.place))
    const runner = runnerOf(host)
    const before = { host: openDescriptors(host.pid), runner: openDescriptors(runner) }
    const stream = startStream(host, 1)
    for (const side of sides) await Promise.all(wanted.map((code) => failEveryStep(host, side, code, findings)))
    const { sent, wrong, slowestMs } = await stream.stop()
    t.comment(`${sent} good messages beside it, the slowest answered after ${Math.round(slowestMs)} ms`)
    expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
    expect(slowestMs < 10_000, `a good message waited ${slowestMs} ms`)
    expect(runnerOf(host) === runner, 'another runner had to be started')
    for (const [name, pid] of Object.entries({ host: host.pid, runner })) {
      const most = name === 'host' ? before.host : before.runner
      await until('the descriptors to be closed', () => openDescriptors(pid) <= most).catch(() =>
        expect(false, `the ${name} has ${openDescriptors(pid)} descriptors open, ${most} before`),
      )
    }
    await host.kill()
    return seen
  }

testPromise(
  'an operation on a message that fails is a temporary refusal, or the true verdict, and leaves nothing behind',
  failing(['host', 'runner'], codes),
  [
    {
      without: ['a file that cannot be looked at is not taken for none'],
      sees: /is left, and the log does not say so/,
      check: failing(['host'], ['EIO']),
    },
  ],
)
