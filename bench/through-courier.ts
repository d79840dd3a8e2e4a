/**
 * What a real Courier loses by the host: messages accepted a second with it, in parts of those without any filter.
 *
 *     npm run bench:courier                  as root on a throw-away Debian; some five minutes
 *     node bench/through-courier.ts --help   its options
 *
 * docs/benchmarks.md says how to read the result.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeHome, removeHome } from '../examples/lib/host-process.ts'
import { formatTable } from '../host/cli/table.ts'
import type { HostStatus } from '../host/control/status.ts'
import { until } from '../test/helpers/until.ts'
import { awaitEmptyQueue, cleanQueue, courier, courierObstacle, holdDeliveries } from '../test/system/courier-server.ts'
import { mustRun } from '../test/system/program.ts'
import { openCourierStage, type CourierStage } from '../test/system/stage.ts'
import { median, quantile } from './figures.ts'
import { startLogDaemon, type LogDaemon } from './log-daemon.ts'
import { childrenOf, cpuMs, machineCpuMs } from './process-facts.ts'
import { sendOnSessions, type SmtpRun } from './smtp-sessions.ts'

const filters = ['noduplicates', 'whitelist_auth', 'whitelist_block', 'deliveredto', 'nosuccessdsn']
const leastRatio = 0.95
const isSettled = / settled .* verdict=pass /

const cpuHeading = ['µs of CPU a message', 'whole machine', 'host', 'runner', 'logging', 'this client']

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '10' },
    sessions: { type: 'string', default: '8' },
    messages: { type: 'string', default: '250' },
    deliver: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [pairs, sessions, messages] = [options.pairs, options.sessions, options.messages].map(Number) as [
  number,
  number,
  number,
]

const help = `usage: node bench/through-courier.ts [OPTION]...

  --pairs N      so many runs with the filters, and as many without (${pairs})
  --sessions N   SMTP sessions at once (${sessions})
  --messages N   messages on each session, a run (${messages})
  --deliver      Courier delivers what it accepts meanwhile, to a Maildir; else the mail waits, and is removed
  --json         one JSON object instead of the table
`

/** The processes whose CPU time is told. */
interface Parts {
  readonly host: readonly number[]
  readonly runner: readonly number[]
  /** Courier's own logger for its filters, and the log daemon. */
  readonly log: readonly number[]
  /** This process. */
  readonly client: readonly number[]
}

/** One run: what the client saw, and the CPU time of one message, in ms; `machine` is all that was used meanwhile. */
interface Measured extends SmtpRun {
  readonly cpu: Readonly<Record<keyof Parts | 'machine', number>>
}

interface MeasuredPair {
  readonly without: Measured
  readonly with: Measured
}

const obstacle = courierObstacle()
if (options.help) process.stdout.write(help)
else if (obstacle !== null) throw new Error(`this machine cannot be used: ${obstacle}`)
else await benchmark()

async function benchmark(): Promise<void> {
  if ([pairs, sessions, messages].some((number) => !(number > 0))) {
    throw new Error('a number among the options cannot be used; see --help')
  }
  const home = makeHome('nf-courier-')
  const stage = await openCourierStage()
  const log = await startLogDaemon(join(home, 'log'))
  const door = openDoor()
  try {
    await stage.serve({ list: filters })
    if (!options.deliver) await holdDeliveries()
    const parts = await partsOf(stage, log)
    const run = async (filtered: boolean): Promise<Measured> => {
      door.set(filtered)
      return await measure(stage, log, parts, filtered)
    }
    note('warming up')
    for (const filtered of [true, false]) await run(filtered)
    const found: MeasuredPair[] = []
    for (let pair = 0; pair < pairs; pair++) {
      // In turns, so that neither always has the machine as the other left it.
      const first = pair % 2 === 1
      const results = [await run(first), await run(!first)] as const
      const [filtered, bare] = first ? results : ([results[1], results[0]] as const)
      found.push({ with: filtered, without: bare })
      note(`pair ${pair + 1}: ${filtered.perSecond.toFixed(0)} and ${bare.perSecond.toFixed(0)} messages/s`)
    }
    report(found)
  } finally {
    door.close()
    await stage.close()
    await log.stop()
    removeHome(home)
  }
}

/**
 * Takes the host's socket out of Courier's sight and back, while the host stays warm: a Courier that sees no socket has no
 * filter.
 */
function openDoor(): { set(filtered: boolean): void; close(): void } {
  const aside = join(courier.spool, 'nodefilter-bench')
  const [seen, unseen] = [join(courier.sockets, 'nodefilter'), join(aside, 'nodefilter')]
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { mode: 0o700 })
  let isSeen = true
  const set = (filtered: boolean): void => {
    if (filtered !== isSeen) renameSync(filtered ? unseen : seen, filtered ? seen : unseen)
    isSeen = filtered
  }
  return {
    set,
    close: () => {
      set(true)
      rmSync(aside, { recursive: true, force: true })
    },
  }
}

async function measure(stage: CourierStage, log: LogDaemon, parts: Parts, filtered: boolean): Promise<Measured> {
  const settledBefore = log.count(isSettled)
  // What the run before left to be written is no business of this one.
  await mustRun('sync', [])
  const before = cpuOf(parts)
  const sent = await sendOnSessions({
    ...{ port: courier.port, localAddress: '127.0.0.2', sessions, messages },
    ...{ from: 'sender@example.com', to: `${courier.user}@${courier.domain}`, message: mail() },
  })
  const after = cpuOf(parts)
  if (options.deliver) {
    await awaitEmptyQueue(300_000)
    stage.maildir.empty()
  } else cleanQueue()
  const count = sent.dataMs.length
  await checkFiltered(log, settledBefore, filtered ? count : 0)
  const each = Object.entries(after).map(([part, ms]) => [part, (ms - before[part as keyof typeof before]) / count])
  return { ...sent, cpu: Object.fromEntries(each) as Measured['cpu'] }
}

/** Errors: Error unless the host settled as many messages as were sent to it, and passed each. */
async function checkFiltered(log: LogDaemon, before: number, count: number): Promise<void> {
  const isThere = (): boolean => log.count(isSettled) - before >= count
  await until(`${count} filtered messages in the log`, isThere, 10_000, 100)
  const found = log.count(isSettled) - before
  if (found !== count) throw new Error(`${found} messages were filtered, and not ${count}`)
}

async function partsOf({ nodefilter }: CourierStage, log: LogDaemon): Promise<Parts> {
  const { output } = await nodefilter.run(['status', '--json', '-c', nodefilter.configDirectory])
  const { pid } = JSON.parse(output) as HostStatus
  const loggers = (await mustRun('pgrep', ['-x', 'courierlogger'])).trim().split('\n').map(Number)
  return { host: [pid], runner: childrenOf(pid), log: [...loggers, log.pid], client: [process.pid] }
}

/** CPU time so far, in ms. */
function cpuOf({ host, runner, log, client }: Parts): Measured['cpu'] {
  const sum = (pids: readonly number[]): number => pids.reduce((all, pid) => all + (cpuMs(pid) ?? 0), 0)
  return { host: sum(host), runner: sum(runner), log: sum(log), client: sum(client), machine: machineCpuMs() }
}

/** Some 1 KB. */
function mail(): string {
  const head = ['From: <sender@example.com>', `To: <${courier.user}@${courier.domain}>`, 'Subject: benchmark', '', '']
  const line = 'All work and no play makes this a dull message, seventy octets a line.\n'
  return head.join('\n') + line.repeat(13)
}

function report(found: readonly MeasuredPair[]): void {
  const ratios = found.map((pair) => pair.with.perSecond / pair.without.perSecond)
  const middle = median(ratios)
  if (options.json) process.stdout.write(`${JSON.stringify({ options, found, ratios, median: middle })}\n`)
  else {
    const heading = ['pair', 'with /s', 'without /s', 'ratio', 'DATA p50 ms', 'without', 'p99 ms', 'without']
    const cells = (pair: MeasuredPair): string[] => [
      ...[pair.with, pair.without].map(({ perSecond }) => perSecond.toFixed(0)),
      (pair.with.perSecond / pair.without.perSecond).toFixed(3),
      ...[0.5, 0.99].flatMap((share) =>
        [pair.with, pair.without].map(({ dataMs }) => quantile(dataMs, share).toFixed(2)),
      ),
    ]
    process.stdout.write(
      formatTable(
        heading,
        found.map((pair, index) => [String(index + 1), ...cells(pair)]),
      ),
    )
    process.stdout.write('\n')
    process.stdout.write(
      formatTable(
        cpuHeading,
        (['with', 'without'] as const).map((side) => cpuRow(found, side)),
      ),
    )
  }
  const quartile = (share: number): string => quantile(ratios, share).toFixed(3)
  const spread = `quartiles ${quartile(0.25)} and ${quartile(0.75)}, ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`
  const isMet = middle >= leastRatio
  const words = `median ratio ${middle.toFixed(3)} (${spread}), to be at least ${leastRatio}`
  process.stderr.write(`${isMet ? 'met' : 'NOT MET'}: ${words}\n`)
}

function cpuRow(found: readonly MeasuredPair[], side: keyof MeasuredPair): string[] {
  const parts = ['machine', 'host', 'runner', 'log', 'client'] as const
  const us = (part: keyof Measured['cpu']): string =>
    (median(found.map((pair) => pair[side].cpu[part])) * 1000).toFixed(0)
  return [`${side} the filters`, ...parts.map(us)]
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
