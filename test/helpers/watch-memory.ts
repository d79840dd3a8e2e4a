/** The memory of a process under test. */
import { readFileSync } from 'node:fs'

/** What a process has in memory that is its own, in MiB; nothing once it has ended. */
function ownMemory(pid: number): number {
  try {
    return Number(/^RssAnon:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** Looks again and again, until it is asked for the most that the process had beyond what it had at first. MiB. */
export function watchMemory(pid: number): { grownBy(): number } {
  const first = ownMemory(pid)
  let most = first
  const timer = setInterval(() => (most = Math.max(most, ownMemory(pid))), 50).unref()
  return {
    grownBy: () => {
      clearInterval(timer)
      return Math.round(Math.max(most, ownMemory(pid)) - first)
    },
  }
}
