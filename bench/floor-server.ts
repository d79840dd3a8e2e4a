/**
 * The least that a host of this kind can be: what `npm run bench:floor` measures. A process of its own.
 *
 *     node bench/floor-server.ts SOCKET STEPS     runs until it is told to end; says "ready" on standard output
 *
 * STEPS of `bare-server.ts`, each with those before it:
 *
 *     1  requests travel together to two other processes and back, as lines of JSON
 *     2  the files are looked at, the control file is read and handed on; both are looked at again at the end
 *     3  a line of log for each
 *
 * Nothing is checked, bounded, timed or counted: it is no host, but what a host cannot do without.
 */
import { spawn } from 'node:child_process'
import { closeSync, constants, createWriteStream, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'

interface Asked {
  readonly socket: Socket
  readonly paths: readonly string[]
  readonly octets: number
  readonly sinceMs: number
}

type Job = readonly [number: number, paths: readonly string[], content: string]
type Done = readonly [number: number, outcome: { readonly verdict: { readonly kind: string } }]

const [socketPath = '', steps = '1', role = 'host'] = process.argv.slice(2)
const withFiles = Number(steps) >= 2
const withLog = Number(steps) >= 3
const linePath = `${socketPath}-line`
const processes = 2

if (role === 'runner') runJobs(connect(linePath))
else serve()

/** The other end: a verdict for each job. */
function runJobs(line: Socket): void {
  line.on('error', () => undefined)
  eachLine(line, (text) => {
    const trail = [{ filter: 'noop', outcome: 'pass', ms: 0 }]
    const outcome = { verdict: { kind: 'pass' }, by: null, trail, notes: [], undone: false, version: null }
    const done = (JSON.parse(text) as Job[]).map(([number]): Done => [number, outcome])
    line.write(`${JSON.stringify(done)}\n`, 'latin1')
  })
}

function serve(): void {
  const lines: Socket[] = []
  const asked = new Map<number, Asked>()
  const log = createWriteStream('/dev/null')
  let [lastNumber, turn, logText] = [0, 0, '']
  let jobs: Job[] = []

  const flush = (): void => {
    lines[turn++ % lines.length]?.write(`${JSON.stringify(jobs)}\n`, 'latin1')
    jobs = []
  }
  const settle = ([number, { verdict }]: Done): void => {
    const one = asked.get(number)
    if (one === undefined) return
    asked.delete(number)
    if (withFiles) for (const path of one.paths) lstatSync(path)
    one.socket.end('200 Ok\n', 'latin1')
    one.socket.once('finish', () => one.socket.destroy())
    if (!withLog) return
    const ms = performance.now() - one.sinceMs
    logText += `INFO: settled id=${number} verdict=${verdict.kind} octets=${one.octets} ms=${ms}\n`
    if (logText.length < 4096) return
    log.write(logText)
    logText = ''
  }
  const take = (socket: Socket, paths: readonly string[]): void => {
    const number = ++lastNumber
    const { octets, content } = withFiles ? readPair(paths) : { octets: 0, content: '' }
    asked.set(number, { socket, paths, octets, sinceMs: performance.now() })
    if (jobs.push([number, paths, content]) === 1) setImmediate(flush)
  }

  const door = createServer({ allowHalfOpen: true }, (socket) => {
    let request = ''
    socket.setEncoding('latin1')
    socket.on('error', () => undefined)
    socket.on('data', (text: string) => {
      request += text
      if (request.includes('\n\n')) take(socket, request.slice(0, -2).split('\n'))
    })
  })
  const runners = createServer((line) => {
    line.on('error', () => undefined)
    eachLine(line, (text) => (JSON.parse(text) as Done[]).forEach(settle))
    if (lines.push(line) < processes) return
    door.listen({ path: socketPath, backlog: 128 }, () => void process.stdout.write('ready\n'))
  })
  runners.listen(linePath, () => {
    const words = [import.meta.filename, socketPath, steps, 'runner']
    const children = Array.from({ length: processes }, () => spawn(process.execPath, words, { stdio: 'inherit' }))
    process.once('SIGTERM', () => {
      for (const child of children) child.kill()
      process.exit()
    })
  })
}

const buffer = Buffer.alloc(65_536)

function readPair([bodyPath = '', controlPath = '']: readonly string[]): { octets: number; content: string } {
  const { size: octets } = lstatSync(bodyPath)
  const descriptor = openSync(controlPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const { size } = fstatSync(descriptor)
  const count = readSync(descriptor, buffer, 0, size + 1, null)
  closeSync(descriptor)
  return { octets, content: buffer.toString('latin1', 0, count) }
}

function eachLine(line: Socket, take: (text: string) => void): void {
  let rest = ''
  line.setEncoding('latin1')
  line.on('data', (text: string) => {
    const all = (rest + text).split('\n')
    rest = all.pop() ?? ''
    for (const one of all) take(one)
  })
}
