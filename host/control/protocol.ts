/**
 * What is said over the control socket: one request a connection, a JSON line; then JSON lines until the answer.
 *
 * Pure. `working` comes every few seconds while the host is busy with the request, so that silence means a host that
 * stands still. A command of a later release can talk to a host of an earlier one: what is unknown is refused in words.
 */
import type { MetricsFormat } from '../observe/open-metrics.ts'
import type { Problem } from '../problem.ts'
import type { HostStatus } from './status.ts'

/** What may be asked. */
export type ControlAsk = 'status' | 'metrics' | 'reload' | 'restart'

/** Client -> host. */
export interface ControlRequest {
  readonly ask: ControlAsk
  /** With `metrics`: the form of the text; OpenMetrics where it is left out. */
  readonly format?: MetricsFormat
}

/** What became of a reload. */
export interface ReloadResult {
  /** False: the old configuration goes on, or the host is as broken as before. */
  readonly takenOver: boolean
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** The aliases of the filters that run now. */
  readonly filters: readonly string[]
  /** Settings that are written otherwise than they are in force, since only a restart takes them over. */
  readonly needRestart: readonly string[]
}

/** Host -> client. All but `working` end the conversation. */
export type ControlAnswer =
  | { readonly type: 'working' }
  | { readonly type: 'status'; readonly status: HostStatus }
  | { readonly type: 'metrics'; readonly text: string }
  | { readonly type: 'reload'; readonly result: ReloadResult }
  /** The host drains, ends, and is started again; `instance` is that of the host that ends. */
  | { readonly type: 'restart'; readonly instance: string }
  /** It cannot be done; `text` says why and what to do instead. */
  | { readonly type: 'refused'; readonly text: string }

/** A longer request is none. */
export const maxRequestChars = 1000

/** A longer answer is none: a status and metrics hold bounded tables, and a reload's problems are cut to `maxToldProblems`. */
export const maxAnswerChars = 4 * 1024 * 1024

/** So many problems or warnings of one reload are told; the log has as many. */
export const maxToldProblems = 100

/** While a request takes longer, the host says `working` this often. */
export const workingEveryMs = 2000

const asks: readonly string[] = ['status', 'metrics', 'reload', 'restart'] satisfies ControlAsk[]

/** Checks a request. Errors: a string saying what is wrong. */
export function readRequest(frame: unknown): ControlRequest | string {
  const ask = typeof frame === 'object' && frame !== null && 'ask' in frame ? frame.ask : null
  if (typeof ask !== 'string') return 'a request is a JSON object with "ask"'
  if (!asks.includes(ask)) return `this host cannot "${ask.slice(0, 40)}"; it knows ${asks.join(', ')}`
  const isPrometheus = typeof frame === 'object' && frame !== null && 'format' in frame && frame.format === 'prometheus'
  return isPrometheus ? { ask: ask as ControlAsk, format: 'prometheus' } : { ask: ask as ControlAsk }
}

/**
 * Checks an answer as far as its type goes; the host runs as Courier's user and is believed beyond that.
 * Errors: `null` for what is no answer, for instance one of a later release.
 */
export function readAnswer(frame: unknown): ControlAnswer | null {
  if (typeof frame !== 'object' || frame === null) return null
  const answer = frame as Readonly<Record<string, unknown>>
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
  const known =
    answer['type'] === 'working' ||
    (answer['type'] === 'status' && isObject(answer['status'])) ||
    (answer['type'] === 'metrics' && typeof answer['text'] === 'string') ||
    (answer['type'] === 'reload' && isObject(answer['result'])) ||
    (answer['type'] === 'restart' && typeof answer['instance'] === 'string') ||
    (answer['type'] === 'refused' && typeof answer['text'] === 'string')
  return known ? (frame as ControlAnswer) : null
}
