/**
 * What a host costs that has nothing to do: how often each of its threads wakes the processor.
 *
 *     npm run bench:idle
 *     node bench/idle.ts --help
 *
 * docs/benchmarks.md says how to read the result.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { requestFor, askFilter } from '../examples/lib/courier-client.ts'
import { makeHome, removeHome, startHost } from '../examples/lib/host-process.ts'
import { spoolMessage } from '../examples/lib/spool-files.ts'
import { formatTable } from '../host/cli/table.ts'
import { makeCourierFolder, settingE0 } from '../test/helpers/courier-folder.ts'
import { childrenOf, cpuMs } from './process-facts.ts'
import { perSecondOf, watchWakeUps, type ThreadWakeUps } from './wake-ups.ts'

const filters = ['noduplicates', 'whitelist_auth', 'whitelist_block', 'deliveredto', 'nosuccessdsn']
/** Messages before the rest, so that what runs only once a message has come runs as well. */
const messages = 200

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    rest: { type: 'string', default: '20' },
    program: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const help = `usage: node bench/idle.ts [OPTION]...

  --seconds S       watch for so long (${options.seconds})
  --rest S          after so long without a message (${options.rest})
  --program FILE    the host's main file, for instance dist/host/main.js
`

if (options.help) process.stdout.write(help)
else await measure(Number(options.seconds), Number(options.rest))

async function measure(seconds: number, restSeconds: number): Promise<void> {
  if (!(seconds > 0) || !(restSeconds >= 0)) throw new Error('a number among the options cannot be used; see --help')
  const home = makeHome('nf-idle-')
  const configDirectory = join(home, 'config')
  mkdirSync(configDirectory)
  writeFileSync(join(configDirectory, 'filters.conf'), `${filters.join('\n')}\n`)
  const host = await startHost({
    ...{ configDirectory, filterDirectory: join(import.meta.dirname, 'filters'), home, logsJson: false },
    env: { sysconfdir: makeCourierFolder(home, settingE0) },
    ...(options.program === undefined ? {} : { program: resolve(options.program) }),
  })
  try {
    const envelope = {
      message: Buffer.from('Subject: x\n\nx\n'),
      sender: 'sender@example.com',
      recipients: ['user@example.org'],
    }
    const client = { clientIp: '203.0.113.9', helo: 'client.example.com', authUser: null }
    for (let index = 0; index < messages; index++) {
      const pair = spoolMessage(host.spoolDirectory, { ...envelope, ...client }, index, new Date())
      await askFilter(host.socketPath, requestFor(pair))
    }
    await sleep(restSeconds * 1000)
    const pids = [host.pid, ...childrenOf(host.pid)]
    const used = (): number[] => pids.map((pid) => cpuMs(pid) ?? NaN)
    const before = used()
    const threads = await watchWakeUps(pids, seconds)
    const usedMs = used().map((ms, index) => (ms - (before[index] ?? NaN)) / seconds)
    report(pids, threads, usedMs)
  } finally {
    await host.stop()
    removeHome(home)
  }
}

function report(pids: readonly number[], threads: readonly ThreadWakeUps[], usedMs: readonly number[]): void {
  const nameOf = (pid: number): string => (pids[0] === pid ? 'host' : 'runner')
  const rows = pids.flatMap((pid, index) => [
    ...threads
      .filter((thread) => thread.pid === pid && thread.perSecond > 0)
      .map(({ thread, name, perSecond }) => [
        nameOf(pid),
        thread === pid ? `${name} (main)` : name,
        perSecond.toFixed(2),
        '',
      ]),
    [nameOf(pid), 'all', perSecondOf(pid, threads).toFixed(2), (usedMs[index] ?? NaN).toFixed(1)],
  ])
  process.stdout.write(formatTable(['process', 'thread', 'wake-ups/s', 'CPU ms/s'], rows))
}
