/** Runners without filters: a test speaks for their main threads and for their worker threads, frame by frame. */
import { EventEmitter } from 'node:events'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import type { Spawner } from '../../host/platform/spawner.ts'
import type { ControlDown, ControlUp, JobFrame, LineDown, StartFrame } from '../../host/runner/wire.ts'
import type { StoreAnswer } from '../../host/store/desk.ts'
import { until } from './until.ts'

/** What a test does in a runner's place. */
export interface FakeRunner {
  readonly start: StartFrame
  /** How it was started. */
  readonly program: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** What the host has said on the control pipe since the start. */
  readonly heard: ControlDown[]
  say(frame: ControlUp): void
  /** Connects a thread and lets it say that its filters are loaded; `loads: false` leaves that to the test. */
  thread(slot: number, options?: { readonly loads?: boolean; readonly token?: string }): FakeThread
  /** The process has ended. */
  end(signal: NodeJS.Signals): void
}

/** What a test does in a thread's place. */
export interface FakeThread {
  readonly slot: number
  /** The messages it was given so far. */
  readonly jobs: readonly JobFrame[]
  /** What the stores have answered so far. */
  readonly answers: readonly StoreAnswer[]
  /** Waits for the n-th message, counted from 0. */
  job(n: number): Promise<JobFrame>
  /** Whether it was told to leave. */
  isLeaving(): boolean
  send(frame: unknown): void
  /** Octets as they are. */
  write(text: string): void
  isOpen(): boolean
  close(): void
}

/** A spawner of such runners. */
export interface FakeRunners {
  readonly spawner: Spawner
  /** Waits for the n-th runner to be started, counted from 0. */
  readonly next: (n: number) => Promise<FakeRunner>
  readonly started: () => number
  readonly endAll: () => void
}

/** Makes a spawner. */
export function fakeRunners(): FakeRunners {
  const runners: FakeRunner[] = []
  const spawner = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) => {
    const child = new EventEmitter()
    const heard: ControlDown[] = []
    const read = createLineReader()
    const control = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        for (const frame of read(chunk.toString()) as ControlDown[]) {
          if (frame.type === 'ping') control.push(`${JSON.stringify({ type: 'pong', number: frame.number })}\n`)
          if (frame.type !== 'start') heard.push(frame)
          else runners.push({ ...{ program, args, env, heard, start: frame }, ...playRunner(frame, control, child) })
        }
        done()
      },
    })
    return Object.assign(child, {
      // No process has such a number: there is no group to kill, so that the host kills the child.
      ...{ pid: 2 ** 30, stdin: null, stdout: null, stderr: null },
      stdio: [null, null, null, control],
      kill: () => child.emit('exit', null, 'SIGKILL'),
    })
  }
  return {
    spawner: spawner as unknown as Spawner,
    next: (n) => until(`runner ${n}`, () => runners[n]),
    started: () => runners.length,
    endAll: () => {
      for (const runner of runners) runner.end('SIGKILL')
    },
  }
}

/** Gives the frames that a piece of text completes. */
function createLineReader(): (text: string) => unknown[] {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    return lines.map((line) => JSON.parse(line) as unknown)
  }
}

function playRunner(
  start: StartFrame,
  control: Duplex,
  child: EventEmitter,
): Pick<FakeRunner, 'say' | 'thread' | 'end'> {
  return {
    say: (frame) => void control.push(`${JSON.stringify(frame)}\n`),
    end: (signal) => void child.emit('exit', null, signal),
    thread: (slot, { loads = true, token = start.token } = {}) => {
      const jobs: JobFrame[] = []
      const answers: StoreAnswer[] = []
      const line = connect(start.linePath)
      const read = createLineReader()
      let open = true
      let leaving = false
      line.setEncoding('utf8')
      line.on('error', () => undefined)
      line.on('close', () => (open = false))
      line.on('data', (text: string) => {
        for (const frame of read(text) as LineDown[]) {
          if (frame.type === 'run') jobs.push(...frame.jobs)
          else if (frame.type === 'store') answers.push(frame)
          else leaving = true
        }
      })
      const send = (frame: unknown): void => void line.write(`${JSON.stringify(frame)}\n`)
      send({ type: 'hello', token, slot })
      const filters = start.chain.entries.map(({ name, alias, onError }, index) => ({
        ...{ index, alias, name, file: `/${name}.js`, onError: onError ?? 'defer' },
      }))
      if (loads) send({ type: 'loaded', filters, warnings: [] })
      return {
        ...{ slot, jobs, answers, send, isLeaving: () => leaving },
        job: (n) => until(`message ${n} of thread ${slot}`, () => jobs[n], 3000),
        write: (text) => void line.write(text),
        isOpen: () => open,
        close: () => void line.destroy(),
      }
    },
  }
}
