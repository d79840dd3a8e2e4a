/**
 * The real host as a child process, started as Courier starts it: pipes on descriptors 0, 2 and 3, a socket in
 * `allfilters`, message files below a spool folder. Everything lies in one short temporary folder.
 */
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { launcherScript } from '../../host/cli/courier/launcher.ts'
import { converse, requestOf } from './converse.ts'
import { nodeOptions } from './node-options.ts'
import { makePair, type Pair, type PairOptions } from './pair.ts'
import { until } from './until.ts'

const repository = join(import.meta.dirname, '../..')

/** The filters that tests share. */
export const fixtureFilters = join(repository, 'test/fixtures/filters')

/** The folders of one host; they outlive it, so that another one can be started in the same place. */
export interface Place {
  readonly root: string
  /** nodefilter.conf, filters.conf. */
  readonly config: string
  readonly state: string
  /** Courier's `allfilters`. */
  readonly sockets: string
  readonly spool: string
  /** Filters of this test alone. */
  readonly filters: string
  /** A path in the place. */
  readonly at: (name: string) => string
  /** Writes `filters.conf`, whole in one step: a host that reads it just then meets the old one or the new one. */
  list(...lines: readonly string[]): void
  /** Writes a filter of this test alone. */
  filter(file: string, source: string): void
  /** A new pair in the spool. */
  readonly pair: (options?: PairOptions) => Pair
}

/** Makes the folders; they are removed when the test ends. */
export function makePlace(t: Test, ...list: readonly string[]): Place {
  // Not below the test's own folder: a socket's path has at most 107 octets.
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const at = (name: string): string => join(root, name)
  const place: Place = {
    ...{ root, at, config: at('c'), state: at('s'), sockets: at('allfilters'), spool: at('tmp'), filters: at('f') },
    list: (...lines) => replaceFile(at('c/filters.conf'), lines.map((line) => `${line}\n`).join('')),
    filter: (file, source) => replaceFile(at(`f/${file}`), source),
    pair: (options) => makePair(at('tmp'), options),
  }
  for (const folder of ['c', 'allfilters', 'filters', 'tmp', 'f']) mkdirSync(at(folder), { mode: 0o755 })
  place.list(...list)
  return place
}

function replaceFile(path: string, content: string): void {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

/** How a host is started. */
export interface HostOptions {
  /** `section.key=value`; they win over what the helper sets itself. */
  readonly set?: readonly string[]
  /** Protections to take out: names in test/reliability/protections.ts. */
  readonly without?: readonly string[]
  /** See host/platform/faults.ts. */
  readonly faults?: string
  /** Modules of test/helpers that its processes load first. */
  readonly preload?: readonly string[]
  /** Makes the launcher that Courier runs, and that starts the host again when it dies. `pid` is then the launcher's. */
  readonly launcher?: typeof launcherScript
  /** More of its environment, which is small otherwise. */
  readonly env?: Readonly<Record<string, string>>
  /** The file mode mask of the host. */
  readonly umask?: number
  /** How many files it may have open (`ulimit -n`). */
  readonly openFiles?: number
}

/** A started host. */
export interface HostProcess {
  readonly pid: number
  readonly place: Place
  readonly socketPath: string
  /** Its log so far, a line an element. */
  readonly log: readonly string[]
  /** Resolves when descriptor 3 has ended: from then on Courier takes mail, and sends it here. */
  readonly announced: Promise<null>
  /** Resolves when descriptor 3 has ended and the door is open. Errors: Error with the log if the host ends first. */
  ready(): Promise<void>
  /** One message's conversation; `''` is a connection closed without a word. */
  ask(pair: Pair | Buffer | string, limitMs?: number): Promise<string>
  /** Waits for a line of the log. */
  logged(pattern: RegExp, limitMs?: number): Promise<string>
  /** The summary line of the message with this queue id. */
  settled(queueId: string): Promise<string>
  signal(name: NodeJS.Signals): void
  /** Stops reading its log, as a stopped logger does, and goes on. */
  pauseLog(): void
  resumeLog(): void
  /** Ends standard input, and waits for the end. */
  stop(): Promise<HostEnd>
  /** SIGKILL, and waits for the end. */
  kill(): Promise<HostEnd>
  readonly ended: Promise<HostEnd>
}

/** How it ended. */
export interface HostEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Starts a host in `place`; it is killed when the test ends. The caller awaits `ready`. */
export function startHost(t: Test, place: Place, options: HostOptions = {}): HostProcess {
  const pipes = mkdtempSync(join(place.root, 'p'))
  const [input, output, ready] = ['0', '2', '3'].map((name) => join(pipes, name)) as [string, string, string]
  execFileSync('mkfifo', [input, output, ready])
  // Node's own pipes are sockets, which Courier's are not, and the host tells them apart.
  const ends = [input, output, ready].map((path) => ({
    read: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    write: openSync(path, constants.O_WRONLY),
  })) as [Pipe, Pipe, Pipe]
  rmSync(pipes, { recursive: true })
  const [stdin, stderr, start] = ends
  const settings = [
    `courierfilter.directory=${place.sockets}`,
    `courierfilter.spool_dir=${place.spool}`,
    `chain.filter_path=${place.filters}, ${fixtureFilters}`,
    ...(options.set ?? []),
  ]
  const program = join(repository, 'host/main.ts')
  const execArgs = nodeOptions(options.without, options.preload)
  const sets = settings.flatMap((setting) => ['--set', setting])
  const [file, ...args] =
    options.launcher !== undefined
      ? ['/bin/sh', writeLauncher(place, settings, options.launcher, program, execArgs)]
      : [process.execPath, ...execArgs, program, 'run', '-c', place.config, '--state-dir', place.state, ...sets]
  const mask = process.umask(options.umask ?? 0o022)
  // The environment is the test's own: what a test runner put into ours must not reach the host.
  const env = {
    PATH: process.env['PATH'],
    ...options.env,
    ...(options.faults === undefined ? {} : { NODEFILTER_FAULTS: options.faults }),
  }
  const { openFiles } = options
  const limit = ['-c', `ulimit -n ${openFiles ?? ''} && exec "$0" "$@"`, file, ...args]
  const child = spawn(openFiles === undefined ? file : '/bin/sh', openFiles === undefined ? args : limit, {
    cwd: '/',
    env,
    stdio: [stdin.read, 'ignore', stderr.write, start.write],
  })
  process.umask(mask)
  for (const descriptor of [stdin.read, stderr.write, start.write]) closeSync(descriptor)

  const log: string[] = []
  let unread = ''
  const logRead = Promise.withResolvers<null>()
  const logPipe = new Socket({ fd: stderr.read, readable: true, writable: false })
  logPipe.setEncoding('utf8')
  logPipe.on('data', (text: string) => {
    const parts = (unread + text).split('\n')
    unread = parts.pop() ?? ''
    log.push(...parts)
  })
  logPipe.on('close', () => logRead.resolve(null))
  const started = Promise.withResolvers<null>()
  new Socket({ fd: start.read, readable: true, writable: false }).on('close', () => started.resolve(null)).resume()

  let over = false
  const ended = new Promise<HostEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      over = true
      void logRead.promise.then(() => resolve({ code, signal }))
    })
  })
  let inputOpen = true
  const endInput = (): void => {
    if (inputOpen) closeSync(stdin.write)
    inputOpen = false
  }
  const runners = new Set<number>()
  const killHost = (): void => {
    const children = childrenOf(child.pid ?? 0)
    const isLaunched = options.launcher !== undefined
    for (const pid of isLaunched ? children.flatMap(childrenOf) : children) runners.add(pid)
    child.kill('SIGKILL')
    if (isLaunched) for (const pid of children) killProcess(pid)
  }
  t.teardown(async () => {
    endInput()
    killHost()
    await ended
    // They end by themselves, but for those of hosts from which that was taken out.
    for (const pid of runners) killProcess(-pid)
  })

  const logged = async (pattern: RegExp, limitMs = 10_000): Promise<string> => {
    const line = await until(
      `${String(pattern)} in the log`,
      () => log.find((text) => pattern.test(text)),
      limitMs,
    ).catch((thrown: unknown) => {
      throw new Error(`${String(thrown)}; the log:\n${log.join('\n')}`)
    })
    return line
  }
  const socketPath = join(place.sockets, 'nodefilter')
  return {
    ...{ pid: child.pid ?? 0, place, socketPath, log, logged, ended, announced: started.promise },
    ready: async () => {
      await started.promise
      await until('the door to open', () => over || log.some((line) => line.includes(' door-opened '))).catch(() => {
        throw new Error(`the door did not open:\n${log.join('\n')}`)
      })
      if (over) throw new Error(`the host ended instead of serving:\n${log.join('\n')}${unread}`)
    },
    ask: (pair, limitMs = 20_000) => converse(socketPath, requestOf(pair), { limitMs }),
    settled: (queueId) => logged(new RegExp(` settled .*queueId=${queueId.replaceAll('.', '\\.')} `)),
    signal: (name) => void child.kill(name),
    pauseLog: () => void logPipe.pause(),
    resumeLog: () => void logPipe.resume(),
    stop: () => {
      endInput()
      return ended
    },
    kill: () => {
      killHost()
      return ended
    },
  }
}

/** Makes a place, starts a host there, and waits until it serves. */
export async function servingHost(t: Test, list: readonly string[], options: HostOptions = {}): Promise<HostProcess> {
  const host = startHost(t, makePlace(t, ...list), options)
  await host.ready()
  return host
}

/** Writes the launcher as `nodefilter courier enable` does; what it cannot hand on as options is put into nodefilter.conf. */
function writeLauncher(
  place: Place,
  settings: readonly string[],
  script: typeof launcherScript,
  programPath: string,
  execArgs: readonly string[],
): string {
  const sections = Map.groupBy(settings, (setting) => setting.slice(0, setting.indexOf('.')))
  const text = [...sections].flatMap(([name, lines]) => [
    `[${name}]`,
    ...lines.map((line) => line.slice(name.length + 1)),
  ])
  writeFileSync(join(place.config, 'nodefilter.conf'), `${text.join('\n')}\n`)
  const folders = { configDirectory: place.config, stateDirectory: place.state }
  // The socket is named after the launcher's file.
  const path = place.at('filters/nodefilter')
  writeFileSync(path, script({ nodePath: process.execPath, programPath, execArgs, ...folders }), { mode: 0o755 })
  return path
}

/** The processes that a process has started and that still run. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** A process, or with a negative id a group. */
function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended, as it should.
  }
}

interface Pipe {
  readonly read: number
  readonly write: number
}

/** A content that tells the fixture filter `act` what to do: `{ act: 'throw error' }` for the filter that runs as `act`. */
export function orders(acts: Readonly<Record<string, string | readonly string[]>>): string {
  const lines = Object.entries(acts).flatMap(([alias, said]) =>
    (typeof said === 'string' ? [said] : said).map((order) => `X-Act-${alias}: ${order}`),
  )
  return [...lines, 'Subject: x', '', 'text', ''].join('\n')
}

/** What a stream of good messages heard. */
export interface StreamResult {
  readonly sent: number
  /** Answers other than 200, and whatever went wrong while asking. */
  readonly wrong: readonly string[]
  readonly slowestMs: number
}

/** Messages that every filter passes, sent one after the other on `lanes` connections until `stop` is called. */
export function startStream(host: HostProcess, lanes = 2): { stop(): Promise<StreamResult> } {
  let going = true
  let sent = 0
  let slowestMs = 0
  const wrong: string[] = []
  const lane = async (): Promise<void> => {
    // At least one message each, however soon it is stopped.
    do {
      const sinceMs = performance.now()
      sent++
      const answer = await host.ask(host.place.pair()).catch((thrown: unknown) => String(thrown))
      slowestMs = Math.max(slowestMs, performance.now() - sinceMs)
      if (answer !== '200 Ok\n') wrong.push(answer)
      await new Promise((resolve) => setTimeout(resolve, 10))
    } while (going)
  }
  const lanesDone = Promise.all(Array.from({ length: lanes }, lane))
  return {
    stop: async () => {
      going = false
      await lanesDone
      return { sent, wrong, slowestMs }
    },
  }
}
