/**
 * The host's side of one runner process: starts it, hears its threads, asks whether it lives, holds its limit of memory,
 * and ends it with all that its filters started.
 */
import { randomBytes } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Cgroup, Cgroups } from '../platform/cgroup.ts'
import type { Timer } from '../platform/clock.ts'
import type { Platform } from '../platform/platform.ts'
import { hostMark, runnerEnvironment, runnerVariable } from './environment.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import type { Line, LineServer } from './line-server.ts'
import { isRecord, type ControlDown, type ControlUp, type JobFrame, type StartFrame } from './wire.ts'

/** Everything a lane must know of its runner. No event comes after `ended`. */
export interface RunnerEvents {
  /** A thread's line said something; frames are objects, otherwise unchecked. */
  frame(slot: number, frame: Record<string, unknown>, line: Line): void
  /** The thread's connection is gone. Its code may still run: only `threadGone` says that it does not. */
  lineClosed(slot: number, cause: string): void
  stalled(slot: number, stalled: boolean): void
  blocked(slot: number, job: number, filter: number, afterMs: number): void
  /** `job` is the number of the message whose filter ended it, 0 where that is not known. */
  threadGone(slot: number, text: string, job: number, filter: number): void
  stuck(slot: number): void
  output(stream: 'stdout' | 'stderr', text: string): void
  /** What the process and all that came from it use, a few times a second at most. */
  memory(octets: number): void
  /** Neither the process nor anything that its filters started runs any more. */
  ended(cause: string): void
  /** Asked at each beat: whether messages are in hand or wait, or filters are being loaded. */
  isBusy(): boolean
}

/** What a runner is held to from outside. */
export interface RunnerLimits {
  /** It is ended above. */
  readonly maxMemoryOctets: number
  /** `null` where no group may be made for it. */
  readonly cgroups: Cgroups | null
}

/** A running runner. */
export interface Runner {
  readonly pid: number
  /** As it was seen last; `null` before that. */
  readonly memoryOctets: number | null
  send(slot: number, jobs: readonly JobFrame[]): void
  endThread(slot: number): void
  /** Tells every thread to finish what it has and leave; the process ends when they have. */
  leave(): void
  /** Ends the process and its children now. `ended` follows, with the reason if one is given. */
  kill(because?: string): void
}

/**
 * Asked this often whether it lives; as many questions in a row without an answer end it, more while it may still be
 * starting. After some beats with nothing to do it is asked at rest's pace, until there is a message: an idle host wakes
 * the processor as rarely as that.
 */
const heartbeat = { everyMs: 500, missed: 5, missedAtStart: 20, restMs: 5000, calmBeats: 6 } as const

/** What its filters started is looked for and ended for so long; then the end is told all the same. */
const endLimitMs = 2000

/** Starts a runner. Errors show as `ended`. */
export function startRunner(
  start: Omit<StartFrame, 'type' | 'linePath' | 'token'>,
  limits: RunnerLimits,
  server: LineServer,
  platform: Platform,
  events: RunnerEvents,
): Runner {
  const { clock, processes } = platform
  const token = randomBytes(18).toString('base64url')
  const name = randomBytes(6).toString('hex')
  const mark = { variable: runnerVariable, value: hostMark(server.path) + name }
  const program = fileURLToPath(new URL(`./process.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url))
  const child = platform.spawner(process.execPath, [...process.execArgv, program], {
    [mark.variable]: mark.value,
    ...runnerEnvironment(start.chain.modulePaths),
  })
  const pid = child.pid ?? 0
  // Where descriptors are used up there are no pipes at all, and `error` follows.
  const control = (child.stdio as typeof child.stdio | undefined)?.[3] as Duplex | null | undefined
  const lines = new Map<number, Line>()
  // Before it is told what to load: no filter's code has run yet.
  const group = pid === 0 ? null : openGroup(limits, name, pid)
  let over = false
  let dead = false
  let leaving = false
  let reason: string | null = null
  let hasLived = false
  let unanswered = 0
  let asked = 0
  let askedAtMs = clock.monotonicMs()
  let isAwake = true
  let calm = 0
  let beat: Timer
  let memoryOctets: number | null = null
  let descendants: readonly number[] = []

  const finish = (cause: string): void => {
    if (over) return
    over = true
    beat.cancel()
    unregister()
    for (const line of lines.values()) line.close()
    events.ended(reason === null ? cause : `${cause}: ${reason}`)
  }
  const kill = (because?: string): void => {
    if (pid === 0 || dead) return
    reason ??= because ?? null
    // While it lives, they can be told by their parents.
    const left = processes.descendantsOf(pid)
    group?.kill()
    // The whole group: what a filter started must not outlive its runner.
    if (!processes.kill(-pid)) child.kill('SIGKILL')
    for (const descendant of left) processes.kill(descendant)
  }
  const lookAtMemory = (): void => {
    const own = processes.memoryOf(pid)
    if (own === null) return
    // Who they are changes slowly, and costs most.
    if (asked % 2 === 1) descendants = processes.descendantsOf(pid)
    memoryOctets = descendants.reduce((sum, descendant) => sum + (processes.memoryOf(descendant) ?? 0), own)
    if (memoryOctets > limits.maxMemoryOctets) {
      return kill(`memory (${toMiB(memoryOctets)} in use, [runner] max_memory is ${toMiB(limits.maxMemoryOctets)})`)
    }
    events.memory(memoryOctets)
  }
  const setAwake = (awake: boolean): void => {
    isAwake = awake
    calm = 0
  }
  const ask = (): void => {
    if (over || dead) return
    const nowMs = clock.monotonicMs()
    const paceMs = isAwake ? heartbeat.everyMs : heartbeat.restMs
    // The host itself may have stood still, and answers be waiting to be read: then the count starts anew.
    if (nowMs - askedAtMs > paceMs + heartbeat.everyMs * 2) unanswered = 0
    askedAtMs = nowMs
    if (unanswered >= (hasLived ? heartbeat.missed : heartbeat.missedAtStart)) {
      return kill(`heartbeat (it did not answer ${unanswered} times)`)
    }
    // At rest one unanswered question is enough to ask on at full pace.
    if (events.isBusy() || unanswered > 0) setAwake(true)
    else if (isAwake && ++calm > heartbeat.calmBeats) setAwake(false)
    unanswered++
    tell({ type: 'ping', number: ++asked, isAwake })
    lookAtMemory()
    beat = clock.after(isAwake ? heartbeat.everyMs : heartbeat.restMs, ask)
  }
  const wake = (): void => {
    setAwake(true)
    beat.cancel()
    beat = clock.after(0, ask)
  }
  const tell = (frame: ControlDown): void => {
    if (!over) control?.write(encodeFrames([frame]))
  }

  const unregister = server.register(token, (slot, line) => {
    lines.set(slot, line)
    hasLived = true
    // A thread that was still on its way when the others were told.
    if (leaving) line.send({ type: 'leave' })
    line.onFrame = (frame) => {
      if (!over) events.frame(slot, frame, line)
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
    dead = true
    beat.cancel()
    const cause = signal === null ? `ended with status ${code ?? 0}` : `ended by ${signal}`
    if (signal === 'SIGKILL' && (group?.outOfMemory() ?? 0) > 0)
      reason ??= 'memory (the kernel ended it at [runner] max_memory)'
    // Those that left the group may still edit the messages' files: whoever hears of the end runs these again.
    const gone = Promise.all([group?.remove(), processes.endMarked(mark, clock, endLimitMs)])
    void Promise.race([gone, new Promise<void>((resolve) => void clock.after(endLimitMs, resolve))]).then(() =>
      finish(cause),
    )
  })
  readOutput(child.stdout, (text) => events.output('stdout', text))
  readOutput(child.stderr, (text) => events.output('stderr', text))
  if (control !== null && control !== undefined) {
    readControl(
      control,
      () => kill(),
      (frame) => {
        if (over) return
        switch (frame.type) {
          case 'pong':
            hasLived = true
            unanswered = 0
            break
          case 'stalled':
            return events.stalled(frame.slot, frame.stalled)
          case 'blocked':
            return events.blocked(frame.slot, frame.job, frame.filter, frame.afterMs)
          case 'thread-gone':
            return events.threadGone(frame.slot, frame.text, frame.job ?? 0, frame.filter ?? 0)
          case 'stuck':
            return events.stuck(frame.slot)
          default:
            frame satisfies never
            return kill()
        }
      },
    )
  }
  tell({ type: 'start', linePath: server.path, token, ...start })
  beat = clock.after(0, ask)
  return {
    pid,
    get memoryOctets() {
      return memoryOctets
    },
    send: (slot, jobs) => {
      if (!isAwake) wake()
      lines.get(slot)?.send({ type: 'run', jobs })
    },
    endThread: (slot) => tell({ type: 'kill-thread', slot }),
    leave: () => {
      leaving = true
      tell({ type: 'leave' })
      for (const line of lines.values()) line.send({ type: 'leave' })
    },
    kill,
  }
}

/** A group with the process in it; `null` where that is not permitted. */
function openGroup({ cgroups, maxMemoryOctets }: RunnerLimits, name: string, pid: number): Cgroup | null {
  const group = cgroups?.create(name, maxMemoryOctets) ?? null
  if (group === null || group.add(pid)) return group
  void group.remove()
  return null
}

function toMiB(octets: number): string {
  return `${Math.round(octets / 1024 / 1024)} MiB`
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
