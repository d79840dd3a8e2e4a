/** What the tests of the supervision share: a filter that does harm as a message tells it, and looks at a host's runners. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { askHost } from '../../host/control/client.ts'
import type { LaneStatus } from '../../host/runner/supervisor.ts'
import { makePlace, startHost, type HostProcess, type Place, type startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import type { createFindings } from './check.ts'

type Findings = ReturnType<typeof createFindings>

/** Longer than any answer takes on a busy machine, shorter than the deadline. */
export const promptMs = 8000

/** No control groups: what the host does by itself. */
export const ownWatch = ['runner.cgroup=off', 'host.deadline=20s', 'runner.threads=2']

/** What a message tells this filter to do, in a field of its own. */
const harmful = `import { execSync, spawn } from 'node:child_process'
import { pbkdf2Sync } from 'node:crypto'
import { readFileSync } from 'node:fs'

const kept = []
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const acts = {
  fifo: (path) => readFileSync(path),
  exec: () => execSync('sleep 60'),
  pbkdf2: () => pbkdf2Sync('x', 'y', 1e9, 64, 'sha512'),
  map: () => {
    const map = new Map()
    for (let n = 0; ; n++) map.set(n, n)
  },
  array: () => void new Array(4e8).fill(0),
  split: () => void 'xy'.repeat(2 ** 28 - 16).split('y'),
  buffers: async (mebi) => {
    for (let n = 0; n < Number(mebi) / 20; n++) {
      kept.push(Buffer.alloc(20 * 1024 * 1024, 1))
      await sleep(30)
    }
    kept.length = 0
  },
  leak: (octets) => void kept.push(Buffer.alloc(Number(octets), 1)),
  // One in the group of the runner, one that has left it, one whose parent is gone as well.
  children: (seconds) =>
    new Promise((resolve) => {
      const script = 'sleep ' + seconds + ' & setsid sleep ' + seconds + ' & (setsid sleep ' + seconds + ' &) ; echo ready; wait'
      const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
      child.stdout.once('data', () => resolve())
    }),
  wait: (ms) => sleep(Number(ms)),
}

export async function doFilter(bodyPath) {
  for (const [, act, rest] of readFileSync(bodyPath, 'utf8').matchAll(/^X-Harm: ([a-z0-9]+) ?(.*)$/gm)) await acts[act](rest)
}
`

function harmfulPlace(t: Test): Place {
  const place = makePlace(t, 'harm')
  place.filter('harm.mjs', harmful)
  return place
}

/** Starts a host with that filter, and waits until it serves. */
export async function harmfulHost(
  t: Test,
  without: readonly string[],
  set: readonly string[] = [],
): Promise<HostProcess> {
  const place = harmfulPlace(t)
  const host = startHost(t, place, { set: [...ownWatch, `chain.filter_path=${place.filters}`, ...set], without })
  await host.ready()
  return host
}

let asked = 0
/** A message that orders the filter to do this; no two are the same. */
export const harm = (...acts: readonly string[]): string =>
  [`Subject: ${++asked}`, ...acts.map((act) => `X-Harm: ${act}`), '', 'text', ''].join('\n')
/** How many lines of the log are so. */
export const told = (host: HostProcess, pattern: RegExp): number => host.log.filter((line) => pattern.test(line)).length

/** Its runners, as `nodefilter status` tells them. */
export async function lanes(host: HostProcess): Promise<readonly LaneStatus[]> {
  const answer = await askHost(join(host.place.state, 'control.sock'), 'status')
  return answer.kind === 'answer' && answer.answer.type === 'status' ? answer.answer.status.runners : []
}

/** The process of the runner that serves. */
export async function runnerPid(host: HostProcess): Promise<number> {
  return until(
    'a runner',
    async () => (await lanes(host)).find(({ name, pid }) => name === 'main' && pid !== null)?.pid,
  )
}

/** Processes that live, by their command lines. */
export function running(pattern: RegExp): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((name) => {
      try {
        return pattern.test(readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim())
      } catch {
        return false
      }
    })
    .map(Number)
}

/** To one that may have ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended.
  }
}

/** Ends the stream and the host; in a control the good messages need not be judged. */
export async function finish(host: HostProcess, stream: ReturnType<typeof startStream>, { seen, expect }: Findings) {
  if (seen.length > 0) {
    await host.kill()
    await stream.stop()
    return seen
  }
  const { wrong, slowestMs } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  expect(slowestMs < promptMs, `a good message waited ${slowestMs} ms`)
  await host.kill()
  return seen
}
