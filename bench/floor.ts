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
const steps = ['and to another process and back', 'and the files', 'and the log']

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
  const host = await startHost({ configDirectory, filterDirectory, home, logsJson: false })
  const sockets = steps.map((_, index) => join(home, `floor${index}`))
  const bareSocket = join(home, 'bare')
  const helpers = await Promise.all([
    startBareServer(bareSocket),
    ...sockets.map((socket, index) => startServer('floor-server.ts', [socket, String(index + 1)])),
  ])
  try {
    const requests = makePairs(host.spoolDirectory, '1 KB').map(requestFor)
    const paths = [...sockets, host.socketPath]
    const columns: string[][] = []
    for (const concurrency of concurrencies) {
      const rateOf = async (socketPath: string): Promise<number> =>
        (await generator.run({ socketPath, requests, concurrency, seconds: 1 })).perSecond
      const bareRates: number[] = []
      const ratios = paths.map((): number[] => [])
      // The first round pays for compiling.
      for (let round = 0; round <= rounds; round++) {
        process.stderr.write(`${concurrency} at once, round ${round} of ${rounds}\n`)
        const bareRate = await rateOf(bareSocket)
        if (round > 0) bareRates.push(bareRate)
        for (const [index, path] of paths.entries()) {
          const ratio = (await rateOf(path)) / bareRate
          if (round > 0) ratios[index]?.push(ratio)
        }
      }
      columns.push([`${median(bareRates).toFixed(0)}/s`, ...ratios.map((of) => median(of).toFixed(2))])
    }
    const names = ['a bare server', ...steps, 'nodefilter, a filter that does nothing']
    const rows = names.map((name, index) => [name, ...columns.map((column) => column[index] ?? '')])
    return formatTable(['', ...concurrencies.map((count) => `${count} at once`)], rows)
  } finally {
    for (const helper of helpers) await helper.stop()
    await host.stop()
  }
}
