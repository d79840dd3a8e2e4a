/** What the host stands on, in one value: everything in it is replaced by tests, nothing else is. */
import { systemClock, type Clock } from './clock.ts'
import { noFaults, type Faults } from './faults.ts'
import { systemFiles, type Files } from './files.ts'
import { systemProcesses, type Processes } from './processes.ts'
import { systemSpawner, type Spawner } from './spawner.ts'

/** Clock, files, processes and fault points. */
export interface Platform {
  readonly clock: Clock
  readonly files: Files
  readonly spawner: Spawner
  readonly processes: Processes
  readonly faults: Faults
}

/** The real machine, without faults. */
export const systemPlatform: Platform = {
  clock: systemClock,
  files: systemFiles,
  spawner: systemSpawner,
  processes: systemProcesses,
  faults: noFaults,
}
