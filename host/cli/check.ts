/** `nodefilter check`: the chain over message files, without a mail server. */
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIP } from 'node:net'
import { parseArgs } from 'node:util'
import { replyLines } from '../../courier-compat/reply.ts'
import { configDirectories, findConfigDirectory, readConfiguration } from '../config/read.ts'
import { formatProblem } from '../problem.ts'
import { supervisorPlan } from '../daemon.ts'
import { createEvents } from '../observe/events.ts'
import { openLog } from '../observe/log.ts'
import { openPair, openSpool } from '../pair.ts'
import { systemPlatform } from '../platform/platform.ts'
import { openLineServer } from '../runner/line-server.ts'
import { startSupervisor } from '../runner/supervisor.ts'
import { writePair } from '../spool.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { formatTable } from './table.ts'
import { usageError } from './usage.ts'

const help = `usage: nodefilter check [OPTION]... MESSAGE...

Runs the filter chain over message files (RFC 5322, LF or CRLF) and shows what each filter said. No mail server is
needed, nothing is sent, and the files are not changed: the filters work on copies.

  -c, --config DIR     folder of nodefilter.conf and filters.conf (default: as for "nodefilter run")
      --set SECTION.KEY=VALUE   one setting; may be given again
      --from ADDRESS   envelope sender; '' for the null sender (default: sender@example.com)
      --to ADDRESS     envelope recipient; may be given again (default: recipient@example.org)
      --ip ADDRESS     the client's address (default: 192.0.2.1)
      --auth NAME      as if the client had authenticated under this name
      --json           one JSON object a message instead of the table
      --verbose        the filters' own log lines on standard error

Exit status: 0 every message got a verdict, whichever it was; 64 wrong usage; 66 a message cannot be read; 75 a message
could not be decided because something failed; 78 the configuration or a filter is broken.
`

/** The command. */
export const checkCommand: Command = {
  name: 'check',
  summary: 'run the filters over message files and show what they say',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    for (const file of options.messages) {
      try {
        accessSync(file, constants.R_OK)
      } catch (thrown) {
        io.err(`nodefilter check: ${thrown instanceof Error ? thrown.message : file}\n`)
        return exitCodes.noInput
      }
    }
    const work = mkdtempSync(join(tmpdir(), 'nodefilter-check-'))
    try {
      return await check(options, work, io)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  },
}

interface CheckOptions {
  readonly messages: readonly string[]
  readonly config: string | undefined
  readonly set: readonly string[]
  readonly from: string
  readonly to: readonly string[]
  readonly ip: string
  readonly auth: string | null
  readonly json: boolean
  readonly verbose: boolean
}

function parseOptions(args: readonly string[], io: CommandIo): CheckOptions | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        from: { type: 'string', default: 'sender@example.com' },
        to: { type: 'string', multiple: true, default: ['recipient@example.org'] },
        ip: { type: 'string', default: '192.0.2.1' },
        auth: { type: 'string' },
        json: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
      },
    })
    if (positionals.length === 0) return usageError(io, 'check', 'name at least one message file')
    if (isIP(values.ip) === 0) return usageError(io, 'check', `"${values.ip}" is not an IP address`)
    return { ...values, config: values.config, auth: values.auth ?? null, messages: positionals }
  } catch (thrown) {
    return usageError(io, 'check', thrown instanceof Error ? thrown.message : String(thrown))
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
  readonly trail: readonly unknown[]
  readonly notes: Readonly<Record<string, string>>
}

async function check(options: CheckOptions, work: string, io: CommandIo): Promise<number> {
  const platform = systemPlatform
  const { clock, files } = platform
  const directory = options.config ?? findConfigDirectory(configDirectories(null))
  const configuration = readConfiguration({ directory, sets: options.set })
  for (const warning of configuration.warnings) io.err(`warning: ${formatProblem(warning)}\n`)
  const broken = (problems: readonly Parameters<typeof formatProblem>[0][]): number => {
    for (const problem of problems) io.err(`${formatProblem(problem)}\n`)
    return exitCodes.config
  }
  const { settings } = configuration
  if (configuration.problems.length > 0 || settings === null) return broken(configuration.problems)

  const level = options.verbose ? 'info' : 'error'
  const log = openLog({ level, textDescriptor: 2, jsonFile: null, maxBufferOctets: settings.log.maxBuffer }, clock)
  const lines = await openLineServer(join(work, 'threads.sock'), files)
  const supervisor = startSupervisor(
    supervisorPlan(settings, configuration, join(work, 'state'), ''),
    lines,
    platform,
    createEvents(log),
  )
  try {
    const state = await supervisor.ready
    if (state.kind === 'broken') return broken(state.problems.map((problem) => ({ ...problem, column: null })))
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
      const { outcome, failure } = await supervisor.run(envelope.queueId, pair, sinceMs + settings.host.deadline)
      const verdict = failure === null ? (outcome?.verdict ?? null) : null
      reports.push({
        message,
        filters: (outcome?.trail ?? [])
          .map(({ filter, outcome: said }) => (said === 'pass' ? filter : `${filter}:${said}`))
          .join(' '),
        verdict: failure === null ? (verdict?.kind ?? 'pass') : `failed (${failure.kind})`,
        reply: verdict === null || verdict.kind === 'pass' ? '' : replyLines(verdict.reply).join(' / '),
        ms: Math.round((clock.monotonicMs() - sinceMs) * 10) / 10,
        failure: failure === null ? null : `${failure.filter === null ? '' : `${failure.filter}: `}${failure.text}`,
        trail: outcome?.trail ?? [],
        notes: Object.fromEntries(outcome?.notes ?? []),
      })
    }
    if (options.json) for (const report of reports) io.out(`${JSON.stringify(report)}\n`)
    else io.out(table(reports))
    return reports.some(({ failure }) => failure !== null) ? exitCodes.tempFail : exitCodes.ok
  } finally {
    await supervisor.drain(2000)
    lines.close()
    await log.close(500)
  }
}

function table(reports: readonly Report[]): string {
  const rows = reports.map(({ message, filters, verdict, ms, reply, failure }) => [
    message,
    filters,
    verdict,
    ms.toFixed(1),
    failure ?? reply,
  ])
  return formatTable(['message', 'filters', 'verdict', 'ms', 'reply or cause'], rows)
}
