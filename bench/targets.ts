/** What the Courier door is to reach on two cores, and which of it a run has reached. Pure. */
import type { Row } from './figures.ts'

interface Target {
  readonly chain: string
  readonly mail: string
  readonly concurrency: number
  /** At least so many messages a second, in parts of the bare server's. */
  readonly ofBare: number
}

const targets: readonly Target[] = [
  { chain: 'noop', mail: '1 KB', concurrency: 8, ofBare: 0.45 },
  { chain: 'noop', mail: '1 KB', concurrency: 32, ofBare: 0.65 },
  { chain: 'bundled+message', mail: '1 KB', concurrency: 1, ofBare: 0.25 },
  { chain: 'bundled+message', mail: '1 KB', concurrency: 8, ofBare: 0.38 },
  { chain: 'bundled+message', mail: '1 KB', concurrency: 32, ofBare: 0.5 },
]

/** At this concurrency p99 is to be under so many times the median. */
const tail = { concurrency: 8, times: 4 } as const

/** The chains and mails that a run needs to be held against the targets. */
export const targetChains = [...new Set(targets.map(({ chain }) => chain))]
export const targetMails = [...new Set(targets.map(({ mail }) => mail))]

/** The headings of `targetRows`. */
export const targetHeading = ['', 'chain', 'mail', 'at once', 'figure', 'wanted', 'found']

/** Each target with what was found, as the table shows it. */
export function targetRows(rows: readonly Row[]): string[][] {
  return targets.flatMap(({ chain, mail, concurrency, ofBare }) => {
    const row = rows.find((one) => one.chain === chain && one.mail === mail && one.concurrency === concurrency)
    const of = [chain, mail, String(concurrency)]
    const line = (figure: string, wanted: string, found: number | undefined, isMet: (found: number) => boolean) =>
      found === undefined
        ? ['not measured', ...of, figure, wanted, '-']
        : [isMet(found) ? 'met' : 'NOT MET', ...of, figure, wanted, found.toFixed(2)]
    const speed = line('of bare', `at least ${ofBare.toFixed(2)}`, row?.ofBare, (found) => found >= ofBare)
    if (concurrency !== tail.concurrency) return [speed]
    const times = row === undefined ? undefined : row.p99Ms / row.p50Ms
    return [speed, line('p99/p50', `under ${tail.times}`, times, (found) => found < tail.times)]
  })
}
