/** What an earlier host with the same state folder left behind is ended, and the groups for new runners are opened. */
import { openCgroups, type Cgroups } from '../platform/cgroup.ts'
import type { Platform } from '../platform/platform.ts'
import type { Events } from '../observe/events.ts'
import { hostMark, placeWord, runnerVariable } from './environment.ts'

/** Processes that are left behind are looked for and ended for so long. */
const leftOverLimitMs = 5000

/**
 * A runner that stood still when its host was killed could not end itself: that is done here. The caller holds the lock of
 * the state folder, in which `linePath` lies.
 */
export function endLeftOvers(linePath: string, { processes, clock }: Platform): void {
  const mark = { variable: runnerVariable, value: `${placeWord(linePath)}.*` }
  void processes.endMarked(mark, clock, leftOverLimitMs, hostMark(linePath))
}

/** Opens control groups when a plan first asks for them. */
export function createGroupOpener(
  linePath: string,
  { clock }: Platform,
  log: Events,
): (cgroup: 'auto' | 'off') => Cgroups | null {
  let opened: { readonly cgroups: Cgroups | null } | null = null
  return (cgroup) => {
    if (cgroup === 'off') return null
    if (opened === null) {
      opened = { cgroups: openCgroups(placeWord(linePath), clock) }
      log.runnersGrouped(opened.cgroups?.limitsMemory ?? false, opened.cgroups?.killsAll ?? false)
    }
    return opened.cgroups
  }
}
