/**
 * The types that cross between host, runner and worker threads, and the checks at each end.
 *
 * Two kinds of connection, both in the line format of `frames.ts`:
 * - control: host <-> runner's main thread, over the pipe the runner was started with. It starts, watches and ends threads.
 * - line:    host <-> one worker thread, over the host's socket. Messages go down it and outcomes come up: one hop each way.
 * Everything a thread sends is checked here before the host believes it: a filter's code runs in the same process.
 */
import { isVerdict } from '../../courier-compat/reply.ts'
import type { FileIdentity } from '../../courier-compat/kept-original.ts'
import type { ChainOutcome, TrailStep } from '../chain/chain.ts'
import { isFailureKind, type Failure } from '../chain/failure.ts'
import type { LoadPlan, LoadedFilter } from '../chain/loader.ts'
import type { EditMark } from '../edits.ts'
import type { LoadProblem } from '../chain/load-problem.ts'
import type { StoreAnswer } from '../store/desk.ts'
import type { StoreFrame } from '../store/port.ts'

/** Host -> runner: what to run. The first frame on the control pipe. */
export interface StartFrame {
  readonly type: 'start'
  /** Where threads connect to, and the word that tells them from strangers. */
  readonly linePath: string
  readonly token: string
  readonly threads: number
  readonly maxHeapOctets: number
  readonly chain: LoadPlan
  readonly blockedLimitMs: number
  readonly linesPerSecond: number
  readonly faults: string
}

/** Host -> runner, after the start. */
export type ControlDown =
  | StartFrame
  /** `isAwake`: messages are in hand, or were a moment ago; threads then show that they turn, and are watched. */
  | { readonly type: 'ping'; readonly number: number; readonly isAwake: boolean }
  /** No slot gets another thread; the runner ends when the last thread has left. */
  | { readonly type: 'leave' }
  /** End this thread now; a fresh one takes its slot. */
  | { readonly type: 'kill-thread'; readonly slot: number }

/** Runner -> host. */
export type ControlUp =
  | { readonly type: 'pong'; readonly number: number }
  /** The thread's event loop stands still (or turns again): no new message for it. */
  | { readonly type: 'stalled'; readonly slot: number; readonly stalled: boolean }
  /** It stood still for the whole limit. `job` is the number of the message whose filter was being called, 0 if unknown. */
  | {
      readonly type: 'blocked'
      readonly slot: number
      readonly job: number
      readonly filter: number
      readonly afterMs: number
    }
  /** The thread has ended, for certain: none of its code runs any more. */
  | {
      readonly type: 'thread-gone'
      readonly slot: number
      readonly text: string
      /** The message whose filter was being called when the thread ended, as in `blocked`; left out where unknown. */
      readonly job?: number
      readonly filter?: number
    }
  /** The thread could not be ended: only the process can be. */
  | { readonly type: 'stuck'; readonly slot: number }

/** Host -> thread. */
export type LineDown =
  | { readonly type: 'run'; readonly jobs: readonly JobFrame[] }
  | { readonly type: 'leave' }
  /** The answer to a request of this number. */
  | StoreAnswer

/** One message to run the chain over. */
export interface JobFrame {
  /** Unguessable, so that no code in the thread can answer for another message. */
  readonly key: string
  /** Small, for the shared memory; never 0. */
  readonly number: number
  readonly messageId: string
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
  readonly attempt: number
  readonly leftMs: number
  readonly without: readonly number[]
  /** As in `ChainJob`. */
  readonly contents: readonly string[] | null
  readonly mark: EditMark
}

/** Thread -> host. */
export type LineUp =
  | { readonly type: 'hello'; readonly token: string; readonly slot: number }
  | { readonly type: 'loaded'; readonly filters: readonly LoadedFilter[]; readonly warnings: readonly LoadProblem[] }
  | { readonly type: 'broken'; readonly problems: readonly LoadProblem[] }
  | { readonly type: 'done'; readonly results: readonly { readonly key: string; readonly outcome: unknown }[] }
  /**
   * A message left something behind in the thread. `held`: its outcome says so itself (`stray`). `alone`: it was the only
   * one since the thread was last known to be clean. `shared`: others ran beside it, and none of their outcomes is sent.
   */
  | { readonly type: 'unclean'; readonly cause: string; readonly mode: 'held' | 'alone' | 'shared' }
  | {
      readonly type: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly filter: string
      readonly messageId: string
      readonly text: string
    }
  /** A filter asks the stores; see store/requests.ts. */
  | StoreFrame

/** Limits on what one message may bring up from a thread. */
const outcomeLimits = { trail: 1000, notes: 50, textChars: 2000 } as const

/** Cuts an outcome to the limits, in the thread that made it: whatever a filter threw or noted, it stays small. */
export function cutOutcome(outcome: ChainOutcome): ChainOutcome {
  const cut = (value: unknown): string => {
    try {
      return String(value).slice(0, outcomeLimits.textChars)
    } catch {
      return '(cannot be shown)'
    }
  }
  return {
    ...outcome,
    failure: outcome.failure === null ? null : { ...outcome.failure, text: cut(outcome.failure.text) },
    trail: outcome.trail
      .slice(0, outcomeLimits.trail)
      .map((step) => ({ ...step, text: step.text === null ? null : cut(step.text) })),
    notes: outcome.notes.slice(0, outcomeLimits.notes).map(([key, value]) => [cut(key), cut(value)] as const),
  }
}

/**
 * Checks an outcome that came from a thread.
 * Errors: a string saying what is wrong; the host then treats the message as failed, whatever the thread meant.
 */
export function checkOutcome(value: unknown): ChainOutcome | string {
  if (!isRecord(value)) return 'the outcome is not an object'
  const { verdict, by, failure, trail, notes, stray, rerunWithout, undone, version } = value
  if (verdict !== null && !isVerdict(verdict)) return 'the verdict is not one'
  if (!isTextOrNull(by)) return '"by" is not a name'
  if (!(failure === null || isFailure(failure))) return 'the failure is not one'
  if (typeof stray !== 'boolean') return '"stray" is missing'
  if (!(rerunWithout === null || (typeof rerunWithout === 'number' && Number.isInteger(rerunWithout)))) {
    return '"rerunWithout" is not a place in the list'
  }
  if ((verdict === null) !== (failure !== null)) return 'there must be either a verdict or a failure'
  if (!Array.isArray(trail) || trail.length > outcomeLimits.trail || !trail.every(isTrailStep))
    return 'the trail is not one'
  if (!Array.isArray(notes) || notes.length > outcomeLimits.notes || !notes.every(isNote))
    return 'the notes are not notes'
  if (typeof undone !== 'boolean') return '"undone" is missing'
  if (!(version === null || isIdentity(version))) return 'the version is not one'
  return { verdict, by, failure, trail, notes, stray, rerunWithout, undone, version }
}

function isIdentity(value: unknown): value is FileIdentity {
  if (!isRecord(value)) return false
  const { dev, ino, size, mtimeMs } = value
  return [dev, ino, size, mtimeMs].every((number) => typeof number === 'number')
}

function isFailure(value: unknown): value is Failure {
  return isRecord(value) && isFailureKind(value['kind']) && isText(value['text']) && isTextOrNull(value['filter'])
}

function isTrailStep(value: unknown): value is TrailStep {
  return (
    isRecord(value) &&
    isText(value['filter']) &&
    typeof value['outcome'] === 'string' &&
    ['pass', 'accept', 'defer', 'reject', 'failed'].includes(value['outcome']) &&
    typeof value['dryRun'] === 'boolean' &&
    typeof value['wallMs'] === 'number' &&
    (value['cpuMs'] === null || typeof value['cpuMs'] === 'number') &&
    isTextOrNull(value['text'])
  )
}

function isNote(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && isText(value[0]) && isText(value[1])
}

/** Text of a bounded length: the thread cuts what it sends, so a longer one did not come from our code. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= outcomeLimits.textChars
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value)
}

/** True for a plain object: the first check of every frame. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a thread says of its filters, taken over only in the expected shape. */
export function readLoadedFilters(value: unknown): LoadedFilter[] {
  if (!Array.isArray(value)) return []
  return value.filter(isRecord).map(({ index, alias, name, file, onError }) => ({
    index: typeof index === 'number' ? index : -1,
    alias: cutText(alias),
    name: cutText(name),
    file: cutText(file),
    onError: onError === 'pass' ? 'pass' : 'defer',
  }))
}

function cutText(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, outcomeLimits.textChars) : ''
}

/** What a thread says of why it cannot load its filters, cut to a bounded length. */
export function readLoadProblems(value: unknown): LoadProblem[] {
  if (!Array.isArray(value)) return []
  return value
    .filter(isRecord)
    .slice(0, 1000)
    .map(({ file, line, column, text, cure }) => ({
      file: cutText(file),
      line: typeof line === 'number' ? line : null,
      column: typeof column === 'number' ? column : null,
      text: cutText(text),
      cure: typeof cure === 'string' ? cure.slice(0, 500) : null,
    }))
}
