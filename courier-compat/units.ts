/**
 * Durations and sizes as an administrator writes them.
 *
 * Pure: no clock, socket, file or logger.
 */

const durationUnits: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
])

/** `500ms`, `30s`, `5m`, `24h`, `7d` -> milliseconds; `null` for anything else, a number without a unit included. */
export function parseDuration(text: string): number | null {
  return parseWithUnit(text, durationUnits)
}

/** `512`, `64KiB`, `10MiB`, `2GiB` -> octets; `null` for anything else. */
export function parseSize(text: string): number | null {
  return parseWithUnit(text, sizeUnits)
}

function parseWithUnit(text: string, units: ReadonlyMap<string, number>): number | null {
  const match = /^([0-9]{1,15})([A-Za-z]*)$/.exec(text)
  const factor = units.get(match?.[2] ?? '')
  if (match === null || factor === undefined) return null
  const value = Number(match[1]) * factor
  return Number.isSafeInteger(value) ? value : null
}

/** Milliseconds -> the shortest way to write them: 90_000 -> `90s`, 86_400_000 -> `1d`. The inverse of `parseDuration`. */
export function formatDuration(ms: number): string {
  return formatWithUnit(ms, durationUnits)
}

/** Octets -> `64KiB`, `512`. The inverse of `parseSize`. */
export function formatSize(octets: number): string {
  return formatWithUnit(octets, sizeUnits)
}

/** In the largest unit that leaves a whole number. */
function formatWithUnit(value: number, units: ReadonlyMap<string, number>): string {
  const fitting = [...units].filter(([, factor]) => value % factor === 0 && value >= factor)
  const [unit, factor] = fitting.at(-1) ?? [...units].at(value === 0 && units === durationUnits ? 1 : 0) ?? ['', 1]
  return `${value / factor}${unit}`
}
