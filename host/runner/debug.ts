/** Runs the chain under a debugger: the face of a supervisor, for one person who looks on, without any time limit. */
import { randomUUID } from 'node:crypto'
import type { Failure } from '../chain/failure.ts'
import type { LoadPlan, LoadedFilter } from '../chain/loader.ts'
import type { LoadProblem } from '../chain/load-problem.ts'
import type { Pair } from '../edits.ts'
import type { Platform } from '../platform/platform.ts'
import { startSingle } from './single-process.ts'
import type { RunResult } from './ticket.ts'
import { checkOutcome, isRecord, readLoadProblems, readLoadedFilters } from './wire.ts'

/** Where a debugger connects to. */
export interface DebugAddress {
  readonly host: string
  readonly port: number
}

/** What its owner hears. */
export interface DebugEvents {
  said(level: 'info' | 'warn' | 'error', filter: string, messageId: string, text: string): void
  /** What the filters print, and Node about the debugger. */
  output(text: string): void
}

/** Whether the chain could be loaded. */
export type DebugState =
  | { readonly kind: 'serving'; readonly filters: readonly LoadedFilter[] }
  | { readonly kind: 'broken'; readonly problems: readonly LoadProblem[] }

/** A chain under a debugger. */
export interface DebugRunner {
  /** Resolves once a debugger is there and the chain is loaded, or known to be broken. */
  readonly ready: Promise<DebugState>
  /** One message after the other. Always resolves. */
  run(messageId: string, pair: Pair): Promise<RunResult>
  kill(): void
}

/** Starts it. */
export function startDebugRunner(
  plan: LoadPlan,
  address: DebugAddress,
  platform: Platform,
  events: DebugEvents,
): DebugRunner {
  const { promise: ready, resolve: setReady } = Promise.withResolvers<DebugState>()
  const open = new Map<string, (result: RunResult) => void>()
  let lost: string | null = null
  const failed = (text: string): RunResult => {
    const failure: Failure = { kind: 'runner-lost', filter: null, text }
    return { outcome: null, failure, attempts: 1 }
  }
  const broken = (text: string, cure: string | null): void =>
    setReady({ kind: 'broken', problems: [{ file: '--inspect', line: null, text, cure }] })
  const settle = ({ key, outcome: value }: Record<string, unknown>): void => {
    const resolve = open.get(String(key))
    open.delete(String(key))
    const outcome = checkOutcome(value)
    resolve?.(typeof outcome === 'string' ? failed(outcome) : { outcome, failure: outcome.failure, attempts: 1 })
  }
  const single = startSingle(plan.modulePaths, platform, {
    frame: (frame) => {
      switch (frame['type']) {
        case 'deaf':
          return broken(`no debugger can connect to ${address.host}:${address.port}`, 'name another address')
        case 'loaded':
          return setReady({ kind: 'serving', filters: readLoadedFilters(frame['filters']) })
        case 'broken':
          return setReady({ kind: 'broken', problems: readLoadProblems(frame['problems']) })
        case 'log': {
          const level = frame['level'] === 'error' || frame['level'] === 'warn' ? frame['level'] : 'info'
          const [filter, messageId, text] = ['filter', 'messageId', 'text'].map((key) => String(frame[key]))
          return events.said(level, filter ?? '', messageId ?? '', (text ?? '').slice(0, 2000))
        }
        case 'done': {
          const results = frame['results']
          if (Array.isArray(results)) for (const result of results) if (isRecord(result)) settle(result)
        }
      }
    },
    output: (text) => events.output(text),
    ended: (cause) => {
      lost = `the process with the filters ${cause}`
      broken(lost, null)
      for (const resolve of open.values()) resolve(failed(lost))
      open.clear()
    },
  })
  single.send({ type: 'debug', plan, ...address })
  return {
    ready,
    run: (messageId, { bodyPath, controlPaths }) =>
      new Promise((resolve) => {
        if (lost !== null) return resolve(failed(lost))
        const key = randomUUID()
        open.set(key, resolve)
        single.send({ type: 'run', key, messageId, bodyPath, controlPaths })
      }),
    kill: () => single.kill(),
  }
}
