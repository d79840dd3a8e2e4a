/** How often the threads of a process are woken: how often they went to sleep, as Linux counts it. */
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** One thread over some time. */
export interface ThreadWakeUps {
  readonly pid: number
  readonly thread: number
  /** The thread's name, as the program gave it. */
  readonly name: string
  readonly perSecond: number
}

/** Watches all threads of these processes for so long. Threads that came or went meanwhile are left out. */
export async function watchWakeUps(pids: readonly number[], seconds: number): Promise<ThreadWakeUps[]> {
  const before = new Map(pids.flatMap(threadsOf).map((one) => [one.thread, one]))
  const sinceMs = performance.now()
  await sleep(seconds * 1000)
  const passedMs = performance.now() - sinceMs
  return pids.flatMap(threadsOf).flatMap(({ sleeps, ...thread }) => {
    const first = before.get(thread.thread)
    return first === undefined ? [] : [{ ...thread, perSecond: ((sleeps - first.sleeps) / passedMs) * 1000 }]
  })
}

/** Of all threads of one process together, a second. */
export function perSecondOf(pid: number, threads: readonly ThreadWakeUps[]): number {
  return threads.filter((thread) => thread.pid === pid).reduce((sum, { perSecond }) => sum + perSecond, 0)
}

function threadsOf(pid: number): { pid: number; thread: number; name: string; sleeps: number }[] {
  const folder = `/proc/${pid}/task`
  return readdirSync(folder).flatMap((thread) => {
    try {
      const status = readFileSync(`${folder}/${thread}/status`, 'utf8')
      const value = (key: string): string => new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? ''
      return [{ pid, thread: Number(thread), name: value('Name'), sleeps: Number(value('voluntary_ctxt_switches')) }]
    } catch {
      // It has ended since it was listed.
      return []
    }
  })
}
