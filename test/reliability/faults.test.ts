/**
 * Kills the host or its runner at every step of a message: the client never hears an acceptance that is not a whole
 * verdict, and a plain restart serves the next message.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { faultPoints, parseFaults, type FaultPoint } from '../../host/platform/faults.ts'
import { makePlace, orders, startHost, type HostProcess } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { takeOut } from '../helpers/without.mjs'
import { protections } from './protections.ts'

const repository = join(import.meta.dirname, '../..')

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
  // The verdict is known and its answer handed to the system in one write: it is heard whole, or not at all.
  'door.reply-written': { where: 'host', heard: /^(VERDICT\n)?$/ },
}

/** What the filter says, and what the client then hears. */
const verdicts = { '200 Ok': '"200 fine"', '554 no': '"554 no"' }

function runnerOf(host: HostProcess): number {
  const line = host.log.findLast((text) => / runner-started lane=main /.test(text))
  return Number(/ pid=([0-9]+)/.exec(line ?? '')?.[1])
}

function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

for (const point of faultPoints) {
  const { where, heard } = points[point]
  t.test(`a kill of the ${where} at ${point} lets nothing in`, async (t) => {
    const place = makePlace(t, 'act')
    // Before there is a verdict it makes no difference which one there would be.
    for (const [answer, reply] of Object.entries(verdicts).slice(faultPoints.indexOf(point) < 6 ? 1 : 0)) {
      const host = startHost(t, place, { faults: `${point}=kill`, set: ['runner.threads=1', 'host.deadline=20s'] })
      await host.ready()
      const runner = runnerOf(host)
      const said = await host.ask(place.pair({ content: orders({ act: `reply ${reply}` }) }))
      const shown = said.replace(answer === '200 Ok' ? '200 fine' : '554 no', 'VERDICT')
      t.match(shown, heard, `a message that would hear ${answer}`)
      if (where === 'host') t.same(await host.ended, { code: null, signal: 'SIGKILL' }, 'the host is dead')
      else t.notOk(isRunning(runner), 'the runner is dead')
      await host.kill()
      await until('the runner to be gone with its host', () => !isRunning(runnerOf(host)))
    }

    const next = startHost(t, place)
    await next.ready()
    t.equal(await next.ask(place.pair()), '200 Ok\n', 'after a restart the next message is served')
    await next.kill()
  })
}

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
    ...{ 'intake.decided': 1, 'door.reply-written': 1 },
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

t.test('a specification that names no point or no action is an error, not a silent nothing', (t) => {
  for (const text of [
    'x=kill',
    'door.accepted=stop',
    'door.accepted',
    'door.accepted=kill@x',
    ',',
    'door.accepted=kill,',
  ]) {
    t.throws(() => parseFaults(text), { message: /is not POINT=kill\|throw/ }, text)
  }
  const faults = parseFaults('door.accepted=throw@2,intake.decided=throw')
  t.doesNotThrow(() => faults.at('door.accepted'))
  t.throws(() => faults.at('door.accepted'), { message: 'fault injected at door.accepted' })
  t.doesNotThrow(() => faults.at('door.accepted'))
  t.throws(() => faults.at('intake.decided'))
  t.throws(() => faults.at('intake.decided'))
  t.doesNotThrow(() => parseFaults('').at('intake.decided'))
  t.end()
})

t.test('every protection that a control takes out is there, once, in its file', (t) => {
  for (const [name, { file }] of Object.entries(protections)) {
    const text = readFileSync(join(repository, file), 'utf8')
    t.not(takeOut(file, text, [name]), text, name)
  }
  t.throws(() => takeOut('host/pair.ts', '', ['no such protection']), { message: /there is no protection/ })
  t.throws(() => takeOut('host/pair.ts', 'x', ['files have one name']), {
    message: /its text is 0 times in host\/pair\.ts/,
  })
  const { find } = protections['files have one name'] ?? { find: '' }
  t.throws(() => takeOut('host/pair.ts', find + find, ['files have one name']), { message: /its text is 2 times/ })
  t.end()
})

t.test('a control whose text is gone ends the host loudly, and so proves nothing by chance', async (t) => {
  const host = startHost(t, makePlace(t, 'act'), { without: ['no such protection'] })
  await t.rejects(host.ready(), {
    message: /the host ended instead of serving:\nthere is no protection "no such protection"/,
  })
})
