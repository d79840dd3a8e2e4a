/** `nodefilter explain`: what the log knows about a message, told in sentences. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { configDirectories, findConfigDirectory, readConfiguration } from '../config/read.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { findCourier } from './courier/layout.ts'
import { createCollector, type Found } from './explain/collect.ts'
import { partsOfLog } from './explain/log-files.ts'
import { openLogFile, readLines } from './explain/log-lines.ts'
import { preferred, tellStory, type Told } from './explain/story.ts'
import { usageError } from './usage.ts'
import { asciiJson, visible, wrap } from './wrap.ts'

const help = `usage: nodefilter explain [OPTION]... MSGID

Tells in sentences what the log knows about a message: when it came and from whom, which filters ran, what each said and
how long it took, what was answered and why, what failed and what that means; and Courier's own lines about it.

MSGID is Courier's queue id (control record M, also in the message's Received field) or nodefilter's own id, as they stand
in the log; or the beginning of one.

      --log FILE     a log to look in, JSON lines or a system log; may be given again. Its older parts (FILE.1,
                     FILE.2.gz, FILE-20261121) are looked at as well. Default: the file of [log] file, then the first
                     that exists of ${['/var/log/mail.log', '/var/log/maillog', '/var/log/syslog', '/var/log/messages'].join(', ')},
                     else the journal
  -c, --config DIR   folder of nodefilter.conf (default: as for "nodefilter run")
      --json         the events and Courier's lines as one JSON object

Exit status: 0 found; 64 wrong usage; 65 more than one message's id begins like that; 66 nothing was found.
`

/** What the command uses of the machine, so that tests can put something else in its place. */
export interface ExplainMachine {
  /** System logs to look in where none is named: the first that exists counts. */
  readonly systemLogs: readonly string[]
  /** Opens the journal; `null` where there is none. */
  readonly openJournal: () => Promise<Readable | null>
  /** `sysconfdir` of Courier, for its folder of configuration; `null` where there is none. */
  readonly sysconfdir: (env: NodeJS.ProcessEnv) => Promise<string | null>
  /** Standard error is a terminal, on which a word about progress does not disturb. */
  readonly isTerminal: () => boolean
  readonly nowMs: () => number
}

/** The command on this machine. */
export const explainCommand: Command = createExplainCommand({
  systemLogs: ['/var/log/mail.log', '/var/log/maillog', '/var/log/syslog', '/var/log/messages'],
  openJournal,
  sysconfdir: async (env) => {
    const courier = await findCourier({ env })
    return courier.found ? courier.sysconfdir : null
  },
  isTerminal: () => process.stderr.isTTY,
  nowMs: () => performance.now(),
})

/** How long the search may take before it says that it goes on. */
const quietMs = 2000
/** So many lines are read between two looks at the clock. */
const linesBetween = 50_000
const maxListed = 10

/** The command on any machine. */
export function createExplainCommand(machine: ExplainMachine): Command {
  return {
    name: 'explain',
    summary: 'tell what the log knows about a message',
    help,
    run: async (args, io) => {
      const order = readArguments(args, io)
      if (typeof order === 'number') return order
      const { found, places } = await search(order, machine, io)
      const messages = joined(found)
      const [message] = messages
      if (message === undefined) {
        const looked = places.length === 0 ? 'No log was found to look in.' : `Looked in ${places.join(', ')}.`
        io.err(`nodefilter explain: nothing is known of ${visible(order.wanted)}. ${looked}\n`)
        return exitCodes.noInput
      }
      if (messages.length > 1) {
        const listed = messages
          .slice(0, maxListed)
          .map(({ queueId, ids }) => `  ${[queueId, ...ids].filter(Boolean).join('  ')}\n`)
        const more = messages.length > maxListed ? `  and ${messages.length - maxListed} more\n` : ''
        io.err(`nodefilter explain: the ids of ${messages.length} messages begin with ${visible(order.wanted)}:\n`)
        io.err(`${listed.join('')}${more}`)
        return exitCodes.dataErr
      }
      io.out(order.json ? asJson(message) : asText(message))
      return exitCodes.ok
    },
  }
}

interface Order {
  readonly wanted: string
  readonly logs: readonly string[]
  readonly config: string | null
  readonly json: boolean
}

function readArguments(args: readonly string[], io: CommandIo): Order | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        log: { type: 'string', multiple: true, default: [] },
        config: { type: 'string', short: 'c' },
        json: { type: 'boolean', default: false },
      },
    })
    const [wanted, ...rest] = positionals
    if (wanted === undefined || rest.length > 0) return usageError(io, 'explain', 'give the id of one message')
    if (!/^[0-9A-Za-z._-]{4,200}$/.test(wanted)) {
      return usageError(io, 'explain', 'an id has letters, digits and dots, and at least four of them must be given')
    }
    return { wanted, logs: values.log.map((file) => resolve(file)), config: values.config ?? null, json: values.json }
  } catch (thrown) {
    return usageError(io, 'explain', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

/** One thing to read. */
interface Source {
  readonly place: string
  readonly open: () => Readable | Promise<Readable | null>
}

async function search(
  order: Order,
  machine: ExplainMachine,
  io: CommandIo,
): Promise<{ readonly found: readonly Found[]; readonly places: readonly string[] }> {
  const logs = await logsOf(order, machine, io)
  const places: string[] = []
  let found: Found[] = []
  for (const parts of logs) {
    const here = await searchLog(parts, order.wanted, machine, io, places)
    found = [...found, ...here]
  }
  // Found by our id, Courier's lines and the filters' own name Courier's id alone: those are still to be found.
  const [only, ...others] = joined(found)
  if (only === undefined || others.length > 0 || only.queueId === null || only.queueId.startsWith(order.wanted)) {
    return { found, places }
  }
  const again: Found[] = []
  for (const parts of logs) again.push(...(await searchLog(parts, only.queueId, machine, io, [])))
  return { found: again.length === 0 ? found : again, places }
}

/** The logs, each with its parts, the newest first. */
async function logsOf(order: Order, machine: ExplainMachine, io: CommandIo): Promise<Source[][]> {
  const fileSources = (file: string): Source[] =>
    partsOfLog(file).map((path) => ({ place: path, open: () => openLogFile(path) }))
  if (order.logs.length > 0) {
    return order.logs.map((file) => {
      const sources = fileSources(file)
      return sources.length > 0 ? sources : [{ place: file, open: () => openLogFile(file) }]
    })
  }
  const folders = order.config === null ? configDirectories(await machine.sysconfdir(io.env)) : [order.config]
  const { remaining } = readConfiguration({ directory: findConfigDirectory(folders), sets: [] })
  const own = remaining.log.file === null ? [] : fileSources(remaining.log.file)
  const system = machine.systemLogs.map(fileSources).find((sources) => sources.length > 0)
  return [own, system ?? [{ place: 'the journal', open: machine.openJournal }]].filter((sources) => sources.length > 0)
}

async function searchLog(
  parts: readonly Source[],
  wanted: string,
  machine: ExplainMachine,
  io: CommandIo,
  places: string[],
): Promise<Found[]> {
  const found: Found[][] = []
  for (const { place, open } of parts) {
    const collector = createCollector(wanted)
    try {
      const stream = await open()
      if (stream === null) continue
      await readLines(
        stream,
        withProgress((line) => collector.take(line), place, machine, io),
      )
      places.push(place)
    } catch (thrown) {
      const code = (thrown as NodeJS.ErrnoException).code ?? ''
      const why =
        code === 'EACCES' ? 'permission denied' : code === 'ENOENT' ? 'there is no such file' : messageOf(thrown)
      places.push(`${place} (not to its end: ${why})`)
    }
    const here = collector.found()
    // A message seldom spans more than two parts; the beginning of an id may be that of others in any part.
    const isWhole = found.flat().some(({ queueId, ids }) => queueId === wanted || ids.includes(wanted))
    found.unshift([...here])
    if (isWhole && here.length === 0) break
  }
  return found.flat()
}

function withProgress(
  take: (line: string) => void,
  place: string,
  { isTerminal, nowMs }: ExplainMachine,
  io: CommandIo,
): (line: string) => void {
  if (!isTerminal()) return take
  let [count, nextMs] = [0, nowMs() + quietMs]
  return (line) => {
    take(line)
    if (++count % linesBetween !== 0 || nowMs() < nextMs) return
    io.err(`${place}: ${count} lines read\n`)
    nextMs = nowMs() + quietMs
  }
}

/** What was found in several files, joined by message. */
function joined(found: readonly Found[]): Found[] {
  const messages: Found[] = []
  for (const part of found) {
    const at = messages.findIndex(
      (other) =>
        (part.queueId !== null && other.queueId === part.queueId) || part.ids.some((id) => other.ids.includes(id)),
    )
    const other = messages[at]
    if (other === undefined) messages.push(part)
    else {
      messages[at] = {
        queueId: other.queueId ?? part.queueId,
        ids: [...new Set([...other.ids, ...part.ids])],
        entries: [...other.entries, ...part.entries],
      }
    }
  }
  return messages
}

function asText(message: Found): string {
  const { queueId, ids } = message
  const names = [
    ...(queueId === null ? [] : [`Courier's id ${queueId}`]),
    ...(ids.length === 0 ? [] : [`nodefilter's id ${ids.join(', ')}`]),
  ]
  const line = ({ time, text }: Told): string => wrap(visible(time === '' ? text : `${time} ${text}`), 100).join('\n')
  return [names.join(', '), '', ...tellStory(message).map(line), ''].join('\n')
}

function asJson({ queueId, ids, entries }: Found): string {
  const events = preferred(entries).map(({ time, event }) => ({
    ...{ time, level: event.level, event: event.event },
    ...{ fields: event.fields, isCut: event.isCut },
  }))
  const courier = entries.flatMap((entry) =>
    entry.from === 'courier' ? [{ time: entry.time, program: entry.program, text: entry.text }] : [],
  )
  return `${asciiJson({ queueId, ids, events, courier }, 2)}\n`
}

/** The journal's lines of the mail facility, as a system log has them. */
function openJournal(): Promise<Readable | null> {
  return new Promise((resolve) => {
    const child = spawn('journalctl', ['--quiet', '--no-pager', '--output=short-iso', 'SYSLOG_FACILITY=2'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    child.once('error', () => resolve(null))
    child.once('spawn', () => resolve(child.stdout))
  })
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
