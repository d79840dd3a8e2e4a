/**
 * A host in a folder of its own, started and stopped as Courier does it: the end of descriptor 3 says that it is ready,
 * the end of its descriptor 0 that it is to stop. Source: spec courier 1.2, 1.3, 1.7.
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How to start it. */
export interface HostProcessOptions {
  /** Folder of nodefilter.conf and filters.conf. */
  readonly configDirectory: string
  /** Folder of the host's own filters beside the bundled ones. */
  readonly filterDirectory: string
  /** Where everything of this host goes: its socket, the spool, its state, its logs. */
  readonly home: string
  /** Whether it also logs JSON lines, to `jsonLog`. */
  readonly logsJson: boolean
  /** Beside the environment of this process; Courier gives its filters `sysconfdir`. */
  readonly env?: NodeJS.ProcessEnv
  /** Options for Node itself. */
  readonly nodeOptions?: readonly string[]
  /** The program's main file; the one of this checkout unless given. */
  readonly program?: string
}

/** A host that answers. */
export interface HostProcess {
  readonly pid: number
  readonly socketPath: string
  readonly spoolDirectory: string
  /** What it logged as text, the way Courier would put it into the mail log. */
  readonly textLog: string
  /** What it logged as JSON lines, if it was asked to; complete once it has stopped. */
  readonly jsonLog: string
  /** Asks it to stop and waits for its end. Resolves to its exit status, `null` if it had to be killed. */
  stop(): Promise<number | null>
}

const ownProgram = join(import.meta.dirname, '../../host/main.ts')
const startLimitMs = 60_000
/** Courier waits 15 s in all; whoever needs longer than this has hung. */
const stopLimitMs = 20_000

/** The longest path of a Unix socket, less the longest that comes below the folder: `/allfilters/.nodefilter`. */
const maxHomeOctets = 107 - 24

/** Makes an empty folder whose path is short enough for the sockets in it. */
export function makeHome(prefix: string): string {
  const folder = tmpdir()
  return mkdtempSync(join(Buffer.byteLength(folder) + prefix.length + 7 > maxHomeOctets ? '/tmp' : folder, prefix))
}

/** Removes it with all that is in it. */
export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true })
}

/** Starts a host; resolves when it is ready. Errors: Error with the end of its log if it ends instead. */
export async function startHost(options: HostProcessOptions): Promise<HostProcess> {
  const { home, nodeOptions = [], program = ownProgram } = options
  const socketDirectory = join(home, 'allfilters')
  const spoolDirectory = join(home, 'tmp')
  for (const folder of [socketDirectory, spoolDirectory]) mkdirSync(folder, { mode: 0o770 })
  const textLog = join(home, 'host.log')
  const jsonLog = join(home, 'host.json')

  const input = makePipe(join(home, 'fd0'))
  const readiness = makePipe(join(home, 'fd3'))
  const output = openSync(textLog, 'a')
  const sets = [
    `courierfilter.directory=${socketDirectory}`,
    `courierfilter.spool_dir=${spoolDirectory}`,
    `chain.filter_path=${options.filterDirectory}`,
    ...(options.logsJson ? [`log.file=${jsonLog}`] : []),
  ]
  const args = ['run', '-c', options.configDirectory, '--state-dir', join(home, 'state'), '--name', 'nodefilter']
  for (const set of sets) args.push('--set', set)
  const child = spawn(process.execPath, [...nodeOptions, program, ...args], {
    cwd: home,
    env: { ...process.env, ...options.env },
    stdio: [input.read, output, output, readiness.write],
  })
  for (const descriptor of [input.read, readiness.write, output]) closeSync(descriptor)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('exit', (status) => resolve(status))
    child.once('error', reject)
  })
  let isStopped = false
  const stop = (): Promise<number | null> => {
    if (!isStopped) closeSync(input.write)
    isStopped = true
    const kill = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
    return ended.finally(() => clearTimeout(kill))
  }

  const isReady = await Promise.race([endOf(readiness.read, startLimitMs), ended.then(() => false)])
  if (!isReady || child.exitCode !== null) {
    const status = await stop()
    const log = readFileSync(textLog, 'utf8').split('\n').slice(-20).join('\n')
    throw new Error(`the host did not start (exit status ${status}):\n${log}`)
  }
  return {
    pid: child.pid ?? 0,
    socketPath: join(socketDirectory, 'nodefilter'),
    spoolDirectory,
    textLog,
    jsonLog,
    stop,
  }
}

/** Both ends of a pipe. Node itself can only make pairs of sockets, which Courier's filters are never given. */
function makePipe(path: string): { readonly read: number; readonly write: number } {
  const { status, error } = spawnSync('mkfifo', ['-m', '600', path])
  if (status !== 0) throw error ?? new Error(`mkfifo ${path} failed`)
  // In this order and with this flag neither call waits for the other end.
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const write = openSync(path, constants.O_WRONLY)
  rmSync(path)
  return { read, write }
}

/** True once the last copy of the pipe's other end is closed; false if that takes longer than `limitMs`. */
function endOf(descriptor: number, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const pipe = new Socket({ fd: descriptor, readable: true, writable: false })
    const finish = (isOver: boolean): void => {
      clearTimeout(timer)
      pipe.destroy()
      resolve(isOver)
    }
    const timer = setTimeout(() => finish(false), limitMs)
    pipe.once('end', () => finish(true))
    pipe.once('error', () => finish(true))
    pipe.resume()
  })
}
