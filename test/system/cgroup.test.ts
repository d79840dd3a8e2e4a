/**
 * R25 and R30 with control groups, where root may make them: the kernel holds the limit of memory, and nothing that a filter
 * started outlives its runner, however it hides.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { findOwnGroups } from '../../host/platform/cgroup-paths.ts'
import { systemClock } from '../../host/platform/clock.ts'
import { openCgroups } from '../../host/platform/cgroup.ts'
import { makePlace, startHost, type HostProcess } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'

const abilities = openCgroups('trial', systemClock)
const noGroups = abilities === null ? 'no control group can be made on this machine' : false
const noLimit = abilities?.limitsMemory === true ? false : 'no control group here can limit memory'

const filter = `import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
export function doFilter(bodyPath) {
  const [, act] = /^X-Act: (.*)$/m.exec(readFileSync(bodyPath, 'utf8')) ?? []
  if (act === 'fill') {
    const kept = []
    for (let n = 0; n < 100; n++) kept.push(Buffer.alloc(10 * 1024 * 1024, 1))
  }
  // Neither its parent nor its environment tells where it comes from.
  if (act?.startsWith('hide'))
    return new Promise((resolve) =>
      spawn('sh', ['-c', '(setsid sleep ' + act.slice(5) + ' &)'], { detached: true, env: { PATH: process.env.PATH }, stdio: 'ignore' }).on(
        'exit',
        () => resolve(),
      ),
    )
}
`

async function start(t: Parameters<typeof makePlace>[0], set: readonly string[] = []): Promise<HostProcess> {
  const place = makePlace(t, 'fills')
  place.filter('fills.mjs', filter)
  const host = startHost(t, place, { set: [`chain.filter_path=${place.filters}`, 'log.level=debug', ...set] })
  await host.ready()
  return host
}

const runnerOf = (host: HostProcess): number =>
  Number(/ pid=([0-9]+)/.exec(host.log.findLast((line) => line.includes(' runner-started lane=main ')) ?? '')?.[1])
const groupsOf = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, 'latin1')
/** The folders of groups for runners of the same place as this one. */
function foldersLike(pid: number): string[] {
  const stem = /nodefilter-[0-9a-f]{12}-/.exec(groupsOf(pid))?.[0] ?? '?'
  const { unified, memory } = findOwnGroups(
    readFileSync('/proc/self/cgroup', 'latin1'),
    readFileSync('/proc/self/mountinfo', 'latin1'),
  )
  return [unified, memory].flatMap((folder) =>
    folder === null
      ? []
      : readdirSync(folder)
          .filter((name) => name.startsWith(stem))
          .map((name) => `${folder}/${name}`),
  )
}
const message = (act: string): { readonly content: string } => ({ content: `X-Act: ${act}\nSubject: x\n\ntext\n` })
const sleeping = (seconds: number): number[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return []
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1') === `sleep\0${seconds}\0` ? [Number(name)] : []
    } catch {
      return []
    }
  })

t.test('a runner has a group of its own, which goes with it', { skip: noGroups }, async (t) => {
  const host = await start(t)
  await host.logged(/ runners-grouped limitsMemory=(true|false) killsAll=(true|false)/)
  const pid = runnerOf(host)
  t.match(groupsOf(pid), /\/nodefilter-[0-9a-f]{12}-[0-9a-f]+$/m)
  t.notMatch(groupsOf(host.pid), /nodefilter-[0-9a-f]{12}/, 'the host is not in it')
  const folders = foldersLike(pid)
  t.ok(folders.length > 0)
  await host.stop()
  t.same(
    folders.filter((folder) => existsSync(folder)),
    [],
    'at a stop it is removed',
  )
})

t.test('R25 the kernel ends a runner at its limit, and the log says why', { skip: noLimit }, async (t) => {
  const host = await start(t, ['runner.max_memory=300MiB', 'runner.threads=2', 'host.deadline=20s'])
  const answer = await host.ask(host.place.pair({ id: 'BIG.1', ...message('fill') }))
  t.match(answer, /^451 4\.3\.0 /)
  t.match(await host.settled('BIG.1'), /errorCode=runner-lost errorCause=".*memory/)
  t.match(host.log.join('\n'), / runner-ended .*memory \(the kernel ended it at \[runner\] max_memory\)/)
  t.equal(await host.ask(host.place.pair()), '200 Ok\n', 'the host lives, and the next message is served')
  await host.stop()
})

t.test('R30 what hides from /proc ends with its group', { skip: noGroups }, async (t) => {
  const host = await start(t)
  const seconds = 100_000 + Math.floor(Math.random() * 800_000)
  t.teardown(() => sleeping(seconds).forEach((pid) => process.kill(pid, 'SIGKILL')))
  t.equal(await host.ask(host.place.pair(message(`hide ${seconds}`))), '200 Ok\n')
  await until('the child', () => sleeping(seconds).length === 1)
  process.kill(runnerOf(host), 'SIGKILL')
  await until('its end', () => sleeping(seconds).length === 0, 5000)
  await host.stop()
})

t.test('groups that a killed host left are removed by the next one', { skip: noGroups }, async (t) => {
  const host = await start(t)
  const folders = foldersLike(runnerOf(host))
  await host.kill()
  t.ok(
    folders.every((folder) => existsSync(folder)),
    'they are left',
  )
  const next = startHost(t, host.place, { set: [`chain.filter_path=${host.place.filters}`] })
  await next.ready()
  await until('their end', () => !folders.some((folder) => existsSync(folder)), 5000)
  await next.stop()
})

t.test('with cgroup = off there is none', async (t) => {
  const host = await start(t, ['runner.cgroup=off'])
  t.notMatch(groupsOf(runnerOf(host)), /nodefilter-[0-9a-f]{12}/)
  await host.stop()
})
