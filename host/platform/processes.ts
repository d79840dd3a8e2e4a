/**
 * What /proc says of a runner and of what its filters started: how much memory they use, and who is to be ended with it.
 *
 * A child that a filter started with `detached: true` has left its runner's process group. It is found as a descendant
 * while the processes between live, and after that by the mark that every process inherits in its environment. One that
 * was started with an empty environment and was left behind by its parent cannot be found this way: only a cgroup holds it.
 * Where there is no /proc, nothing is known and only process groups are ended.
 */
import fs from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import type { Clock } from './clock.ts'

/** Handed in as part of the platform. */
export interface Processes {
  /** Resident memory in octets; `null` where it cannot be told. */
  memoryOf(pid: number): number | null
  /** Those it started, those they started, and so on; at most `maxDescendants`. Synchronous: some reads a thread of each. */
  descendantsOf(pid: number): number[]
  /** Sends SIGKILL; a negative number is a process group. False if there is nobody. */
  kill(pid: number): boolean
  /**
   * Ends every process that carries the mark, until none is left or `limitMs` is over; those whose value begins with
   * `spared` are left alone. Never rejects.
   */
  endMarked(mark: ProcessMark, clock: Clock, limitMs: number, spared?: string): Promise<void>
}

/** An entry of the environment that tells whose a process is; a `value` that ends in `*` stands for all that begin so. */
export interface ProcessMark {
  readonly variable: string
  readonly value: string
}

/** A filter that starts more than this is ended by its limit of memory, or by the second look. */
export const maxDescendants = 2000

/** Pause between two looks at what is left. */
const againMs = 20

/** The machine's processes. */
export const systemProcesses: Processes = {
  memoryOf: (pid) => {
    try {
      return parseStatm(fs.readFileSync(`/proc/${pid}/statm`, 'latin1'))
    } catch {
      return null
    }
  },
  descendantsOf,
  kill: killProcess,
  endMarked: async (mark, clock, limitMs, spared) => {
    const sinceMs = clock.monotonicMs()
    while ((await killMarked(mark, spared ?? null)) > 0 && clock.monotonicMs() - sinceMs < limitMs) {
      await new Promise<void>((resolve) => void clock.after(againMs, resolve))
    }
  },
}

/** Resident octets from the text of `/proc/PID/statm`. Units: pages there, of 4096 octets but on few machines. Pure. */
export function parseStatm(text: string): number | null {
  const pages = Number(text.split(' ')[1])
  return Number.isInteger(pages) ? pages * 4096 : null
}

/** Whether an environment, as the kernel shows it, carries the mark. Pure. */
export function carriesMark(environment: string, { variable, value }: ProcessMark): boolean {
  const entry = value.endsWith('*') ? `${variable}=${value.slice(0, -1)}` : `${variable}=${value}\0`
  return environment.startsWith(entry) || environment.includes(`\0${entry}`)
}

/**
 * For a process whose host is gone: ends all that came from it, and at last itself, as far as `limitMs` reaches.
 * Synchronous: the pool of threads that asynchronous reads need may be held by filters.
 */
export function endOwnFamily(mark: ProcessMark, limitMs: number): void {
  const sinceMs = performance.now()
  for (const pid of descendantsOf(process.pid)) killProcess(pid)
  try {
    for (const name of fs.readdirSync('/proc')) {
      if (performance.now() - sinceMs > limitMs) break
      const pid = Number(name)
      if (!Number.isInteger(pid) || pid === process.pid) continue
      if (carriesMark(environmentOf(pid), mark)) killProcess(pid)
    }
  } catch {
    // No /proc: the group must do.
  }
  killProcess(-process.pid)
  killProcess(process.pid)
}

function environmentOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    // It has ended, or is another user's.
    return ''
  }
}

function descendantsOf(pid: number): number[] {
  const found = [pid]
  for (let next = 0; next < found.length && found.length <= maxDescendants; next++)
    found.push(...childrenOf(found[next]))
  return found.slice(1)
}

/** A child belongs to the thread that started it. */
function childrenOf(pid: number | undefined): number[] {
  const children: number[] = []
  try {
    for (const task of fs.readdirSync(`/proc/${pid ?? 0}/task`)) {
      const text = fs.readFileSync(`/proc/${pid ?? 0}/task/${task}/children`, 'latin1')
      if (text !== '') children.push(...text.trim().split(' ').map(Number))
    }
  } catch {
    // It has ended, or its thread has.
  }
  return children
}

async function killMarked(mark: ProcessMark, spared: string | null): Promise<number> {
  let killed = 0
  try {
    for (const name of await readdir('/proc')) {
      const pid = Number(name)
      if (!Number.isInteger(pid) || pid === process.pid || pid === process.ppid) continue
      const environment = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '')
      if (!carriesMark(environment, mark)) continue
      if (spared !== null && carriesMark(environment, { ...mark, value: `${spared}*` })) continue
      if (killProcess(pid)) killed++
    }
  } catch {
    // No /proc, or no descriptor left.
  }
  return killed
}

function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}
