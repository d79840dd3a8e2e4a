/**
 * Named fault points: the steps at which a test makes the host or a thread fail.
 *
 * Inert unless a specification is handed in (`NODEFILTER_FAULTS`, read at the start and passed to the runner): a point
 * then is one call of an empty function, and file operations are not looked at at all.
 */
import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import { fileCalls, type FileCall } from './files.ts'

/** Every point, in the order in which one message meets them. */
export const faultPoints = [
  'door.accepted',
  'door.request-read',
  'intake.pair-opened',
  'runner.job-sent',
  'worker.job-read',
  'chain.filter-start',
  'chain.filter-end',
  'worker.result-sent',
  'runner.result-read',
  'intake.decided',
  'intake.cleared',
  'door.reply-written',
] as const

/** Those of a message that adds to a queue: the first two after `chain.filter-start`, the others after `intake.decided`. */
export const storePoints = ['store.staging', 'store.staged', 'store.publishing', 'store.published'] as const

/** The name of a step with the store. */
export type StorePoint = (typeof storePoints)[number]

/** The name of one step. */
export type FaultPoint = (typeof faultPoints)[number]

/** Asked at each step; fails there if a test has said so. */
export interface Faults {
  at(point: FaultPoint | StorePoint): void
  /** Asked before each operation of the file layer; `null` unless some fault concerns files. */
  readonly file: ((call: FileCall) => void) | null
}

/** No faults: what every real run uses. */
export const noFaults: Faults = { at: () => undefined, file: null }

type Action = 'kill' | 'stop' | 'exit' | 'throw' | { readonly delayMs: number } | { readonly code: ErrorCode }
type ErrorCode = keyof typeof constants.errno

interface Fault {
  readonly step: string
  readonly action: Action
  /** The one visit at which it acts, from 1; `null`: at each. */
  readonly visit: number | null
  /** Visits count from the first visit of this point on; `null`: from the start. */
  readonly since: string | null
  visits: number
  counts: boolean
}

const anyFile = 'files.any'
const fileSteps: readonly string[] = fileCalls.map(fileStep)

/** A file operation's name as a step: `openSync` is `files.open`. */
export function fileStep(call: FileCall): string {
  return `files.${call.slice(0, -'Sync'.length)}`
}

/**
 * Reads a specification such as `intake.decided=kill@3,files.open=error=EMFILE@1:door.accepted`.
 *
 * Shape:  STEP=ACTION[@N[:POINT]], separated by commas. A STEP is a point, `files.OPERATION` (an operation of the host's
 *         file layer, `files.open` and so on) or `files.any`. N counts the visits from 1 (default: every visit), with
 *         POINT from the first visit of that point on.
 *         Actions: `kill`, `stop` (SIGKILL, SIGSTOP to the own process), `exit` (the process or thread ends with 1),
 *         `throw`, `delay=MS` (the thread stands still), and for files `error=CODE`, which fails as the system would.
 *         Each fault that acts says so on standard error, so that a test can tell that it did.
 * Errors: Error on an unknown step or action: a test that names a step which is gone must not pass by doing nothing.
 */
export function parseFaults(specification: string): Faults {
  if (specification === '') return noFaults
  const plan = specification.split(',').map(parseFault)
  const meet = (step: string, also: string | null): void => {
    let due: Fault | null = null
    for (const fault of plan) {
      if (fault.since === step) fault.counts = true
      if (!fault.counts || (fault.step !== step && fault.step !== also)) continue
      fault.visits++
      if (fault.visit === null || fault.visit === fault.visits) due ??= fault
    }
    if (due !== null) act(due.action, step, due.visits)
  }
  const isOfFiles = plan.some(({ step }) => step.startsWith('files.'))
  return {
    at: (point) => meet(point, null),
    file: isOfFiles ? (call) => meet(fileStep(call), anyFile) : null,
  }
}

function parseFault(item: string): Fault {
  const { step = '', act: action, code, ms, visit, since } = grammar.exec(item)?.groups ?? {}
  const isFile = step === anyFile || fileSteps.includes(step)
  const isKnown = isFile || isPoint(step)
  if (!isKnown || (since !== undefined && !isPoint(since)) || (code !== undefined && (!isFile || !isCode(code)))) {
    throw new Error(
      `fault "${item}" is not STEP=kill|stop|exit|throw|delay=MS|error=CODE[@N[:POINT]]; the points are ` +
        `${[...faultPoints, ...storePoints].join(' ')}, the other steps ${anyFile} ${fileSteps.join(' ')}, which alone have errors`,
    )
  }
  return {
    ...{ step, visit: visit === undefined ? null : Number(visit), since: since ?? null },
    ...{ visits: 0, counts: since === undefined },
    action:
      code !== undefined && isCode(code)
        ? { code }
        : ms === undefined
          ? (action as 'kill' | 'stop' | 'exit' | 'throw')
          : { delayMs: Number(ms) },
  }
}

const grammar =
  /^(?<step>[A-Za-z.-]+)=(?:(?<act>kill|stop|exit|throw)|delay=(?<ms>[0-9]{1,6})|error=(?<code>[A-Z0-9]+))(?:@(?<visit>[0-9]{1,9})(?::(?<since>[a-z.-]+))?)?$/

function isPoint(step: string): boolean {
  return ([...faultPoints, ...storePoints] as readonly string[]).includes(step)
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(constants.errno, code)
}

function act(action: Action, step: string, visit: number): void {
  // Straight to the descriptor: nothing that waits in a buffer outlives a kill.
  writeSync(2, `fault ${step} ${visit}\n`)
  if (action === 'kill' || action === 'stop') {
    process.kill(process.pid, action === 'kill' ? 'SIGKILL' : 'SIGSTOP')
    // A signal may come through another thread: this one must not get past the step before.
    standStill(50)
    return
  }
  // eslint-disable-next-line no-restricted-properties -- ending it is what is asked for
  if (action === 'exit') process.exit(1)
  if (action === 'throw') throw new Error(`fault injected at ${step}`)
  if ('delayMs' in action) return standStill(action.delayMs)
  const { code } = action
  throw Object.assign(new Error(`${code}: fault injected at ${step}`), { code, errno: -constants.errno[code] })
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
