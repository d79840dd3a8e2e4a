/** The arithmetic of the message benchmark, and what the reader is to reach. Pure. */
import { median } from './figures.ts'

/** One row of the result. Memory in octets; `null` where this machine does not tell. */
export interface MessageRow {
  readonly method: string
  readonly mail: string
  readonly readings: number
  readonly medianMs: number
  /** The median, over the rounds, of this one's median time in parts of that of the first row beside it. */
  readonly ofFirst: number
  /** The least and the most of that over the rounds. */
  readonly ofFirstRange: readonly [number, number]
  /** The most memory beyond what the process had before: while it read the mail once, and over all readings. */
  readonly firstOctets: number | null
  readonly mostOctets: number | null
}

/** A row of these times, a list a round, beside those of the first row. */
export function rowOf(
  job: { readonly method: string; readonly mail: string },
  runs: readonly (readonly number[])[],
  first: readonly (readonly number[])[],
  memory: Pick<MessageRow, 'firstOctets' | 'mostOctets'>,
): MessageRow {
  const times = runs.flat()
  const ratios = runs.map((run, round) => median(run) / median(first[round] ?? []))
  return {
    ...{ method: job.method, mail: job.mail, readings: times.length, medianMs: median(times) },
    ...{ ofFirst: median(ratios), ofFirstRange: [Math.min(...ratios), Math.max(...ratios)] },
    ...memory,
  }
}

/** The headings of `messageCells`. */
export const messageHeading = [
  ...['method', 'mail', 'readings', 'median ms', 'of the first', 'least', 'most', 'once MiB', 'all MiB'],
]

/** A row as the table shows it. */
export function messageCells(row: MessageRow): string[] {
  return [
    ...[row.method, row.mail, String(row.readings), row.medianMs.toFixed(3), row.ofFirst.toFixed(2)],
    ...row.ofFirstRange.map((ratio) => ratio.toFixed(2)),
    ...[mebibytes(row.firstOctets), mebibytes(row.mostOctets)],
  ]
}

/** How many times as long the others are to take at least, with each mail. */
const factors: Readonly<Record<string, number>> = { mailsplit: 5, simpleParser: 8 }

/** By so much memory the reader may grow. */
const grownOctets = 32 * 2 ** 20

/** A header section may cost so many times what that of the smallest mail costs: as much, but for what measuring costs. */
const headerFactor = 1.25

/** The headings of `messageTargets`. */
export const messageTargetHeading = ['', 'mail', 'figure', 'wanted', 'found']

/** Each target with what was found, as the table shows it. */
export function messageTargets(rows: readonly MessageRow[]): string[][] {
  return rows.flatMap(({ method, mail, ofFirst, firstOctets, mostOctets }) => {
    const factor = factors[method]
    if (factor !== undefined) {
      const wanted = `at least ${factor}`
      return [[metOrNot(ofFirst >= factor), mail, `times as fast as ${method}`, wanted, ofFirst.toFixed(2)]]
    }
    const memory = (figure: string, octets: number | null): string[] =>
      octets === null
        ? ['not measured', mail, figure, `under ${mebibytes(grownOctets)} MiB`, '-']
        : [metOrNot(octets < grownOctets), mail, figure, `under ${mebibytes(grownOctets)} MiB`, mebibytes(octets)]
    if (method === 'reader') {
      return [memory('memory of one reading', firstOctets), memory('memory of all readings', mostOctets)]
    }
    const wanted = `under ${headerFactor}`
    return [[metOrNot(ofFirst < headerFactor), mail, 'header section, of the smallest', wanted, ofFirst.toFixed(2)]]
  })
}

function metOrNot(isMet: boolean): string {
  return isMet ? 'met' : 'NOT MET'
}

function mebibytes(octets: number | null): string {
  return octets === null ? '-' : (octets / 2 ** 20).toFixed(0)
}
