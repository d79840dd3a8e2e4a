/**
 * The demonstration: a host in a folder of its own, asked about the messages of `examples/messages` as Courier would.
 *
 *     npm run demo
 *
 * Exit status: 0 if every message got the verdict that is written beside it below, and the host stopped cleanly; else 1.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readRecipients } from '../courier-compat/index.ts'
import { askFilter, courierVerdict, replyLines, requestFor } from './lib/courier-client.ts'
import { makeHome, removeHome, startHost, type HostProcess } from './lib/host-process.ts'
import { filtersThatRan, readSettled } from './lib/settled.ts'
import { spoolMessage, type SpooledPair, type Submission } from './lib/spool-files.ts'
import { formatWrappedTable } from './lib/wrapped-table.ts'

const folder = import.meta.dirname

/** Two hundred people and the secretary, whom two aliases lead to. */
const everybody = [...Array.from({ length: 200 }, (_, n) => `user${n + 1}@example.org`), 'user1@example.org']

/** What all filters say of a message that none of them minds. */
const all = 'noduplicates whitelist_auth size_limit refuse_subject throws never_ends'
const before = (filter: string): string => all.slice(0, all.indexOf(filter))
const tryAgain = (why: string): RegExp => new RegExp(`^451 4\\.3\\.0 Local policy check ${why}, try again later \\(`)

/** A message, what else its client said, and what must become of it. `recipientsLeft`: after the filters. */
interface Sample {
  readonly name: string
  readonly envelope?: Partial<Submission>
  readonly filters: string
  readonly reply: RegExp
  readonly recipientsLeft?: number
}

const samples: readonly Sample[] = [
  { name: 'plain', filters: all, reply: /^200 Ok$/ },
  { name: 'attachment', filters: all, reply: /^200 Ok$/ },
  {
    name: 'authenticated',
    envelope: { authUser: 'carla', sender: 'carla@example.org', recipients: ['dora@example.net'] },
    filters: 'noduplicates whitelist_auth:accept',
    reply: /^200 Ok$/,
  },
  {
    name: 'many-recipients',
    envelope: { recipients: everybody },
    filters: all,
    reply: /^200 Ok$/,
    recipientsLeft: 200,
  },
  { name: 'broken-mime', filters: all, reply: /^200 Ok$/ },
  {
    name: 'refused',
    filters: `${before('refuse_subject')}refuse_subject:reject`,
    reply: /^550 5\.7\.1 Mail with this/,
  },
  { name: 'throws', filters: `${before('throws')}throws:threw`, reply: tryAgain('failed') },
  { name: 'never-ends', filters: `${before('never_ends')}never_ends:late`, reply: tryAgain('took too long') },
  // The thread is ended, and with it what it knew of the filters before.
  { name: 'endless-loop', filters: 'never_ends:blocked', reply: tryAgain('took too long') },
]

process.exitCode = await demonstrate()

async function demonstrate(): Promise<number> {
  const home = makeHome('nf-demo-')
  try {
    const startedMs = performance.now()
    const host = await startHost({
      configDirectory: join(folder, 'config'),
      filterDirectory: join(folder, 'filters'),
      home,
      logsJson: true,
    })
    print(`The host answers at ${host.socketPath}, ${Math.round(performance.now() - startedMs)} ms after its start.\n`)
    const answers: Answer[] = []
    try {
      // One after the other, so that the milliseconds are each message's own.
      for (const sample of samples) answers.push(await ask(host, sample))
    } finally {
      const status = await host.stop()
      if (status !== 0) throw new Error(`the host ended with ${status === null ? 'a signal' : `status ${status}`}`)
    }
    return report(answers, host)
  } finally {
    removeHome(home)
  }
}

interface Answer {
  readonly sample: Sample
  readonly pair: SpooledPair
  readonly reply: string
  readonly recipientsLeft: number
}

async function ask(host: HostProcess, sample: Sample): Promise<Answer> {
  const submission: Submission = {
    message: readFileSync(join(folder, 'messages', `${sample.name}.eml`)),
    ...{ sender: 'ada@example.com', recipients: ['bea@example.org'], authUser: null },
    ...{ clientIp: '203.0.113.9', helo: 'client.example.com' },
    ...sample.envelope,
  }
  const pair = spoolMessage(host.spoolDirectory, submission, samples.indexOf(sample) + 1, new Date())
  const reply = await askFilter(host.socketPath, requestFor(pair))
  return { sample, pair, reply, recipientsLeft: readRecipients(pair.controlPaths).filter(({ done }) => !done).length }
}

function report(answers: readonly Answer[], host: HostProcess): number {
  const settled = readSettled(host.jsonLog)
  const surprises: string[] = []
  const rows = answers.map(({ sample, pair, reply, recipientsLeft }) => {
    const line = settled.get(pair.queueId)
    const filters = line === undefined ? '(not in the log)' : filtersThatRan(line)
    const heard = replyLines(reply).join(' / ')
    if (filters !== sample.filters) surprises.push(`${sample.name}: these filters should have run: ${sample.filters}`)
    if (!sample.reply.test(heard)) surprises.push(`${sample.name}: the reply should be like ${String(sample.reply)}`)
    if (sample.recipientsLeft !== undefined && recipientsLeft !== sample.recipientsLeft)
      surprises.push(`${sample.name}: ${sample.recipientsLeft} recipients should be left, not ${recipientsLeft}`)
    return [sample.name, filters, `${courierVerdict(reply)}: ${heard}`, (line?.ms ?? 0).toFixed(1)]
  })
  const heading = ['message', 'filters that ran', 'verdict', 'ms']
  print(formatWrappedTable(heading, rows, [1, 2], process.stdout.isTTY ? process.stdout.columns : Infinity))
  print('A filter named alone had no objection; after a colon stands its verdict, or how it failed.')
  const many = answers.find(({ sample }) => sample.recipientsLeft !== undefined)
  if (many !== undefined)
    print(`many-recipients came with ${everybody.length} recipients, of whom noduplicates left ${many.recipientsLeft}.`)
  if (surprises.length > 0) {
    for (const surprise of surprises) print(`WRONG  ${surprise}`)
    print('\nWhat the host complained of:')
    for (const line of readFileSync(host.textLog, 'utf8').split('\n'))
      if (/^(ERR: |WARN: (?!settled))/.test(line)) print(line)
    return 1
  }
  print(`${answers.length} messages, each with the verdict it should have; the host stopped cleanly.`)
  print('\nRead on: examples/README.md, and from there the configuration and the filters that just ran.')
  return 0
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
