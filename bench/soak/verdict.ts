/** From what the soak saw to what it says: the table of checks. Pure. */
import { quantile, slope } from '../figures.ts'
import type { MemorySample } from './watch.ts'

/** Something that must never happen, and did. */
export interface SoakFailure {
  readonly what: 'answer' | 'files' | 'processes' | 'host' | 'reload' | 'edit'
  readonly text: string
}

/** All that was counted. */
export interface SoakCounts {
  readonly seconds: number
  /** Kind -> so many messages, good ones and others. */
  readonly good: ReadonlyMap<string, number>
  readonly hostile: ReadonlyMap<string, number>
  /** Clients that said no message. */
  readonly rude: number
  /** Good messages that were answered with a temporary failure, by its kind: allowed, and counted. */
  readonly deferredBy: ReadonlyMap<string, number>
  /** How long good messages that were decided had to wait beyond the pause that they asked for. */
  readonly goodMs: readonly number[]
  readonly runnersKilled: number
  readonly runnersFrozen: number
  readonly reloads: number
  readonly calms: number
  readonly memory: readonly MemorySample[]
  /** So many descriptors at each calm. */
  readonly descriptors: readonly number[]
  /** So many lines the host logged. */
  readonly logLines: number
}

/** One line of the summary. */
export interface SoakCheck {
  readonly check: string
  readonly figure: string
  readonly bound: string
  readonly isMet: boolean
}

/** What must hold. Memory is that of the second half of the run: before it the host warms up. */
export const soakBounds = {
  octetsAMessage: 1000,
  /** A short run has few messages, for which a little that comes and goes is much. */
  octetsInAll: 2_000_000,
  goodDeferredShare: 0.02,
  goodSlowestMs: 20_000,
  /** A message has a line, a refusal another one, and some run again; beside them there is what filters may write. */
  logLinesAMessage: 4,
  logLinesASecond: 150,
} as const

/** The checks, in the order in which they are told. */
export function checksOf(counts: SoakCounts, failures: readonly SoakFailure[]): SoakCheck[] {
  const total = (kinds: ReadonlyMap<string, number>): number => [...kinds.values()].reduce((sum, one) => sum + one, 0)
  const good = total(counts.good)
  const none = (check: string, ...what: readonly SoakFailure['what'][]): SoakCheck => {
    const count = failures.filter((failure) => what.includes(failure.what)).length
    return { check, figure: String(count), bound: 'none', isMet: count === 0 }
  }
  const memory = (check: string, of: (sample: MemorySample) => number): SoakCheck => {
    const { aMessage, inAll } = memoryGrowth(counts.memory, of)
    const isMet = counts.memory.length > 0 && (aMessage < soakBounds.octetsAMessage || inAll < soakBounds.octetsInAll)
    const figure = `${aMessage.toFixed(0)} octets a message (${(inAll / 1000).toFixed(0)} KB in all)`
    const bound = `under ${soakBounds.octetsAMessage}, or ${soakBounds.octetsInAll / 1000} KB in all`
    return { check, figure, bound, isMet }
  }
  const share = good === 0 ? 1 : total(counts.deferredBy) / good
  const causes = [...counts.deferredBy].map(([kind, times]) => `, ${kind} ${times}`).join('')
  const slowestMs = counts.goodMs.reduce((most, one) => Math.max(most, one), 0)
  const third = Math.ceil(counts.descriptors.length / 3)
  const [first, last] = [Math.max(...counts.descriptors.slice(0, third)), Math.min(...counts.descriptors.slice(-third))]
  const messages = good + total(counts.hostile)
  const mostLines = messages * soakBounds.logLinesAMessage + counts.seconds * soakBounds.logLinesASecond
  return [
    none('answers missing or wrong', 'answer'),
    none('edits lost, doubled or left half-done', 'edit'),
    none('files left over', 'files'),
    none('processes left over', 'processes'),
    none('reloads that went wrong', 'reload'),
    none('faults of the host itself', 'host'),
    {
      ...{ check: 'good messages deferred', figure: `${(share * 100).toFixed(2)} %${causes}` },
      ...{ bound: `under ${soakBounds.goodDeferredShare * 100} %`, isMet: share < soakBounds.goodDeferredShare },
    },
    {
      check: 'slowest good message',
      figure: `${(slowestMs / 1000).toFixed(1)} s (p50 ${quantile(counts.goodMs, 0.5).toFixed(1)} ms)`,
      bound: `under ${soakBounds.goodSlowestMs / 1000} s`,
      isMet: slowestMs < soakBounds.goodSlowestMs,
    },
    memory('heap of the host grows', ({ heldOctets }) => heldOctets),
    memory('resident memory of the host grows', (sample) => sample.residentOctets),
    {
      ...{ check: 'descriptors of the host', figure: `${first} at most at first, ${last} at least at last` },
      ...{ bound: 'no more at last', isMet: last <= first },
    },
    {
      ...{ check: 'lines of the log', figure: String(counts.logLines) },
      ...{ bound: `at most ${mostLines.toFixed(0)}`, isMet: counts.logLines <= mostLines },
    },
  ]
}

/** By how much memory grew over the second half of the samples: of the line that fits them best. In octets. */
export function memoryGrowth(
  samples: readonly MemorySample[],
  of: (sample: MemorySample) => number,
): { readonly aMessage: number; readonly inAll: number } {
  const later = samples.slice(Math.floor(samples.length / 2))
  const aMessage = slope(later.map((sample) => [sample.messages, of(sample)]))
  return { aMessage, inAll: aMessage * ((later.at(-1)?.messages ?? 0) - (later[0]?.messages ?? 0)) }
}
