/**
 * The benchmark of the message reader: a mail's parts and the names of its attachments, beside `mailsplit` and
 * `simpleParser` in the same run, and its header section alone.
 *
 *     npm run bench:messages                  some eighty seconds
 *     npm run bench:messages:here -- --help   its options
 *
 * docs/benchmarks.md says how to read the result.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeHome, removeHome } from '../examples/lib/host-process.ts'
import { formatTable } from '../host/cli/table.ts'
import { attachmentName, writeMail } from './message-mails.ts'
import type { MethodName } from './message-methods.ts'
import {
  messageCells,
  messageHeading,
  messageTargetHeading,
  messageTargets,
  rowOf,
  type MessageRow,
} from './message-figures.ts'
import type { Turn, TurnResult } from './message-worker.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5))
const seconds = Number(options.seconds ?? (options.quick ? 0.2 : 0.5))

const help = `usage: npm run bench:messages:here -- [OPTION]...

  --quick             two short rounds: a look, not a measurement
  --json              one JSON object instead of the table
  --check             says also which goals are met
  --rounds N          rounds, in each of which every method has its turn (${rounds})
  --seconds S         length of a turn (${seconds}); each has one such turn, four times as long, before the first round
`

/** The names of the files are those that the table shows. */
const mails = [
  { mail: '600 KB', octets: 600_000, lineEnd: '\r\n' },
  { mail: '600 KB LF', octets: 600_000, lineEnd: '\n' },
  { mail: '50 MB', octets: 50_000_000, lineEnd: '\r\n' },
  { mail: '50 MB LF', octets: 50_000_000, lineEnd: '\n' },
] as const
const smallMail = '1 KB'
const headerMails = [smallMail, '600 KB', '50 MB']
const partsMethods: readonly MethodName[] = ['reader', 'mailsplit', 'simpleParser']

if (options.help) process.stdout.write(help)
else await benchmark()

/** A process that reads one mail by one method. */
interface Reader {
  readonly child: ChildProcess
  /** A turn's times. Errors: Error where the mail could not be read, or something else was found in it. */
  take(turn: Turn): Promise<Exclude<TurnResult, { readonly failure: string }>>
}

async function benchmark(): Promise<void> {
  if (!(rounds > 0) || !(seconds > 0)) throw new Error('a number among the options cannot be used; see --help')
  const home = makeHome('nf-bench-')
  try {
    writeMail(join(home, smallMail), 1000, '\r\n')
    for (const { mail, octets, lineEnd } of mails) writeMail(join(home, mail), octets, lineEnd)
    const rows: MessageRow[] = []
    for (const { mail } of mails) {
      note(`parts of ${mail}`)
      rows.push(
        ...(await measure(
          home,
          partsMethods.map((method) => ({ method, mail })),
        )),
      )
    }
    note('header sections')
    rows.push(
      ...(await measure(
        home,
        headerMails.map((mail) => ({ method: 'header', mail })),
      )),
    )
    report(rows)
  } finally {
    removeHome(home)
  }
}

/** Lets each of them have its turn, round after round: a row each, beside the first one. */
async function measure(
  home: string,
  jobs: readonly { readonly method: MethodName; readonly mail: string }[],
): Promise<MessageRow[]> {
  const readers = jobs.map(({ method, mail }) => startReader(method, mail, home))
  try {
    const runs = readers.map(() => [] as number[][])
    const firstGrown: (number | null)[] = []
    const grown: (number | null)[] = []
    for (const reader of readers) {
      firstGrown.push((await reader.take({ seconds: 0, atLeast: 1 })).grownOctets)
      await reader.take({ seconds: seconds * 4, atLeast: 3 })
    }
    for (let round = 0; round < rounds; round++) {
      for (const [index, reader] of readers.entries()) {
        const { timesMs, grownOctets } = await reader.take({ seconds, atLeast: 1 })
        runs[index]?.push([...timesMs])
        grown[index] = grownOctets
      }
    }
    return jobs.map((job, index) =>
      rowOf(job, runs[index] ?? [], runs[0] ?? [], {
        firstOctets: firstGrown[index] ?? null,
        mostOctets: grown[index] ?? null,
      }),
    )
  } finally {
    for (const { child } of readers) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
  }
}

function startReader(method: MethodName, mail: string, home: string): Reader {
  const child = fork(join(import.meta.dirname, 'message-worker.ts'), [method, join(home, mail), join(home, smallMail)])
  let answer: (result: TurnResult) => void = () => undefined
  child.on('message', (result) => answer(result as TurnResult))
  child.once('exit', () => answer({ failure: 'its process ended' }))
  return {
    child,
    take: async (turn) => {
      const result = await new Promise<TurnResult>((resolve) => {
        answer = resolve
        child.send(turn)
      })
      if ('failure' in result) throw new Error(`${method}, ${mail}: ${result.failure}`)
      if (method !== 'header' && result.found !== attachmentName) {
        throw new Error(`${method} found other names in the mail of ${mail}: ${JSON.stringify(result.found)}`)
      }
      return result
    },
  }
}

function report(rows: readonly MessageRow[]): void {
  const machine = { node: process.version, cores: availableParallelism(), rounds, seconds }
  if (options.json) return void process.stdout.write(`${JSON.stringify({ machine, rows }, null, 2)}\n`)
  process.stdout.write(formatTable(messageHeading, rows.map(messageCells)))
  process.stdout.write(`Node ${machine.node}, ${machine.cores} cores, ${rounds} x ${seconds} s a row.\n`)
  if (options.check) process.stdout.write(`\n${formatTable(messageTargetHeading, messageTargets(rows))}`)
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
