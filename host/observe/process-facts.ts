/** What is known of processes at this moment, read when somebody asks: nothing here runs in between. */
import type { Files } from '../platform/files.ts'

/** The host's own process. */
export interface HostProcessFacts {
  readonly residentOctets: number
  /** CPU time since it started, user and system. */
  readonly cpuMs: number
  /** How long its event loop has worked, and waited, since the start. */
  readonly loopActiveMs: number
  readonly loopIdleMs: number
  /** How long one turn of its event loop took just now: what waits for the loop waits that long. */
  readonly loopTurnMs: number
}

/** Reads them. It takes two turns of the event loop. */
export async function readHostProcess(): Promise<HostProcessFacts> {
  const loopTurnMs = await measureTurn()
  const { user, system } = process.cpuUsage()
  const { active, idle } = performance.eventLoopUtilization()
  return {
    residentOctets: process.memoryUsage.rss(),
    cpuMs: (user + system) / 1000,
    ...{ loopActiveMs: active, loopIdleMs: idle, loopTurnMs },
  }
}

/**
 * A turn from one check phase to the next. It does not wait for the world, so an idle host shows almost nothing. The
 * histogram that Node offers would wake the process at every step of its resolution.
 */
function measureTurn(): Promise<number> {
  return new Promise((resolve) => {
    setImmediate(() => {
      const sinceMs = performance.now()
      setImmediate(() => resolve(performance.now() - sinceMs))
    })
  })
}

/** The resident memory of another process, in octets; `null` where the system does not tell. Linux's proc(5). */
export function residentOctets(pid: number | null, files: Files): number | null {
  if (pid === null) return null
  try {
    const status = files.readFileSync(`/proc/${pid}/status`, 'latin1')
    const found = /^VmRSS:\s*([0-9]+) kB$/m.exec(status)
    return found === null ? null : Number(found[1]) * 1024
  } catch {
    return null
  }
}
