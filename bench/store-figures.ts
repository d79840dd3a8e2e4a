/** The arithmetic of the store benchmark, and what the store is to reach. Pure. */
import { median } from './figures.ts'

/** What was measured, a value for each round. Rates a second, times in µs, memory in octets. */
export interface StoreFigures {
  /** Durable additions of 8 KB from 32 producers, and the same number of deliveries into a Maildir beside them. */
  readonly adds: readonly number[]
  readonly deliveries: readonly number[]
  /** A message sorted and put in its queue, as the import does it; and by the filter, in a host. */
  readonly sorted: readonly number[]
  readonly filtered: readonly number[]
  /** One after the other, with few and with many messages waiting. */
  readonly addFewUs: readonly number[]
  readonly addManyUs: readonly number[]
  readonly receiveFewUs: readonly number[]
  readonly receiveManyUs: readonly number[]
  /** A look-up among few and among many keys of a TTL map. */
  readonly lookUpFewUs: readonly number[]
  readonly lookUpManyUs: readonly number[]
  /** A duplicate check and a loop decision with few and with many remembered. */
  readonly checkFewUs: readonly number[]
  readonly checkManyUs: readonly number[]
  readonly paceFewUs: readonly number[]
  readonly paceManyUs: readonly number[]
  /** By how much the process grew while one large message went in and out. */
  readonly largeGrownOctets: readonly number[]
}

/** The headings of `storeTargets`. */
export const storeHeading = ['', 'figure', 'wanted', 'found', 'least', 'most']

/** Each target with what was found. Ratios are of values of the same round; with `sizes` the texts name how many is many. */
export function storeTargets(
  figures: StoreFigures,
  sizes: { readonly waiting: number; readonly keys: number; readonly largeOctets: number },
): string[][] {
  const { waiting, keys, largeOctets } = sizes
  const ratio = (of: readonly number[], by: readonly number[]): number[] =>
    of.map((value, round) => value / (by[round] ?? Number.NaN))
  const least = (text: string, wanted: number, values: readonly number[], digits = 1): string[] =>
    row(text, `at least ${wanted}`, values, digits, median(values) >= wanted)
  const most = (text: string, wanted: number, values: readonly number[], digits = 2): string[] =>
    row(text, `at most ${wanted}`, values, digits, median(values) <= wanted)
  const mebibytes = figures.largeGrownOctets.map((octets) => octets / 2 ** 20)
  const large = `${(largeOctets / 2 ** 20).toFixed(0)} MiB in and out, MiB grown`
  return [
    least('additions of 8 KB, of Maildir deliveries', 10, ratio(figures.adds, figures.deliveries)),
    least('messages sorted a second, import', 1000, figures.sorted, 0),
    least('messages sorted a second, filter', 1000, figures.filtered, 0),
    most(`add, ${waiting} waiting of 1000`, 1.5, ratio(figures.addManyUs, figures.addFewUs)),
    most(`receive, ${waiting} waiting of 1000`, 1.5, ratio(figures.receiveManyUs, figures.receiveFewUs)),
    most(`look-up, ${2 * keys} keys of 10000`, 2, ratio(figures.lookUpManyUs, figures.lookUpFewUs)),
    most(`duplicate check, ${keys} ids of 1000`, 1.5, ratio(figures.checkManyUs, figures.checkFewUs)),
    most(`loop decision, ${keys} senders of 1000`, 1.5, ratio(figures.paceManyUs, figures.paceFewUs)),
    most(large, 64, mebibytes, 0),
  ]
}

function row(text: string, wanted: string, values: readonly number[], digits: number, isMet: boolean): string[] {
  const found = [median(values), Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits))
  return [values.length === 0 ? 'not measured' : isMet ? 'met' : 'NOT MET', text, wanted, ...found]
}
