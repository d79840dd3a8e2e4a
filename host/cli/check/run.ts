/** One run of `nodefilter check`: read the configuration, load the chain, run it over the messages, show what came of it. */
import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { replyLines } from '../../../courier-compat/reply.ts'
import type { TrailStep } from '../../chain/chain.ts'
import { readConfiguration, type Configuration } from '../../config/read.ts'
import type { HostSettings } from '../../config/settings.ts'
import { createEvents } from '../../observe/events.ts'
import { openLog } from '../../observe/log.ts'
import { openPair, openSpool, type OpenedPair } from '../../pair.ts'
import { supervisorPlan } from '../../plans.ts'
import { systemPlatform } from '../../platform/platform.ts'
import { formatProblem, type Problem } from '../../problem.ts'
import { startDebugRunner, type DebugAddress, type DebugState } from '../../runner/debug.ts'
import type { LaneState } from '../../runner/lane.ts'
import type { RunResult } from '../../runner/ticket.ts'
import { writePair } from '../../spool.ts'
import type { Addition } from '../../store/staging.ts'
import { exitCodes, type CommandIo } from '../command.ts'
import { openLoadedChain } from '../loaded-chain.ts'
import { formatTable } from '../table.ts'
import { asciiJson, visible } from '../wrap.ts'

/** What was asked for. */
export interface CheckOptions {
  readonly messages: readonly string[]
  /** Folder of the configuration; `null` where there is none. */
  readonly directory: string | null
  readonly set: readonly string[]
  readonly from: string
  readonly to: readonly string[]
  readonly ip: string
  readonly auth: string | null
  readonly json: boolean
  readonly verbose: boolean
  readonly inspect: DebugAddress | null
}

/** How it ended. */
export interface CheckResult {
  readonly code: number
  /** The modules that were loaded. */
  readonly modules: readonly string[]
}

/** A chain to be tried, in the host's own runners or under a debugger. */
interface TestedChain {
  readonly state: LaneState | DebugState
  run(messageId: string, pair: OpenedPair, deadlineMs: number): Promise<RunResult>
  close(): Promise<void>
}

/**
 * Runs the chain over the messages. `work` is a private folder.
 * `signal` ends a run under a debugger at once; nobody must wait for the result then.
 */
export async function runCheck(
  options: CheckOptions,
  work: string,
  io: CommandIo,
  signal: AbortSignal,
): Promise<CheckResult> {
  const ended = (code: number, modules: readonly string[] = []): CheckResult => ({ code, modules })
  const broken = (problems: readonly Problem[]): CheckResult => {
    for (const problem of problems) io.err(`${formatProblem(problem)}\n`)
    return ended(exitCodes.config)
  }
  for (const message of options.messages) {
    const problem = readProblem(message)
    if (problem === null) continue
    io.err(`nodefilter check: ${problem}\n`)
    return ended(exitCodes.noInput)
  }
  const configuration = readConfiguration({ directory: options.directory, sets: options.set })
  for (const warning of configuration.warnings) io.err(`warning: ${formatProblem(warning)}\n`)
  const { settings } = configuration
  if (configuration.problems.length > 0 || settings === null) return broken(configuration.problems)

  const chain =
    options.inspect === null
      ? await openRunnerChain(configuration, settings, work, options.verbose)
      : await openDebugChain(configuration, settings, work, options.inspect, options.verbose, io, signal)
  try {
    const { state } = chain
    if (state.kind === 'broken') return broken(state.problems.map((problem) => ({ column: null, ...problem })))
    const reports = await runMessages(options, chain, work, settings.host.deadline)
    if (options.json) for (const report of reports) io.out(`${asciiJson(report)}\n`)
    else io.out(visible(table(reports) + reports.flatMap(remarks).join('')))
    const modules = state.kind === 'serving' ? state.filters.map(({ file }) => file) : []
    return ended(reports.some(({ failure }) => failure !== null) ? exitCodes.tempFail : exitCodes.ok, modules)
  } finally {
    await chain.close()
  }
}

async function openRunnerChain(
  configuration: Configuration,
  settings: HostSettings,
  work: string,
  isVerbose: boolean,
): Promise<TestedChain> {
  const chain = await openLoadedChain(configuration, settings, work, isVerbose ? 'info' : 'error')
  const { state, supervisor } = chain
  return {
    state,
    close: () => chain.close(),
    run: (id, pair, deadlineMs) => new Promise((resolve) => supervisor.run(id, pair, deadlineMs, resolve)),
  }
}

async function openDebugChain(
  configuration: Configuration,
  settings: HostSettings,
  work: string,
  address: DebugAddress,
  isVerbose: boolean,
  io: CommandIo,
  signal: AbortSignal,
): Promise<TestedChain> {
  const level = isVerbose ? 'info' : 'error'
  const log = openLog(
    { level, textDescriptor: 2, jsonFile: null, maxBufferOctets: settings.log.maxBuffer },
    systemPlatform.clock,
  )
  const plan = supervisorPlan(settings, configuration, join(work, 'state'), '').chain
  const runner = startDebugRunner(plan, address, systemPlatform, {
    said: createEvents(log).filterSaid,
    output: (text) => io.err(text),
  })
  signal.addEventListener('abort', () => runner.kill(), { once: true })
  io.err('waiting for a debugger; it stops once, when the filters are loaded and before the first is called\n')
  return {
    state: await runner.ready,
    run: (id, pair) => runner.run(id, pair),
    close: async () => {
      runner.kill()
      await log.close(500)
    },
  }
}

/** What is shown of one message. */
interface Report {
  readonly message: string
  readonly filters: string
  readonly verdict: string
  readonly reply: string
  readonly ms: number
  readonly failure: string | null
  readonly trail: readonly TrailStep[]
  readonly notes: Readonly<Record<string, string>>
  /** What filters added to queues, where the message is accepted. */
  readonly additions: readonly Addition[]
}

async function runMessages(
  options: CheckOptions,
  chain: TestedChain,
  work: string,
  deadlineMs: number,
): Promise<Report[]> {
  const { clock, files } = systemPlatform
  const folder = join(work, 'spool')
  mkdirSync(folder)
  const spool = openSpool(folder, files)
  const reports: Report[] = []
  for (const [index, message] of options.messages.entries()) {
    const envelope = {
      ...{ queueId: `check.${process.pid.toString(16)}.${index}`, sender: options.from, recipients: options.to },
      ...{ clientIp: options.ip, helo: 'client.example.com', authUser: options.auth },
    }
    const pair = openPair(writePair(folder, String(index), message, envelope, files, clock.wallMs()), spool, files)
    const sinceMs = clock.monotonicMs()
    const result = await chain.run(envelope.queueId, pair, sinceMs + deadlineMs)
    reports.push(reportOn(message, result, clock.monotonicMs() - sinceMs))
  }
  return reports
}

function reportOn(message: string, { outcome, failure, staging }: RunResult, ms: number): Report {
  const verdict = failure === null ? (outcome?.verdict ?? null) : null
  return {
    message,
    filters: (outcome?.trail ?? [])
      .map(({ filter, outcome: said }) => (said === 'pass' ? filter : `${filter}:${said}`))
      .join(' '),
    verdict: failure === null ? (verdict?.kind ?? 'pass') : `failed (${failure.kind})`,
    reply: verdict === null || verdict.kind === 'pass' ? '' : replyLines(verdict.reply).join(' / '),
    ms: Math.round(ms * 10) / 10,
    failure: failure === null ? null : `${failure.filter === null ? '' : `${failure.filter}: `}${failure.text}`,
    trail: outcome?.trail ?? [],
    notes: Object.fromEntries(outcome?.notes ?? []),
    additions: staging?.list() ?? [],
  }
}

function table(reports: readonly Report[]): string {
  const rows = reports.map(({ message, filters, verdict, ms, reply, failure }) => [
    ...[message, filters, verdict, ms.toFixed(1)],
    failure ?? reply,
  ])
  return formatTable(['message', 'filters', 'verdict', 'ms', 'reply or cause'], rows)
}

/** What the table has no room for: why a filter failed that may, what one on trial would have answered, what is added to queues. */
function remarks({ message, failure, trail, additions }: Report): string[] {
  const added = additions.map(
    ({ filter, queue, octets }) =>
      `${message}: ${filter} would add ${octets} octets to the queue ${JSON.stringify(queue)}\n`,
  )
  const said = trail.flatMap(({ filter, outcome, dryRun, text }) => {
    if (text === null || (failure !== null && outcome === 'failed' && !dryRun)) return []
    const said = outcome === 'failed' ? `failed, which it may: ${text}` : `would have answered: ${text}`
    return [`${message}: ${filter}${dryRun ? ', on trial,' : ''} ${said}\n`]
  })
  return [...said, ...added]
}

function readProblem(file: string): string | null {
  try {
    accessSync(file, constants.R_OK)
    return statSync(file).isDirectory() ? `${file} is a folder; name the messages in it` : null
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : file
  }
}
