/**
 * What waiting messages cost: thousands of connections that have sent their request, before filters that do not answer.
 *
 *     npm run bench:queued                 10,000 connections, some half a minute
 *     node bench/queued.ts --help          its options
 *
 * docs/benchmarks.md says how to read the result.
 */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { requestFor } from '../examples/lib/courier-client.ts'
import { makeHome, removeHome, startHost } from '../examples/lib/host-process.ts'
import { spoolMessage } from '../examples/lib/spool-files.ts'
import { formatTable } from '../host/cli/table.ts'
import { askHost } from '../host/control/client.ts'
import type { HostStatus } from '../host/control/status.ts'
import { until } from '../test/helpers/until.ts'
import { childrenOf, memoryParts, type MemoryParts } from './process-facts.ts'

/** The most that host and runner may have together while all wait. */
const limitOctets = 200 * 1000 * 1000
/** Connections that are being opened at once: fewer than the socket's backlog. */
const openingAtOnce = 100

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    program: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
})

const help = `usage: node bench/queued.ts [OPTION]...

  --connections N         so many (${options.connections})
  --program FILE          the host's main file, for instance dist/host/main.js; that of this checkout if not given, whose
                          types Node has to strip itself, which takes some 70 MB that the published program does without
  --set SECTION.KEY=VALUE a setting of the host besides those that this needs; may be given again
`

if (options.help) process.stdout.write(help)
else await measure(Number(options.connections))

async function measure(count: number): Promise<void> {
  const home = makeHome('nf-queued-')
  const configDirectory = join(home, 'config')
  const gate = join(home, 'gate')
  mkdirSync(configDirectory)
  writeFileSync(join(configDirectory, 'filters.conf'), `waits with until=${gate}\n`)
  writeFileSync(join(configDirectory, 'nodefilter.conf'), configuration(count))
  const filterDirectory = join(import.meta.dirname, 'filters')
  const program = options.program === undefined ? {} : { program: resolve(options.program) }
  const host = await startHost({ configDirectory, filterDirectory, home, logsJson: false, ...program })
  try {
    const now = new Date()
    const requests = Array.from({ length: count }, (_, index) => {
      const message = Buffer.from(`Subject: waits\n\n${'A message that waits.\n'.repeat(40)}`)
      const envelope = { sender: 'sender@example.com', recipients: ['user@example.org'] }
      const client = { clientIp: '203.0.113.9', helo: 'client.example.com', authUser: null }
      return requestFor(spoolMessage(host.spoolDirectory, { message, ...envelope, ...client }, index, now))
    })
    const looks: [string, readonly [MemoryParts, MemoryParts]][] = []
    const look = (when: string): void => {
      const [host0, runner] = [host.pid, ...childrenOf(host.pid)].map(memoryParts)
      if (host0 == null || runner == null) throw new Error('this machine does not tell the memory of processes')
      looks.push([when, [host0, runner]])
    }
    look('at rest')

    const sinceMs = performance.now()
    const waiting = await openAll(host.socketPath, requests)
    const control = join(home, 'state/control.sock')
    await until('all messages in hand', async () => (await statusOf(control)).inHand >= count, 60_000, 200)
    note(`${count} in hand after ${((performance.now() - sinceMs) / 1000).toFixed(1)} s`)
    look('all in hand')
    const settlingMs = 5000
    await sleep(settlingMs)
    look(`${settlingMs / 1000} s later`)

    const openedMs = performance.now()
    writeFileSync(gate, '')
    const replies = await Promise.all(waiting.map(({ reply }) => reply))
    note(`all answered ${((performance.now() - openedMs) / 1000).toFixed(1)} s after the filters let go`)
    look('all answered')
    report(count, looks)
    const others = replies.filter((reply) => reply !== '200 Ok\n')
    if (others.length > 0) throw new Error(`${others.length} answers were others, one ${JSON.stringify(others[0])}`)
  } finally {
    writeFileSync(gate, '')
    const status = await host.stop()
    if (status !== 0) note(`the host ended with status ${status ?? 'null'}`)
    removeHome(home)
  }
}

/** What a host needs to keep so many waiting, and messages that wait long. */
function configuration(count: number): string {
  const sections: Record<string, Record<string, string>> = {
    host: { max_waiting: String(count), deadline: '10m' },
    chain: { time_limit: '10m' },
    courierfilter: { max_connections: String(count + 10), request_timeout: '1m' },
  }
  for (const set of options.set) {
    const [, section = '', key = '', value = ''] = /^([a-z_]+)\.([a-z_]+)=(.*)$/.exec(set) ?? []
    if (section === '') throw new Error(`--set ${set}: SECTION.KEY=VALUE is wanted`)
    sections[section] = { ...sections[section], [key]: value }
  }
  const text = Object.entries(sections).map(
    ([section, values]) =>
      `[${section}]\n${Object.entries(values)
        .map(([key, value]) => `${key} = ${value}\n`)
        .join('')}`,
  )
  return text.join('')
}

interface Waiting {
  /** All that was heard when the host hung up. */
  readonly reply: Promise<string>
}

async function openAll(path: string, requests: readonly string[]): Promise<Waiting[]> {
  const opened: Waiting[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const socket = await open(path)
      opened.push({ reply: replyOn(socket) })
      socket.write(request)
    }
  }
  await Promise.all(Array.from({ length: openingAtOnce }, lane))
  return opened
}

/** Connects; a full backlog is tried again. */
async function open(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect({ path })
    try {
      await once(socket, 'connect')
      return socket
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') throw thrown
    }
    await sleep(5)
  }
}

function replyOn(socket: Socket): Promise<string> {
  return new Promise((give) => {
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => (text += piece))
    socket.on('error', () => undefined)
    socket.on('close', () => give(text))
  })
}

async function statusOf(path: string): Promise<HostStatus> {
  const asked = await askHost(path, 'status')
  if (asked.kind !== 'answer' || asked.answer.type !== 'status')
    throw new Error(`the host tells no status: ${asked.kind}`)
  return asked.answer.status
}

function report(count: number, looks: readonly [string, readonly [MemoryParts, MemoryParts]][]): void {
  const mega = (octets: number): string => (octets / 1e6).toFixed(0)
  const heading = ['', 'host MB', 'its own', 'runner MB', 'its own', 'together MB', 'shared once MB']
  const rows = looks.map(([when, [host, runner]]) => [
    when,
    ...[host, runner].flatMap(({ resident, own }) => [mega(resident), mega(own)]),
    mega(host.resident + runner.resident),
    mega(together([host, runner])),
  ])
  process.stdout.write(formatTable(heading, rows))
  const worst = Math.max(...looks.slice(1, -1).map(([, parts]) => together(parts)))
  const [rest] = looks
  const each = (worst - together(rest?.[1] ?? [])) / count
  process.stdout.write(`${each.toFixed(0)} octets for each connection.\n`)
  const isMet = worst < limitOctets
  process.stdout.write(`${isMet ? 'met' : 'NOT MET'}: ${mega(worst)} MB, to be under ${mega(limitOctets)} MB\n`)
  if (!isMet) process.exitCode = 1
}

/** What the processes occupy: the pages of the program that they both run count once. */
function together(parts: readonly MemoryParts[]): number {
  return parts.reduce((sum, { own }) => sum + own, 0) + Math.max(0, ...parts.map(({ ofFiles }) => ofFiles))
}

function note(text: string): void {
  process.stderr.write(`queued: ${text}\n`)
}
