/** What the parts of the host are told of its settings. */
import { availableParallelism } from 'node:os'
import type { Configuration } from './config/read.ts'
import type { HostSettings } from './config/settings.ts'
import type { IntakeOptions } from './intake.ts'
import { openSpool, type Spool } from './pair.ts'
import type { Files } from './platform/files.ts'
import type { SupervisorPlan } from './runner/supervisor.ts'

/** What the supervisor is told of the settings. */
export function supervisorPlan(
  settings: HostSettings,
  { list, modules, modulePaths, directory }: Configuration,
  stateDirectory: string,
  faults: string,
): SupervisorPlan {
  const { host, runner, chain, log } = settings
  return {
    chain: {
      entries: list.entries,
      filterPath: chain.filterPath,
      packagePath: directory === null ? [] : [directory],
      modules,
      modulePaths,
      timeLimitMs: chain.timeLimit,
      stateDirectory,
    },
    threads: runner.threads ?? Math.max(2, availableParallelism()),
    messagesPerThread: runner.messagesPerThread,
    maxHeapOctets: runner.maxHeap,
    blockedLimitMs: runner.blockedLimit,
    startLimitMs: runner.startLimit,
    linesPerSecond: log.linesPerSecond,
    maxWaiting: host.maxWaiting,
    faults,
  }
}

/** What intake is told of them. `spoolDirectory` is Courier's, where the settings name no other. */
export function intakeOptions(
  { host, courierfilter }: HostSettings,
  spoolDirectory: string,
  files: Files,
): IntakeOptions {
  return {
    spool: findSpool(courierfilter.spoolDir ?? spoolDirectory, files),
    deadlineMs: host.deadline,
    onFailure: courierfilter.onFailure,
    onFailureLocal: courierfilter.onFailureLocal,
    onFailureDsn: courierfilter.onFailureDsn,
    whenBroken: host.whenBroken,
  }
}

function findSpool(path: string, files: Files): Spool | null {
  try {
    return openSpool(path, files)
  } catch {
    return null
  }
}
