/** What `nodefilter status` is told: plain data, as it crosses the control socket and stands in `--json`. */
import type { SettingInForce } from '../config/in-force.ts'
import type { DoorCounts } from '../doors/door.ts'
import type { HostProcessFacts } from '../observe/process-facts.ts'
import type { RunnerTally } from '../observe/runner-tally.ts'
import type { TallySnapshot } from '../observe/tally.ts'
import type { Problem } from '../problem.ts'
import type { LaneStatus } from '../runner/supervisor.ts'
import type { StoreStatus } from '../store/stores.ts'

/** Goes up when a field changes its meaning or goes away; new fields leave it as it is. */
export const statusFormat = 1

/**
 * `starting`: the filters are being loaded, the door is still shut; `serving`; `broken`: mail is answered as
 * `[host] when_broken` says; `stopping`: what is in hand is finished.
 */
export type HostPhase = 'starting' | 'serving' | 'broken' | 'stopping'

/** The state of a host. Moments are in ms since the epoch. */
export interface HostStatus {
  readonly format: number
  readonly version: string
  readonly node: string
  readonly pid: number
  /** Another one for each start of a host, also where a pid is used again. */
  readonly instance: string
  readonly phase: HostPhase
  readonly startedMs: number
  readonly uptimeMs: number
  readonly stateDirectory: string
  /** Whether `nodefilter restart` can do something. */
  readonly canRestart: boolean
  readonly configuration: ConfigurationStatus
  readonly doors: readonly DoorStatus[]
  /** Messages that came in and have no answer yet, and those among them that no thread has yet. */
  readonly inHand: number
  readonly waiting: number
  /** How many may wait. */
  readonly maxWaiting: number
  /** What happened since the start. */
  readonly tally: TallySnapshot
  /** The runners that are there. */
  readonly runners: readonly RunnerStatus[]
  /** What happened to runners since the start. */
  readonly runnerTally: readonly RunnerTally[]
  /** Alerts about messages that end threads or runners again and again. */
  readonly poisonAlerts: number
  /** The queues and TTL maps of filters. */
  readonly store: StoreStatus
  readonly process: HostProcessFacts
  readonly log: { readonly linesDropped: number }
  readonly settings: readonly SettingInForce[]
}

/** Where the configuration comes from, and how its last reading went. */
export interface ConfigurationStatus {
  /** `null` where no folder was found. */
  readonly directory: string | null
  readonly files: readonly string[]
  /** The aliases of the filters that run, in the order of the list. */
  readonly filters: readonly string[]
  /** When what runs was loaded; `null` where nothing could be yet. */
  readonly loadedMs: number | null
  /** How many reloads took over, and how many were refused. */
  readonly reloads: number
  readonly reloadsRefused: number
  /** The last reload, if it was refused. */
  readonly refusedReload: { readonly atMs: number; readonly problems: readonly Problem[] } | null
  /** Why the host is broken. */
  readonly problems: readonly Problem[]
  /** Settings that are written otherwise than they are in force, since only a restart takes them over. */
  readonly needRestart: readonly string[]
}

/** One way in. */
export interface DoorStatus {
  readonly name: string
  readonly path: string
  readonly open: boolean
  readonly maxConnections: number
  readonly counts: DoorCounts
}

/** A runner, and the resident memory of its process; `null` where none runs, or the system does not tell. */
export interface RunnerStatus extends LaneStatus {
  readonly residentOctets: number | null
}
