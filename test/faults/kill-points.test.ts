/**
 * R01, R02: SIGKILL of the runner or the host at each named step of a message: the client never hears an acceptance that
 * is not a whole verdict, and a plain restart, by the launcher, serves the next message.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { faultPoints, type FaultPoint } from '../../host/platform/faults.ts'
import type * as launcherModule from '../../host/cli/courier/launcher.ts'
import { childrenOf, makePlace, orders, startHost } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { runnerOf } from './edit-chain.ts'
import { inLanes } from './lanes.ts'

/** A step that is right by chance once in twenty times is found in the full run; each round costs a start of the host. */
const rounds = process.env['NODEFILTER_TEST_FAULTS'] === 'full' ? 20 : 1

/** Which process stands at the point, and which answers can be heard when it is killed there. */
const points: Readonly<Record<FaultPoint, { readonly where: 'host' | 'runner'; readonly heard: RegExp }>> = {
  'door.accepted': { where: 'host', heard: /^$/ },
  'door.request-read': { where: 'host', heard: /^$/ },
  'intake.pair-opened': { where: 'host', heard: /^$/ },
  'runner.job-sent': { where: 'host', heard: /^$/ },
  'worker.job-read': { where: 'runner', heard: /^451 4\.3\.0 .*\n$/ },
  'chain.filter-start': { where: 'runner', heard: /^451 4\.3\.0 .*\n$/ },
  'chain.filter-end': { where: 'runner', heard: /^451 4\.3\.0 .*\n$/ },
  'worker.result-sent': { where: 'runner', heard: /^(451 4\.3\.0 .*|VERDICT)\n$/ },
  'runner.result-read': { where: 'host', heard: /^$/ },
  'intake.decided': { where: 'host', heard: /^$/ },
  'intake.cleared': { where: 'host', heard: /^$/ },
  // The verdict is known and its answer handed to the system in one write: it is heard whole, or not at all.
  'door.reply-written': { where: 'host', heard: /^(VERDICT\n)?$/ },
}

/** What the filter says; the client hears it as it stands. */
const replies = ['200 fine', '554 no'] as const

interface Round {
  readonly point: FaultPoint
  readonly reply: (typeof replies)[number]
}

/** Before there is a verdict it makes no difference which one there would be. */
function roundsAt(where: 'host' | 'runner', wanted: readonly FaultPoint[]): Round[] {
  return wanted
    .filter((point) => points[point].where === where)
    .flatMap((point) => replies.slice(faultPoints.indexOf(point) < 6 ? 1 : 0).map((reply) => ({ point, reply })))
    .flatMap((round) => Array.from({ length: rounds }, () => round))
}

const told = ({ reply }: Round, id: string): { id: string; content: string } => ({
  id,
  content: orders({ act: `reply "${reply}"` }),
})

function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

const killedRunner =
  (wanted: readonly FaultPoint[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    await inLanes(3, roundsAt('runner', wanted), async (round) => {
      const place = makePlace(t, 'act')
      const set = ['runner.threads=1', 'host.deadline=20s']
      const host = startHost(t, place, { faults: `${round.point}=kill`, set, without })
      await host.ready()
      const runner = runnerOf(host)
      const heard = (await host.ask(place.pair(told(round, 'KILLED.1')))).replace(round.reply, 'VERDICT')
      const what = `${round.point}, ${round.reply}`
      expect(points[round.point].heard.test(heard), `${what}: heard ${JSON.stringify(heard)}`)
      expect(!isRunning(runner), `${what}: the runner lives`)
      await host.kill()
    })
    return seen
  }

/** The launcher is the real one; the host that it starts after the first has no faults. */
const killedHost =
  (wanted: readonly FaultPoint[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const { launcherScript } = (await importWithout('host/cli/courier/launcher.ts', without)) as typeof launcherModule
    await inLanes(4, roundsAt('host', wanted), async (round) => {
      const place = makePlace(t, 'act')
      writeFileSync(place.at('faults'), `${round.point}=kill`)
      const set = ['runner.threads=1', 'host.deadline=20s']
      const env = { NODEFILTER_FAULTS_FILE: place.at('faults') }
      const host = startHost(t, place, { launcher: launcherScript, preload: ['faults-once.mjs'], env, set, without })
      await host.ready()
      const [first = 0] = childrenOf(host.pid)
      const runner = runnerOf(host)
      const heard = (await host.ask(place.pair(told(round, 'KILLED.1')))).replace(round.reply, 'VERDICT')
      const what = `${round.point}, ${round.reply}`
      expect(points[round.point].heard.test(heard), `${what}: heard ${JSON.stringify(heard)}`)
      await until('the host to die', () => !isRunning(first), 3000).catch(() =>
        expect(false, `${what}: the host lives`),
      )
      const limitMs = without.length === 0 ? 20_000 : 4000
      // The one that died told nothing: the socket answers again, and what answers is another host.
      const again = await until('the next host', () => host.ask(place.pair()).catch(() => null), limitMs, 50).catch(
        String,
      )
      expect(again === '200 Ok\n', `${what}: afterwards heard ${JSON.stringify(again)}`)
      await until('its runner to be gone', () => !isRunning(runner)).catch(() =>
        expect(false, `${what}: a runner stays`),
      )
      await host.kill()
    })
    return seen
  }

testPromise('R01 a runner killed at any step lets nothing in', killedRunner(faultPoints), [
  {
    without: ['a failure is a temporary refusal'],
    sees: /heard "250 /,
    check: killedRunner(['chain.filter-start']),
  },
])
testPromise('R02 a host killed at any step lets nothing in, and is started again', killedHost(faultPoints), [
  { without: ['a host that dies is started again'], sees: /afterwards heard/, check: killedHost(['intake.decided']) },
])

t.test('a kill at the second message costs nobody anything: it runs again', async (t) => {
  for (const point of ['worker.job-read', 'chain.filter-start', 'chain.filter-end'] as const) {
    const place = makePlace(t, 'act')
    const host = startHost(t, place, { faults: `${point}=kill@2`, set: ['runner.threads=1'] })
    await host.ready()
    const answers = [await host.ask(place.pair()), await host.ask(place.pair()), await host.ask(place.pair())]
    t.same(answers, Array(3).fill('200 Ok\n'), point)
    await host.kill()
  }
})

t.test('a throw at the edges of a message costs that message alone', async (t) => {
  // The message beside it, which is held by its filter, is the first to visit the first three.
  const edges = {
    ...{ 'door.accepted': 2, 'door.request-read': 2, 'intake.pair-opened': 2 },
    ...{ 'intake.decided': 1, 'intake.cleared': 1, 'door.reply-written': 1 },
  }
  for (const [point, visit] of Object.entries(edges)) {
    const host = startHost(t, makePlace(t, 'act'), { faults: `${point}=throw@${visit}` })
    await host.ready()
    const { at, pair } = host.place
    const held = host.ask(pair({ content: orders({ act: [`journal ${at('begun')}`, `hold ${at('go')}`] }) }))
    await until('the first message to be held', () => existsSync(at('begun')))
    const answer = await host.ask(host.place.pair())
    // The answer is out already when the last point is met.
    t.match(answer, point === 'door.reply-written' ? /^200 Ok\n$/ : /^(451 4\.3\.0 .*\n)?$/, point)
    t.match(await host.logged(/^ERR: bug /), `fault injected at ${point}`)
    writeFileSync(at('go'), '')
    t.equal(await held, '200 Ok\n', `the message beside it, after ${point}`)
    await host.kill()
  }
})
