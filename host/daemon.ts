/**
 * The daemon: the one place where the parts meet. It opens them in order, and drains them in reverse.
 *
 * Whatever is wrong with the configuration, the state folder or a filter, the door opens and answers "try again", and
 * the log says why, until a reload mends it: a filter host that is not there lets mail pass unfiltered.
 */
import { join } from 'node:path'
import type { Failure } from './chain/failure.ts'
import type { LoadProblem } from './chain/load-problem.ts'
import { settingsThatNeedRestart } from './config/in-force.ts'
import type { Configuration } from './config/read.ts'
import type { Problem } from './problem.ts'
import type { HostSettings } from './config/settings.ts'
import { parseListenAddress, type ListenAddress } from './config/listen-address.ts'
import { connectionPlan } from './connection-plan.ts'
import { createAnswers, nothingLoaded, type LoadHistory, type Restart } from './control/answers.ts'
import { maxToldProblems, type ReloadResult } from './control/protocol.ts'
import { controlSocketName, openControlServer, type AnswerRequest, type ControlServer } from './control/server.ts'
import type { HostPhase } from './control/status.ts'
import { createCourierDoor } from './doors/courierfilter/door.ts'
import type { Door } from './doors/door.ts'
import { takeInstanceLock, type InstanceLock, type LockHolder } from './instance-lock.ts'
import { createIntake, type Run } from './intake.ts'
import { createEvents, type Events } from './observe/events.ts'
import type { Log } from './observe/log.ts'
import { createMetricsEvents } from './observe/metrics-events.ts'
import { createMetricsListener } from './observe/metrics-listener.ts'
import { countRunnerEvents } from './observe/runner-tally.ts'
import { createTally } from './observe/tally.ts'
import { removeLeftOvers } from './left-overs.ts'
import { intakeOptions, storePlan, supervisorPlan } from './plans.ts'
import type { Platform } from './platform/platform.ts'
import { openLineServer, type LineServer } from './runner/line-server.ts'
import { startSupervisor, type Supervisor } from './runner/supervisor.ts'
import { openStores } from './store/service.ts'
import { defaultStateDirectory, stateFolderProblem } from './state-folder.ts'
import { createTurns } from './turns.ts'

/** What the daemon is started with. */
export interface DaemonOptions {
  readonly version: string
  /** The socket's name in Courier's folder. */
  readonly name: string
  /** Courier's folders, where the settings do not name others. */
  readonly courier: { readonly socketDirectory: string; readonly spoolDirectory: string }
  /** Wins over `[host] state_dir`. */
  readonly stateDirectory: string | null
  /** Reads the configuration, now and at every reload. */
  readConfiguration(): Configuration
  /** Ends this process in good order, to be started again by whoever started it. */
  readonly restart: Restart
  /** Fault points for the threads; `''` outside tests. */
  readonly faults: string
}

/** A daemon that serves. */
export interface Daemon {
  /** Reads the configuration anew, after any reload that is under way. Never rejects. */
  reload(): Promise<ReloadResult>
  /** Finishes what is in hand, within the grace time. Called twice, it waits for the first. */
  stop(reason: string): Promise<void>
}

/** Why the daemon could not be started at all. */
export interface StartFailure {
  readonly kind: 'another-instance' | 'door'
  readonly text: string
}

/** How often a broken state is told again. */
const brokenReportMs = 60_000

/** At a stop the store gets this long to finish what it was asked. */
const storeGraceMs = 2000

/** A wrong file named as the list can hold any number of problems; these are enough to see that. */
const maxReported = 20

/** Opens everything. Never rejects. */
export async function startDaemon(
  options: DaemonOptions,
  platform: Platform,
  log: Log,
): Promise<Daemon | StartFailure> {
  const { clock } = platform
  const { events, snapshot: runnerTally, poisonAlerts } = countRunnerEvents(createEvents(log))
  let configuration = options.readConfiguration()
  const settings = (): HostSettings => configuration.settings ?? configuration.remaining
  const stateDirectory = options.stateDirectory ?? settings().host.stateDir ?? defaultStateDirectory
  const atStart = settings()
  const tally = createTally()
  const stores = openStores(storePlan(atStart, stateDirectory), clock, events)
  let supervisor: Supervisor | null = null
  let problems: readonly Problem[] = []
  let history: LoadHistory = nothingLoaded

  const taken = takeStateFolder(stateDirectory, platform)
  const folderProblem = 'text' in taken ? taken : null
  const lock = 'text' in taken ? null : taken
  if (lock !== null && 'pid' in lock) {
    return { kind: 'another-instance', text: `process ${lock.pid} runs with the same state folder ${stateDirectory}` }
  }
  events.hostStarted(options.version, stateDirectory)
  const lines = folderProblem === null ? await openLines(stateDirectory, platform) : null
  const hostProblems = [
    ...(folderProblem === null ? [] : [{ file: stateDirectory, line: null, column: null, ...folderProblem }]),
    ...(lines !== null && 'text' in lines ? [lines] : []),
  ]

  /** Reads the configuration and takes it over if it is sound. Returns what is wrong with it. */
  const load = async (next: Configuration): Promise<readonly Problem[]> => {
    for (const warning of next.warnings) events.configurationWarning(warning)
    if (hostProblems.length > 0 || next.problems.length > 0 || next.settings === null)
      return [...hostProblems, ...next.problems]
    if (lines === null || 'text' in lines) return hostProblems
    const plan = supervisorPlan(next.settings, next, stateDirectory, options.faults)
    const fresh = supervisor ?? startSupervisor(plan, lines, platform, events, stores)
    const state = supervisor === null ? await fresh.ready : await fresh.replace(plan)
    if (state.kind !== 'serving') return state.kind === 'broken' ? state.problems.map(fromLoad) : []
    supervisor = fresh
    configuration = next
    const filters = state.filters.map(({ alias }) => alias)
    history = { ...history, filters, loadedMs: clock.wallMs(), refusedReload: null }
    events.chainLoaded(filters)
    return []
  }
  const currentProblems = (): readonly Problem[] => {
    // Also a chain that was loaded once can break: a filter's file may be gone when its thread is replaced.
    const state = supervisor?.state()
    return state?.kind === 'broken' ? state.problems.map(fromLoad) : problems
  }
  const report = (): void => reportProblems(currentProblems(), events)
  const reports = clock.every(brokenReportMs, report)

  const brokenRun = (): Run => {
    const text = problems[0]?.text ?? 'no configuration was loaded'
    const failure: Failure = { kind: 'broken', filter: null, text }
    return { outcome: null, failure, attempts: 0 }
  }
  let intakeSettings = intakeOptions(settings(), options.courier.spoolDirectory, platform.files)
  const intake = createIntake(
    () => {
      // The mail server may make its spool folder later than us.
      if (intakeSettings.spool === null)
        intakeSettings = intakeOptions(settings(), options.courier.spoolDirectory, platform.files)
      return intakeSettings
    },
    (id, pair, deadlineMs, settle) => {
      if (supervisor === null) settle(brokenRun())
      else supervisor.run(id, pair, deadlineMs, settle)
    },
    platform,
    {
      ...events,
      settled: (summary) => {
        tally.settled(summary)
        events.settled(summary)
      },
    },
  )
  const { courierfilter } = settings()
  const { maxConnections, warning } = connectionPlan(settings(), configuration.places, platform.files)
  if (warning !== null) events.configurationWarning(warning)
  const doorDirectory = courierfilter.directory ?? options.courier.socketDirectory
  const door: Door = createCourierDoor(
    {
      name: options.name,
      directory: doorDirectory,
      maxConnections,
      requestLimitOctets: courierfilter.requestLimit,
      requestTimeoutMs: courierfilter.requestTimeout,
    },
    platform,
    events,
  )

  let isOpen = false
  let stopped: Promise<void> | null = null
  const phase = (): HostPhase => {
    if (stopped !== null) return 'stopping'
    if (!isOpen) return 'starting'
    return supervisor === null || supervisor.state().kind === 'broken' ? 'broken' : 'serving'
  }
  const stop = async (reason: string): Promise<void> => {
    const graceMs = settings().host.grace
    events.hostStopping(reason, intake.inHand())
    reports.cancel()
    const endedMs = clock.monotonicMs() + graceMs
    await door.drain(graceMs)
    // First the filters' code ends, then those without a verdict are answered: nothing edits what was answered.
    await supervisor?.drain(Math.max(200, endedMs - clock.monotonicMs()))
    intake.stop()
    await intake.published(storeGraceMs)
    await door.drain(200)
    await stores.close(storeGraceMs)
    control?.close()
    metrics.close()
    if (lines !== null && !('text' in lines)) lines.close()
    lock?.release()
    events.hostStopped(reason)
  }

  /** At the start the mail server may be about to make its spool folder; a reload must not take one away that serves. */
  const lostSpool = (next: Configuration): Problem | null => {
    const path = next.settings?.courierfilter.spoolDir ?? null
    if (path === null || intakeSettings.spool === null) return null
    if (intakeOptions(next.remaining, options.courier.spoolDirectory, platform.files).spool !== null) return null
    const { file, line } = next.places.get('courierfilter.spool_dir') ?? { file: 'nodefilter.conf', line: null }
    const text = `[courierfilter] spool_dir: ${path} is not there, or may not be entered`
    return { file, line, column: null, text, cure: "name the folder of the mail server's message files" }
  }
  const notReloaded = (text: string, cure: string | null): ReloadResult => ({
    ...{ takenOver: false, problems: [{ file: 'nodefilter', line: null, column: null, text, cure }], warnings: [] },
    ...{ filters: history.filters, needRestart: [] },
  })
  const reload = async (): Promise<ReloadResult> => {
    if (stopped !== null) return notReloaded('the host is being stopped', null)
    const next = options.readConfiguration()
    const lost = lostSpool(next)
    const found = lost === null ? await load(next) : [...next.problems, lost]
    reportProblems(found, events)
    const takenOver = found.length === 0
    if (takenOver || supervisor === null) problems = found
    if (takenOver) {
      history = { ...history, reloads: history.reloads + 1 }
      intakeSettings = intakeOptions(settings(), options.courier.spoolDirectory, platform.files)
      await metrics.listenOn(metricsAddress(settings()))
      events.reloaded()
    } else if (supervisor !== null) {
      const reloadsRefused = history.reloadsRefused + 1
      history = {
        ...history,
        reloadsRefused,
        refusedReload: { atMs: clock.wallMs(), problems: found.slice(0, maxToldProblems) },
      }
      events.reloadRefused()
    }
    return {
      ...{ takenOver, problems: found.slice(0, maxToldProblems), warnings: next.warnings.slice(0, maxToldProblems) },
      ...{ filters: history.filters, needRestart: settingsThatNeedRestart(settings(), atStart) },
    }
  }
  const { promise: opened, resolve: tellOpened } = Promise.withResolvers<null>()
  const askReload = createTurns(opened, () =>
    reload().catch((thrown: unknown) => {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      events.bug('reload', text)
      return notReloaded('the reload failed', 'see the log')
    }),
  )
  const answers = createAnswers(
    {
      ...{ version: options.version, stateDirectory, atStart, tally, phase },
      ...{ reload: askReload, restart: options.restart },
      ...{ configuration: () => configuration, history: () => history, problems: currentProblems },
      doors: () =>
        courierfilter.enabled
          ? [
              {
                ...{ name: door.name, path: join(doorDirectory, options.name), open: isOpen && stopped === null },
                ...{ maxConnections, counts: door.counts() },
              },
            ]
          : [],
      ...{ inHand: () => intake.inHand(), lanes: () => supervisor?.lanes() ?? [], linesDropped: () => log.dropped() },
      ...{ runnerTally, poisonAlerts, store: () => stores.status() },
    },
    platform,
    events,
  )
  const control = folderProblem === null ? await openControl(stateDirectory, answers.control, platform, events) : null
  const metrics = createMetricsListener({ text: answers.metrics, phase }, platform, createMetricsEvents(log))
  await metrics.listenOn(metricsAddress(settings()))
  problems = await load(configuration)
  report()
  if (intakeSettings.spool !== null) {
    const { removed, failures } = removeLeftOvers(intakeSettings.spool, platform.files)
    if (removed > 0 || failures.length > 0) events.leftOversRemoved(removed, failures)
  }
  try {
    if (courierfilter.enabled) await door.open(intake.take)
    else events.doorDisabled(door.name)
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown)
    events.doorFailed(door.name, text)
    await stop('the door could not be opened')
    return { kind: 'door', text }
  }
  isOpen = true
  tellOpened(null)
  return { reload: askReload, stop: (reason) => (stopped ??= stop(reason)) }
}

function reportProblems(problems: readonly Problem[], events: Events): void {
  for (const problem of problems.slice(0, maxReported)) events.configurationBroken(problem)
  if (problems.length > maxReported) events.moreProblems(problems.length - maxReported)
}

/** The lock on the state folder; who holds it; or why the folder cannot be used. */
function takeStateFolder(
  path: string,
  { files }: Platform,
): InstanceLock | LockHolder | { text: string; cure: string } {
  try {
    return stateFolderProblem(path, files) ?? takeInstanceLock(path, files)
  } catch (thrown) {
    const text = `cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    return { text, cure: 'make room or rights for the host there, or set [host] state_dir' }
  }
}

async function openLines(stateDirectory: string, platform: Platform): Promise<LineServer | Problem> {
  const path = join(stateDirectory, 'threads.sock')
  try {
    return await openLineServer(path, platform.files)
  } catch (thrown) {
    const text = `the threads' socket cannot be opened: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    return { file: path, line: null, column: null, text, cure: null }
  }
}

/** The control socket. A host without one filters mail all the same. */
async function openControl(
  stateDirectory: string,
  answer: AnswerRequest,
  platform: Platform,
  events: Events,
): Promise<ControlServer | null> {
  const path = join(stateDirectory, controlSocketName)
  try {
    return await openControlServer(path, answer, platform, events)
  } catch (thrown) {
    events.controlFailed(path, thrown instanceof Error ? thrown.message : String(thrown))
    return null
  }
}

/** Where metrics are told; `null` where they are not. What cannot be read was a problem of the configuration. */
function metricsAddress({ metrics }: HostSettings): ListenAddress | null {
  const parsed = parseListenAddress(metrics.listen)
  return 'problem' in parsed ? null : parsed.address
}

function fromLoad(problem: LoadProblem): Problem {
  return { column: null, ...problem }
}
