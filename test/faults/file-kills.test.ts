/**
 * R01, R02: SIGKILL before each operation on a message's files, of the runner and of the host. A message is old or new,
 * never half; what was edited is taken back before anything runs over the message again; nothing is done twice.
 */
import type { Test } from 'tap'
import { startHost, type HostProcess, type Place } from '../helpers/host-process.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import {
  doubled,
  firedFault,
  leftBeside,
  listedSteps,
  makeEditPair,
  makeEditPlace,
  orderFault,
  seenAttempts,
  wrongFiles,
  wrongHalf,
  type EditPair,
} from './edit-chain.ts'
import { inLanes, inPieces } from './lanes.ts'

/**
 * Every operation, reading ones too: several minutes. Otherwise those before which the files are not as they were before
 * the last one: all states that a kill can leave are among them.
 */
const isFull = process.env['NODEFILTER_TEST_FAULTS'] === 'full'
const changing =
  /^(append|write|ftruncate|rename|link|unlink|rm|chmod)|^promises\.open|^handle\.(write|chmod|chown|datasync)/

/** Fewer would mean that the loops no longer meet what they are there to break. */
const leastSteps = { host: 8, runner: 25 } as const

const options = { preload: ['file-faults.mjs'], set: ['runner.threads=1', 'host.deadline=30s'] }

/** The numbers of the steps to kill before, seen at a message that nothing happens to; the last is beyond its end. */
async function stepsOf(host: HostProcess, side: 'host' | 'runner'): Promise<number[]> {
  const pair = makeEditPair(host.place)
  orderFault(pair, side, 0, 'list')
  const answer = await host.ask(pair)
  if (answer !== '200 Ok\n') throw new Error(`an undisturbed message heard ${answer}`)
  const steps = [...listedSteps(pair), 'end']
  const isWanted = (step: string): boolean => isFull || side === 'host' || step === 'end' || changing.test(step)
  return steps.flatMap((step, index) => (isWanted(step) ? [index + 1] : []))
}

async function startIn(t: Test, place: Place, without: readonly string[]): Promise<HostProcess> {
  const host = startHost(t, place, { ...options, without })
  await host.ready()
  return host
}

const verdictOf = ({ refuse }: EditPair): string => (refuse ? '550 as told\n' : '200 Ok\n')

/** The runner dies at each step, once; the message runs again elsewhere, and it is as if nothing had happened. */
const killedRunner =
  (wanted: (steps: readonly number[]) => readonly number[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const first = await startIn(t, makeEditPlace(t), without)
    const steps = await stepsOf(first, 'runner')
    await first.kill()
    expect(steps.length > leastSteps.runner, `there are but ${steps.length} steps`)
    // A runner that dies young is started again later and later: a few deaths a host.
    await inLanes(3, inPieces(4, wanted(steps)), async (piece) => {
      const host = await startIn(t, makeEditPlace(t), without)
      for (const at of piece) {
        const pair = makeEditPair(host.place, at % 2 === 0)
        orderFault(pair, 'runner', at, 'kill')
        const answer = await host.ask(pair)
        const call = firedFault(pair)
        const what = `killed at ${at}, ${call ?? 'the end'}`
        const attempts = seenAttempts(host.place, pair)
        expect((call === null) === (at === steps.at(-1)), `${what}: the steps are not the same for each message`)
        expect(answer === verdictOf(pair), `${what}: heard ${JSON.stringify(answer)}`)
        expect(attempts.at(-1)?.attempt === (call === null ? 1 : 2), `${what}: ${JSON.stringify(attempts)}`)
        for (const { attempt, wrong } of attempts) expect(wrong === null, `${what}, attempt ${attempt}: ${wrong ?? ''}`)
        const wrong = await wrongFiles(host, pair, answer)
        expect(wrong === null, `${what}: ${wrong ?? ''}`)
        expect(doubled(pair).length === 0, `${what}: twice there: ${doubled(pair).join(' ')}`)
        expect(leftBeside(pair).length === 0, `${what}: ${leftBeside(pair).join(' ')} is left`)
      }
      await host.kill()
    })
    return seen
  }

/** The host dies at each step; whoever sends the message again, to the next host, gets what it would have got at once. */
const killedHost: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const first = await startIn(t, makeEditPlace(t), without)
  const steps = await stepsOf(first, 'host')
  await first.kill()
  expect(steps.length > leastSteps.host, `there are but ${steps.length} steps`)
  await inLanes(3, inPieces(Math.ceil(steps.length / 3), steps), async (piece) => {
    const place = makeEditPlace(t)
    let before: EditPair | null = null
    let what = ''
    for (const at of [...piece, null]) {
      const host = await startIn(t, place, without)
      if (before !== null) {
        const again = await host.ask(before)
        expect(again === verdictOf(before), `${what}, and sent again: heard ${JSON.stringify(again)}`)
        const wrong = await wrongFiles(host, before, again)
        expect(wrong === null, `${what}, and sent again: ${wrong ?? ''}`)
        expect(doubled(before).length === 0, `${what}, and sent again: twice there: ${doubled(before).join(' ')}`)
        expect(leftBeside(before).length === 0, `${what}, and sent again: ${leftBeside(before).join(' ')} is left`)
      }
      if (at !== null) {
        const pair = makeEditPair(place, at % 2 === 0)
        orderFault(pair, 'host', at, 'kill')
        const answer = await host.ask(pair)
        const call = firedFault(pair)
        what = `killed at ${at}, ${call ?? 'the end'}`
        expect(answer === (call === null ? verdictOf(pair) : ''), `${what}: heard ${JSON.stringify(answer)}`)
        const half = wrongHalf(pair)
        expect(half === null, `${what}: ${half ?? ''}`)
        before = pair
      }
      await host.kill()
    }
  })
  return seen
}

testPromise(
  'R01 a runner killed at any step of an edit costs nothing: its edits are undone, and done once',
  killedRunner((steps) => steps),
  [
    {
      without: ['edits are undone before a message runs again'],
      sees: /attempt 2: it saw/,
      check: killedRunner((steps) => steps.slice(-3, -1)),
    },
  ],
)
testPromise('R02 a host killed at any step of a message leaves it whole, and accepts nothing', killedHost, [])
