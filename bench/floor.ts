/**
 * What a host cannot do without, step by step, and the host itself, in parts of the bare server in the same run.
 *
 *     npm run bench:floor                some two minutes
 *
 * docs/adr/0020 says what it is for.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requestFor } from '../examples/lib/courier-client.ts'
import { makeHome, removeHome, startHost } from '../examples/lib/host-process.ts'
import { formatTable } from '../host/cli/table.ts'
import { median } from './figures.ts'
import { startBareServer, startLoadGenerator, startServer } from './load-generator.ts'
import { makePairs } from './spooled-mails.ts'

const rounds = 5
const concurrencies = [1, 8, 32]
const steps = ['to another process and back', 'and the files', 'and a line of log']

const home = makeHome('nf-floor-')
const generator = startLoadGenerator()
try {
  process.stdout.write(await measure())
} finally {
  await generator.stop()
  removeHome(home)
}

async function measure(): Promise<string> {
  const configDirectory = join(home, 'config')
  mkdirSync(configDirectory)
  writeFileSync(join(configDirectory, 'filters.conf'), 'noop\n')
  const filterDirectory = join(import.meta.dirname, 'filters')
  const bareSocket = join(home, 'bare')
  const bare = await startBareServer(bareSocket)
  const startStep = async (number: number): Promise<Server> => {
    const socketPath = join(home, `step${number}`)
    const server = await startServer('floor-server.ts', [socketPath, String(number)])
    return { socketPath, stop: () => server.stop() }
  }
  const servers: readonly (readonly [name: string, start: () => Promise<Server>])[] = [
    ...steps.map((name, index) => [name, () => startStep(index + 1)] as const),
    [
      'nodefilter, a filter that does nothing',
      () => startHost({ configDirectory, filterDirectory, home, logsJson: false }),
    ],
  ]
  const spool = join(home, 'mails')
  mkdirSync(spool)
  try {
    const rows: string[][] = []
    for (const [name, start] of servers) {
      const server = await start()
      const { socketPath, spoolDirectory = spool } = server
      process.stderr.write(`${name}\n`)
      try {
        const requests = makePairs(spoolDirectory, '1 KB').map(requestFor)
        const rate = async (path: string, concurrency: number, seconds: number): Promise<number> =>
          (await generator.run({ socketPath: path, requests, concurrency, seconds })).perSecond
        // The first messages pay for compiling.
        await rate(socketPath, 8, 2)
        const cells = [name]
        for (const concurrency of concurrencies) {
          const ratios: number[] = []
          for (let round = 0; round < rounds; round++) {
            const bareRate = await rate(bareSocket, concurrency, 1)
            ratios.push((await rate(socketPath, concurrency, 1)) / bareRate)
          }
          cells.push(median(ratios).toFixed(2))
        }
        rows.push(cells)
      } finally {
        await server.stop()
      }
    }
    return formatTable(['of a bare server', ...concurrencies.map((count) => `${count} at once`)], rows)
  } finally {
    await bare.stop()
  }
}

/** Something to ask. */
interface Server {
  readonly socketPath: string
  readonly spoolDirectory?: string
  stop(): Promise<unknown>
}
