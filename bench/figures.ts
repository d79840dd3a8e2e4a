/** The arithmetic of the benchmark. Pure. */

/** The middle one, or the mean of the two in the middle; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  const [low = 0, high = low] = sorted.length % 2 === 1 ? [sorted[half]] : [sorted[half - 1], sorted[half]]
  return (low + high) / 2
}

/** The value below which `share` (0 to 1) of all lie; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** One row of the result. Memory in octets, CPU time in µs for one message; `null` where this machine does not tell. */
export interface Row {
  readonly chain: string
  readonly mail: string
  readonly concurrency: number
  readonly perSecond: number
  /** The median, over the rounds, of this one's throughput in parts of the bare server's beside it. */
  readonly ofBare: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly hostOctets: number | null
  readonly runnerOctets: number | null
  readonly hostCpuUs: number | null
  readonly runnerCpuUs: number | null
}

/** A row as the table shows it. */
export function rowCells(row: Row): string[] {
  const whole = (value: number | null, unit = 1): string => (value === null ? '-' : (value / unit).toFixed(0))
  return [
    row.chain,
    row.mail,
    String(row.concurrency),
    row.perSecond.toFixed(0),
    row.ofBare.toFixed(2),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    (row.p99Ms / row.p50Ms).toFixed(1),
    whole(row.hostCpuUs),
    whole(row.runnerCpuUs),
    whole(row.hostOctets, 2 ** 20),
    whole(row.runnerOctets, 2 ** 20),
  ]
}

/** The headings of `rowCells`. The CPU time is that of one message. */
export const rowHeading = [
  ...['chain', 'mail', 'at once', 'mails/s', 'of bare', 'p50 ms', 'p99 ms', 'p99/p50'],
  ...['host µs', 'runner µs', 'host MiB', 'runner MiB'],
]

/** The slope of the line that fits the points best (least squares); 0 for less than two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return spread === 0 || points.length < 2
    ? 0
    : points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread
}
