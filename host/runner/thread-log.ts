/** The loggers that a thread's filters get: each line cut, so many a second, the number of the others told. */
import type { FilterLog } from '../../courier-compat/filter.ts'
import { createRateLimit, type RateLimit } from '../observe/rate-limit.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { LineUp } from './wire.ts'

/** A longer text of a filter is cut. Unit: characters. */
const maxText = 2000

/** A number waits for the filter's next line no longer than this. */
const toldAfterMs = 1000

/** The loggers of one thread. */
export interface ThreadLog {
  /** For the filter of this name; `messageId` is `''` where it speaks of no message. */
  readonly loggerFor: (alias: string, messageId: string) => FilterLog
  /** Tells what is untold. */
  close(): void
  /** Nothing more is told. */
  drop(): void
}

/** What is kept of one filter. */
interface Flow {
  readonly limit: RateLimit
  timer: Timer | null
}

/** `send` takes the lines that pass: at most `linesPerSecond` of each filter, and two that tell a number. */
export function createThreadLog(send: (frame: LineUp) => void, linesPerSecond: number, clock: Clock): ThreadLog {
  const flows = new Map<string, Flow>()
  const tellRefused = (alias: string, { limit }: Flow): void => {
    const refused = limit.takeRefused()
    if (refused === 0) return
    send({ type: 'log', level: 'warn', filter: alias, messageId: '', text: `${refused} lines were left out` })
  }
  const drop = (): void => {
    for (const flow of flows.values()) {
      flow.timer?.cancel()
      flow.timer = null
    }
  }
  return {
    loggerFor: (alias, messageId) => {
      const say = (level: 'info' | 'warn' | 'error', text: unknown): void => {
        let flow = flows.get(alias)
        if (flow === undefined) {
          flow = { limit: createRateLimit(linesPerSecond, () => clock.monotonicMs()), timer: null }
          flows.set(alias, flow)
        }
        const own = flow
        if (!own.limit.allow()) {
          // The filter may never write again, or in another thread.
          own.timer ??= clock.after(toldAfterMs, () => {
            own.timer = null
            tellRefused(alias, own)
          })
          return
        }
        tellRefused(alias, own)
        send({ type: 'log', level, filter: alias, messageId, text: String(text).slice(0, maxText) })
      }
      return {
        info: (text) => say('info', text),
        warn: (text) => say('warn', text),
        error: (text) => say('error', text),
      }
    },
    close: () => {
      drop()
      for (const [alias, flow] of flows) tellRefused(alias, flow)
    },
    drop,
  }
}
