/** The host's side of one runner process: starts it, hears its threads, asks whether it lives, and ends it. */
import { randomBytes } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Platform } from '../platform/platform.ts'
import { runnerEnvironment } from './environment.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import type { Line, LineServer } from './line-server.ts'
import { isRecord, type ControlDown, type ControlUp, type JobFrame, type StartFrame } from './wire.ts'

/** Everything a lane must know of its runner. No event comes after `ended`. */
export interface RunnerEvents {
  /** A thread's line said something; frames are objects, otherwise unchecked. */
  frame(slot: number, frame: Record<string, unknown>): void
  /** The thread's connection is gone. Its code may still run: only `threadGone` says that it does not. */
  lineClosed(slot: number, cause: string): void
  stalled(slot: number, stalled: boolean): void
  blocked(slot: number, job: number, filter: number, afterMs: number): void
  threadGone(slot: number, text: string): void
  stuck(slot: number): void
  output(stream: 'stdout' | 'stderr', text: string): void
  ended(cause: string): void
}

/** A running runner. */
export interface Runner {
  readonly pid: number
  send(slot: number, jobs: readonly JobFrame[]): void
  endThread(slot: number): void
  /** Tells every thread to finish what it has and leave; the process ends when they have. */
  leave(): void
  /** Ends the process and its children now. `ended` follows. */
  kill(): void
}

/** Asked this often whether it lives; as many unanswered questions as `missed` end it. */
const heartbeat = { everyMs: 500, missed: 8 } as const

/** Starts a runner. Errors show as `ended`. */
export function startRunner(
  start: Omit<StartFrame, 'type' | 'linePath' | 'token'>,
  server: LineServer,
  platform: Platform,
  events: RunnerEvents,
): Runner {
  const token = randomBytes(18).toString('base64url')
  const program = fileURLToPath(new URL(`./process.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url))
  const child = platform.spawner(
    process.execPath,
    [...process.execArgv, program],
    runnerEnvironment(start.chain.modulePaths),
  )
  const control = child.stdio[3] as Duplex | null | undefined
  const lines = new Map<number, Line>()
  let over = false
  let leaving = false
  let unanswered = 0
  let asked = 0
  let askedAtMs = platform.clock.monotonicMs()

  const finish = (cause: string): void => {
    if (over) return
    over = true
    beat.cancel()
    unregister()
    for (const line of lines.values()) line.close()
    events.ended(cause)
  }
  const kill = (): void => {
    if (child.pid === undefined) return
    try {
      // The whole group: what a filter started must not outlive its runner.
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      child.kill('SIGKILL')
    }
  }
  const beat = platform.clock.every(heartbeat.everyMs, () => {
    const nowMs = platform.clock.monotonicMs()
    // The host itself may have stood still, and answers be waiting to be read: then the count starts anew.
    unanswered = nowMs - askedAtMs > heartbeat.everyMs * 3 ? 0 : unanswered + 1
    askedAtMs = nowMs
    if (unanswered > heartbeat.missed) return kill()
    tell({ type: 'ping', number: ++asked })
  })
  const tell = (frame: ControlDown): void => {
    if (!over) control?.write(encodeFrames([frame]))
  }

  const unregister = server.register(token, (slot, line) => {
    lines.set(slot, line)
    // A thread that was still on its way when the others were told.
    if (leaving) line.send({ type: 'leave' })
    line.onFrame = (frame) => {
      if (!over) events.frame(slot, frame)
    }
    line.onClose = (cause) => {
      if (lines.get(slot) === line) lines.delete(slot)
      if (!over) events.lineClosed(slot, cause)
    }
  })
  child.once('error', (error) => finish(`cannot be started: ${error.message}`))
  child.once('exit', (code, signal) => {
    // Children of the filters may be left in its group.
    kill()
    finish(signal === null ? `ended with status ${code ?? 0}` : `ended by ${signal}`)
  })
  readOutput(child.stdout, (text) => events.output('stdout', text))
  readOutput(child.stderr, (text) => events.output('stderr', text))
  if (control !== null && control !== undefined) {
    readControl(control, kill, (frame) => {
      if (over) return
      switch (frame.type) {
        case 'pong':
          unanswered = 0
          break
        case 'stalled':
          return events.stalled(frame.slot, frame.stalled)
        case 'blocked':
          return events.blocked(frame.slot, frame.job, frame.filter, frame.afterMs)
        case 'thread-gone':
          return events.threadGone(frame.slot, frame.text)
        case 'stuck':
          return events.stuck(frame.slot)
        default:
          frame satisfies never
          return kill()
      }
    })
  }
  tell({ type: 'start', linePath: server.path, token, ...start })
  return {
    pid: child.pid ?? 0,
    send: (slot, jobs) => lines.get(slot)?.send({ type: 'run', jobs }),
    endThread: (slot) => tell({ type: 'kill-thread', slot }),
    leave: () => {
      leaving = true
      tell({ type: 'leave' })
      for (const line of lines.values()) line.send({ type: 'leave' })
    },
    kill,
  }
}

/** Reads the control pipe. Something that is no frame means that filter code wrote there: such a runner is ended. */
function readControl(control: Duplex, kill: () => void, receive: (frame: ControlUp) => void): void {
  const reader = createFrameReader()
  control.setEncoding('utf8')
  control.on('error', kill)
  control.on('data', (text: string) => {
    try {
      for (const frame of reader.push(text)) {
        if (!isRecord(frame)) throw new Error('a control frame is not an object')
        receive(frame as unknown as ControlUp)
      }
    } catch {
      kill()
    }
  })
}

/** What filters print, line by line, each cut to a bounded length. */
function readOutput(stream: Readable | null, line: (text: string) => void): void {
  const maxChars = 2000
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('error', () => undefined)
  stream?.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = (parts.pop() ?? '').slice(0, maxChars)
    for (const part of parts) if (part !== '') line(part.slice(0, maxChars))
  })
}
