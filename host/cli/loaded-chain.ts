/** The chain of a configuration, loaded in runners of its own, for commands that try it without the daemon. */
import { join } from 'node:path'
import type { Configuration } from '../config/read.ts'
import type { HostSettings } from '../config/settings.ts'
import { supervisorPlan } from '../plans.ts'
import { createEvents } from '../observe/events.ts'
import type { Level } from '../observe/line-format.ts'
import { openLog } from '../observe/log.ts'
import { systemPlatform } from '../platform/platform.ts'
import type { LaneState } from '../runner/lane.ts'
import { openLineServer } from '../runner/line-server.ts'
import { startSupervisor, type Supervisor } from '../runner/supervisor.ts'
import { memoryStores } from '../store/memory.ts'

/** A chain that was loaded, or could not be. */
export interface TriedChain {
  readonly state: LaneState
  readonly supervisor: Supervisor
  /** Ends the runners. */
  close(): Promise<void>
}

/** Loads the chain. What its filters remember is forgotten at the end, and what they add to queues goes nowhere. `work` is a private folder for sockets and state; events from `level` on go to standard error. */
export async function openLoadedChain(
  configuration: Configuration,
  settings: HostSettings,
  work: string,
  level: Level,
): Promise<TriedChain> {
  const { clock, files } = systemPlatform
  const log = openLog({ level, textDescriptor: 2, jsonFile: null, maxBufferOctets: settings.log.maxBuffer }, clock)
  const lines = await openLineServer(join(work, 'threads.sock'), files)
  const plan = supervisorPlan(settings, configuration, join(work, 'state'), '')
  const supervisor = startSupervisor(plan, lines, systemPlatform, createEvents(log), memoryStores())
  return {
    state: await supervisor.ready,
    supervisor,
    close: async () => {
      await supervisor.drain(2000)
      lines.close()
      await log.close(500)
    },
  }
}
