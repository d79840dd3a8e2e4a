/**
 * The benchmark of the Courier door: messages a second, in parts of what a bare server does in the same run.
 *
 *     npm run bench                  the whole matrix, some two and a half minutes
 *     npm run bench:here -- --help   its options
 *
 * docs/benchmarks.md says how to read the result.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { requestFor } from '../examples/lib/courier-client.ts'
import { makeHome, removeHome, startHost } from '../examples/lib/host-process.ts'
import type { SpooledPair } from '../examples/lib/spool-files.ts'
import { formatTable } from '../host/cli/table.ts'
import { makeCourierFolder, settingE0 } from '../test/helpers/courier-folder.ts'
import { mails, makePairs, pairsPerMail } from './spooled-mails.ts'
import { median, rowCells, rowHeading, type Row } from './figures.ts'
import { startBareServer, startLoadGenerator } from './load-generator.ts'
import { bareRow, measureBeside, type Bench, type Target } from './measure.ts'
import { targetChains, targetHeading, targetMails, targetRows } from './targets.ts'

/** The chains, as filters.conf has them. None of these filters edits the messages here, so files can be used again. */
const chains: Readonly<Record<string, readonly string[]>> = {
  noop: ['noop'],
  bundled: ['noduplicates', 'whitelist_auth', 'nosuccessdsn'],
  'bundled+debug': ['debug', 'noduplicates', 'whitelist_auth', 'nosuccessdsn'],
  'bundled+message': ['noduplicates', 'whitelist_auth', 'whitelist_block', 'deliveredto', 'nosuccessdsn'],
}
const concurrencies = [1, 8, 32]

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    chain: { type: 'string', multiple: true },
    mail: { type: 'string', multiple: true },
    concurrency: { type: 'string', multiple: true, default: concurrencies.map(String) },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    'cpu-prof': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const chosenChains = options.chain ?? (options.check ? targetChains : Object.keys(chains))
const chosenMails = options.mail ?? (options.check ? targetMails : Object.keys(mails))
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5))
const seconds = Number(options.seconds ?? (options.quick ? 0.5 : 1))

const help = `usage: npm run bench:here -- [OPTION]...

  --quick             one short round: a look, not a measurement
  --json              one JSON object instead of the table
  --check             measures only what has a target, and says which are met
  --chain NAME        only this chain: ${Object.keys(chains).join(', ')}; may be given again
  --mail SIZE         only this mail: ${Object.keys(mails).join(', ')}; may be given again
  --concurrency N     so many messages at once, at most ${pairsPerMail}; may be given again
  --rounds N          rounds, each with a run of the bare server and one of the host (${rounds})
  --seconds S         length of one run (${seconds})
  --cpu-prof DIR      let Node write CPU profiles of host and runner to DIR
`

if (options.help) process.stdout.write(help)
else await benchmark()

async function benchmark(): Promise<void> {
  const numbers = [rounds, seconds, ...options.concurrency.map(Number)]
  if (numbers.some((number) => !(number > 0)) || options.concurrency.some((number) => Number(number) > pairsPerMail)) {
    throw new Error('a number among the options cannot be used; see --help')
  }
  const home = makeHome('nf-bench-')
  const bareSocket = join(home, 'bare')
  const bare = await startBareServer(bareSocket)
  const generator = startLoadGenerator()
  try {
    const rows: Row[] = []
    const bench: Bench = { bare, bareSocket, generator, bareRuns: new Map(), rounds, seconds }
    for (const chain of chosenChains) {
      note(`chain ${chain}`)
      rows.push(...(await measureChain(chain, home, bench)))
    }
    for (const concurrency of bench.bareRuns.keys()) rows.push(bareRow(concurrency, bench))
    report(rows)
  } finally {
    await generator.stop()
    await bare.stop()
    removeHome(home)
  }
}

async function measureChain(chain: string, benchHome: string, bench: Bench): Promise<Row[]> {
  const list = chains[chain]
  if (list === undefined) throw new Error(`there is no chain "${chain}"`)
  const home = join(benchHome, `h${Object.keys(chains).indexOf(chain)}`)
  const configDirectory = join(home, 'config')
  mkdirSync(configDirectory, { recursive: true })
  writeFileSync(join(configDirectory, 'filters.conf'), `${list.join('\n')}\n`)
  const profile = options['cpu-prof']
  const host = await startHost({
    configDirectory,
    filterDirectory: join(import.meta.dirname, 'filters'),
    home,
    // Some of the filters ask Courier's configuration, which is to be the same on every machine.
    env: { sysconfdir: makeCourierFolder(home, settingE0) },
    logsJson: false,
    nodeOptions: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  })
  try {
    const loads = chosenMails.map((mail) => ({ mail, pairs: makePairs(host.spoolDirectory, mail) }))
    const sizes = loads.map(({ pairs }) => pairs.map(sizesOf).join())
    const targets: Target[] = loads.map(({ mail, pairs }) => ({ mail, requests: pairs.map(requestFor) }))
    // The first messages pay for compiling; nobody's production is made of them.
    for (const { requests } of targets) {
      await bench.generator.run({ socketPath: host.socketPath, requests, concurrency: 8, seconds: seconds * 2 })
    }
    const rows: Row[] = []
    for (const concurrency of options.concurrency.map(Number)) {
      rows.push(...(await measureBeside(chain, concurrency, targets, host, bench)))
    }
    if (loads.some(({ pairs }, index) => pairs.map(sizesOf).join() !== sizes[index])) {
      throw new Error(`the chain ${chain} edited messages: what was measured is not what was prepared`)
    }
    return rows
  } finally {
    const status = await host.stop()
    if (status !== 0) note(`the host ended with status ${status ?? 'null'}`)
    removeHome(home)
  }
}

function sizesOf({ bodyPath, controlPaths }: SpooledPair): string {
  return [bodyPath, ...controlPaths].map((path) => statSync(path).size).join(' ')
}

function report(rows: readonly Row[]): void {
  const machine = { node: process.version, cores: availableParallelism(), rounds, seconds }
  if (options.json) return void process.stdout.write(`${JSON.stringify({ machine, rows }, null, 2)}\n`)
  process.stdout.write(formatTable(rowHeading, rows.map(rowCells)))
  process.stdout.write(`Node ${machine.node}, ${machine.cores} cores, ${rounds} x ${seconds} s a row.\n`)
  for (const chain of chosenChains) {
    const factors = options.concurrency.map(Number).flatMap((concurrency) => {
      const [small, large] = Object.keys(mails).map((mail) =>
        rows.find((row) => row.chain === chain && row.mail === mail && row.concurrency === concurrency),
      )
      return small === undefined || large === undefined ? [] : [small.perSecond / large.perSecond]
    })
    if (factors.length === 0) continue
    const times = median(factors).toFixed(2)
    process.stdout.write(`${chain}: a mail of 600 KB takes ${times} times as long as one of 1 KB.
`)
  }
  if (options.check) process.stdout.write(`\n${formatTable(targetHeading, targetRows(rows))}`)
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
