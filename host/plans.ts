/** What the parts of the host are told of its settings. */
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import type { ReadingLimits } from '../courier-compat/message/reading.ts'
import type { Configuration } from './config/read.ts'
import type { HostSettings } from './config/settings.ts'
import type { IntakeOptions } from './intake.ts'
import { openSpool, type Spool } from './pair.ts'
import type { Files } from './platform/files.ts'
import { memoryLimits } from './runner/memory-limits.ts'
import type { SupervisorPlan } from './runner/supervisor.ts'
import type { ThreadPlan } from './store/thread-wire.ts'

/** What the supervisor is told of the settings. */
export function supervisorPlan(
  settings: HostSettings,
  { list, modules, modulePaths, directory }: Configuration,
  stateDirectory: string,
  faults: string,
): SupervisorPlan {
  const { host, runner, chain, log } = settings
  const threads = threadCount(settings)
  const { maxOctets, recycleOctets } = memoryLimits({ ...runner, threads }, machineMemory())
  return {
    chain: {
      entries: list.entries,
      filterPath: chain.filterPath,
      packagePath: directory === null ? [] : [directory],
      modules,
      modulePaths,
      timeLimitMs: chain.timeLimit,
      stateDirectory,
      messageLimits: messageLimits(settings),
    },
    threads,
    messagesPerThread: runner.messagesPerThread,
    maxHeapOctets: runner.maxHeap,
    maxMemoryOctets: maxOctets,
    cgroup: runner.cgroup === 'off' ? 'off' : 'auto',
    recycle: { maxMessages: runner.maxMessages, memoryOctets: recycleOctets },
    poison: { limit: runner.poisonLimit, memoryMs: runner.poisonMemory, answer: host.onPoison },
    blockedLimitMs: runner.blockedLimit,
    startLimitMs: runner.startLimit,
    linesPerSecond: log.linesPerSecond,
    maxWaiting: host.maxWaiting,
    faults,
  }
}

/** How far filters read a message. */
function messageLimits({ message }: HostSettings): ReadingLimits {
  return {
    octets: message.maxOctets,
    headerOctets: message.maxHeaderOctets,
    fieldOctets: message.maxFieldOctets,
    fields: message.maxFields,
    lineOctets: message.maxLineOctets,
    depth: message.maxDepth,
    parts: message.maxParts,
    encodedWords: message.maxEncodedWords,
    parameters: message.maxParameters,
    addresses: message.maxAddresses,
    decodedOctets: message.maxDecodedOctets,
  }
}

/** What the store is told of them. */
export function storePlan({ store }: HostSettings, stateDirectory: string): ThreadPlan {
  const { directory, maxSize, insideSize, group, mode } = store
  return {
    directory: directory ?? join(stateDirectory, 'depot'),
    ...{ maxOctets: maxSize, insideOctets: insideSize, group, mode },
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

/** What the machine has, or what a container or service leaves us of it. Octets. */
function machineMemory(): number {
  const given = process.constrainedMemory()
  return given > 0 ? Math.min(given, totalmem()) : totalmem()
}

/** How many worker threads a runner has. */
export function threadCount({ runner }: HostSettings): number {
  return runner.threads ?? Math.max(2, availableParallelism())
}

function findSpool(path: string, files: Files): Spool | null {
  try {
    return openSpool(path, files)
  } catch {
    return null
  }
}
