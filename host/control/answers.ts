/** What the host answers on its control socket: the daemon hands over what it knows, here it is put together. */
import { randomUUID } from 'node:crypto'
import type { Configuration } from '../config/read.ts'
import { settingsInForce, settingsThatNeedRestart } from '../config/in-force.ts'
import type { HostSettings } from '../config/settings.ts'
import type { Events } from '../observe/events.ts'
import { readMetrics } from '../observe/metrics.ts'
import { metricsText, type MetricsFormat } from '../observe/open-metrics.ts'
import { readHostProcess, residentOctets } from '../observe/process-facts.ts'
import type { RunnerTally } from '../observe/runner-tally.ts'
import type { Tally } from '../observe/tally.ts'
import type { Platform } from '../platform/platform.ts'
import type { Problem } from '../problem.ts'
import type { LaneStatus } from '../runner/supervisor.ts'
import type { StoreStatus } from '../store/stores.ts'
import { maxToldProblems, type ControlAnswer, type ControlRequest, type ReloadResult } from './protocol.ts'
import { statusFormat, type DoorStatus, type HostPhase, type HostStatus } from './status.ts'

/** The daemon, seen from its control socket. */
export interface ControlledHost {
  readonly version: string
  readonly stateDirectory: string
  /** The settings with which it was started. */
  readonly atStart: HostSettings
  phase(): HostPhase
  /** The configuration in force, or the broken one with which it was started. */
  configuration(): Configuration
  history(): LoadHistory
  /** Why it is broken. */
  problems(): readonly Problem[]
  doors(): readonly DoorStatus[]
  inHand(): number
  lanes(): readonly LaneStatus[]
  linesDropped(): number
  readonly tally: Tally
  runnerTally(): readonly RunnerTally[]
  poisonAlerts(): number
  store(): StoreStatus
  reload(): Promise<ReloadResult>
  readonly restart: Restart
}

/** Ending in good order, to be started again. */
export interface Restart {
  /** Whether somebody would: whoever started this host may be gone by now. */
  isPossible(): boolean
  begin(): void
}

/** How loading went so far. */
export interface LoadHistory {
  /** The aliases of the filters that run. */
  readonly filters: readonly string[]
  readonly loadedMs: number | null
  readonly reloads: number
  readonly reloadsRefused: number
  readonly refusedReload: { readonly atMs: number; readonly problems: readonly Problem[] } | null
}

/** Before anything was loaded. */
export const nothingLoaded: LoadHistory = {
  ...{ filters: [], loadedMs: null, reloads: 0, reloadsRefused: 0, refusedReload: null },
}

/** What the host tells of itself. */
export interface Answers {
  /** On its control socket. */
  readonly control: (request: ControlRequest) => Promise<ControlAnswer>
  /** To whoever collects metrics. */
  readonly metrics: (format: MetricsFormat) => Promise<string>
}

const noLauncher =
  'nothing would start this host again: no launcher of this release has started it, or the launcher is gone. Under Courier, ' +
  '"nodefilter courier enable" writes a new launcher, and "courierfilter stop; courierfilter start" takes it into ' +
  'service (mail is deferred meanwhile); a host that something else started is restarted by that'

/** Binds the answers to a host that starts now. */
export function createAnswers(host: ControlledHost, { clock, files }: Platform, log: Events): Answers {
  const instance = randomUUID()
  const startedMs = clock.wallMs()
  const sinceMs = clock.monotonicMs()

  const status = async (): Promise<HostStatus> => {
    const process = await readHostProcess()
    const { settings, remaining, directory, files: configurationFiles } = host.configuration()
    const { filters, loadedMs, reloads, reloadsRefused, refusedReload } = host.history()
    const now = settings ?? remaining
    const runners = host.lanes().map((lane) => ({ ...lane, residentOctets: residentOctets(lane.pid, files) }))
    return {
      ...{ format: statusFormat, version: host.version, ...thisProcess, instance },
      ...{ phase: host.phase(), startedMs, uptimeMs: Math.round(clock.monotonicMs() - sinceMs) },
      ...{ stateDirectory: host.stateDirectory, canRestart: host.restart.isPossible() },
      configuration: {
        ...{ directory, files: configurationFiles, filters, loadedMs, reloads, reloadsRefused, refusedReload },
        problems: host.problems().slice(0, maxToldProblems),
        needRestart: settingsThatNeedRestart(now, host.atStart),
      },
      ...{ doors: host.doors(), inHand: host.inHand() },
      waiting: runners.reduce((sum, { waiting }) => sum + waiting, 0),
      ...{ maxWaiting: now.host.maxWaiting, tally: host.tally.snapshot(), runners, runnerTally: host.runnerTally() },
      ...{
        poisonAlerts: host.poisonAlerts(),
        store: host.store(),
        process,
        log: { linesDropped: host.linesDropped() },
      },
      settings: settingsInForce(now, host.atStart),
    }
  }

  const refused = (text: string): ControlAnswer => ({ type: 'refused', text })
  const metrics = async (format: MetricsFormat): Promise<string> => metricsText(readMetrics(await status()), format)
  const control = async (request: ControlRequest): Promise<ControlAnswer> => {
    const { ask } = request
    const phase = host.phase()
    switch (ask) {
      case 'status':
        return { type: 'status', status: await status() }
      case 'metrics':
        return { type: 'metrics', text: await metrics(request.format ?? 'openmetrics') }
      case 'reload': {
        if (phase === 'stopping') return refused('the host is being stopped')
        log.asked(ask)
        return { type: 'reload', result: await host.reload() }
      }
      case 'restart': {
        if (phase === 'stopping') return refused('the host is being stopped already')
        if (phase === 'starting') return refused('the host is still starting; ask again when it serves')
        if (!host.restart.isPossible()) return refused(noLauncher)
        log.asked(ask)
        // Only once the answer is on its way.
        clock.after(0, () => host.restart.begin())
        return { type: 'restart', instance }
      }
      default:
        return ask satisfies never
    }
  }
  return { control, metrics }
}

const thisProcess = { node: process.version, pid: process.pid } as const
