/** The state of a host as a screen: two looks at it -> lines. Pure: no terminal, no clock. */
import type { HostStatus } from '../../control/status.ts'
import { formatProblem } from '../../problem.ts'
import { countOf, mebibytesText, msText, spanText } from '../amounts.ts'
import { phaseWords } from '../status-text.ts'
import { formatTable } from '../table.ts'
import { visible } from '../wrap.ts'
import { filterRates, intervalOf, perSecond, quantileMs, spreadSince, type Interval } from './rates.ts'

/** How a line is to look, where the terminal can. */
export type Tone = 'title' | 'heading' | 'plain' | 'bad'

/** One line, of printable text. */
export interface ScreenLine {
  readonly text: string
  readonly tone: Tone
}

/** The size of a window. */
export interface WindowSize {
  readonly columns: number
  readonly rows: number
}

const maxNameChars = 28

/** The screen. `size` is `null` for a page of any length; else it fits: filters that are quick are left out first. */
export function topScreen(now: HostStatus, earlier: HostStatus | null, size: WindowSize | null): ScreenLine[] {
  const interval = intervalOf(now, earlier)
  const fixed = [...headLines(now, interval), plain(''), ...runnerLines(now)]
  const filters = filterLines(now, interval, size === null ? Infinity : size.rows - fixed.length - 1)
  return fitted(filters.length === 0 ? fixed : [...fixed, plain(''), ...filters], size)
}

/** Instead of the screen while no host answers: what is wrong, above what was last seen. */
export function silentScreen(text: string, size: WindowSize): ScreenLine[] {
  return fitted([{ text, tone: 'bad' }], size)
}

function fitted(lines: readonly ScreenLine[], size: WindowSize | null): ScreenLine[] {
  const shown = size === null ? lines : lines.slice(0, size.rows)
  return shown.map(({ text, tone }) => {
    const clean = visible(text.replaceAll('\n', ' '))
    return { text: size === null ? clean : clean.slice(0, size.columns), tone }
  })
}

function headLines(now: HostStatus, interval: Interval): ScreenLine[] {
  const { tally, log, maxWaiting, inHand, waiting, runnerTally, doors } = now
  const before = interval.before?.tally
  const rate = (count: number, earlier: number | undefined): string => rateText(perSecond(count, earlier, interval))
  const verdicts = ['pass', 'accept', 'reject', 'defer']
  for (const verdict of Object.keys(tally.verdicts)) if (!verdicts.includes(verdict)) verdicts.push(verdict)
  const byVerdict = verdicts.map((kind) => `${rate(tally.verdicts[kind] ?? 0, before?.verdicts[kind] ?? 0)} ${kind}`)
  const wall = spreadSince(tally.wall, before?.wall)
  const [p50, p99] = [0.5, 0.99].map((share) => quantileText(quantileMs(share, wall, tally.boundsMs)))
  const failures = Object.entries(tally.failures)
  const leftOut = runnerTally.reduce((sum, { linesLeftOut }) => sum + linesLeftOut, 0)
  const dropped = log.linesDropped
  const since = interval.isSinceStart ? 'rates since its start' : `rates over ${interval.seconds.toFixed(1)} s`
  const labelled = (label: string, text: string, isBad = false): ScreenLine => ({
    text: `${label.padEnd(12)} ${text}`,
    tone: isBad ? 'bad' : 'plain',
  })
  return [
    {
      text: `nodefilter ${now.version} ${phaseWords[now.phase]} (process ${now.pid}, up ${spanText(now.uptimeMs)}), ${since}`,
      tone: now.phase === 'broken' ? 'bad' : 'title',
    },
    ...now.configuration.problems.slice(0, 1).map((problem) => labelled('broken', formatProblem(problem), true)),
    labelled(
      'messages',
      `${rate(tally.messages, before?.messages)}/s: ${byVerdict.join(', ')}; ${tally.messages} in all`,
    ),
    labelled('times', `p50 ${p50} ms, p99 ${p99} ms; ${msText(tally.wall.maxMs)} ms at most since the start`),
    labelled('in hand', `${inHand}, ${waiting} of them waiting (${maxWaiting} may)`, waiting >= maxWaiting),
    ...doors.map((door) => {
      const earlier = interval.before?.doors.find(({ name }) => name === door.name)?.counts
      const { open, accepted, refused, requestsRefused } = door.counts
      const requests = Object.values(requestsRefused).reduce((sum, count) => sum + count, 0)
      const text = `${open} open (${door.maxConnections} may), ${rate(accepted, earlier?.accepted)}/s; refused: `
      return labelled('connections', `${text}${countOf(refused, 'connection')}, ${countOf(requests, 'request')}`)
    }),
    labelled(
      'failures',
      failures.length === 0
        ? 'none'
        : failures
            .map(([kind, count]) => `${count} ${kind} (${rate(count, before?.failures[kind] ?? 0)}/s)`)
            .join(', '),
      failures.some(([kind, count]) => count > (before?.failures[kind] ?? 0)),
    ),
    labelled('log', `${countOf(dropped, 'line')} dropped, ${leftOut} of filters left out`, dropped > 0),
    labelled('host', hostText(now, interval)),
  ]
}

function hostText({ process }: HostStatus, interval: Interval): string {
  const before = interval.before?.process
  const share = (ms: number, earlier: number | undefined): string =>
    `${Math.round(perSecond(ms, earlier, interval) / 10)}%`
  const busy = share(process.loopActiveMs, before?.loopActiveMs)
  const cpu = share(process.cpuMs, before?.cpuMs)
  return `event loop ${busy} busy, ${msText(process.loopTurnMs)} ms a turn; CPU ${cpu}; ${mebibytesText(process.residentOctets)}`
}

function runnerLines({ runners }: HostStatus): ScreenLine[] {
  return tableLines(
    ['runner', 'is', 'process', 'threads', 'in hand', 'waiting', 'memory', 'restarts', 'threads lost'],
    runners.map((runner) => [
      ...[runner.name, runner.role, runner.pid === null ? 'none' : String(runner.pid)],
      `${runner.serving} of ${runner.threads}`,
      ...[String(runner.inHand), String(runner.waiting), mebibytesText(runner.memoryOctets ?? runner.residentOctets)],
      ...[String(runner.restarts), String(runner.threadsLost)],
    ]),
  )
}

/** At most `rows` lines; the last one tells how many filters are left out. */
function filterLines(now: HostStatus, interval: Interval, rows: number): ScreenLine[] {
  const rates = filterRates(now, interval)
  const headRows = 2
  const isCut = rates.length + headRows > rows
  const shown = isCut ? rates.slice(0, Math.max(0, rows - headRows - 1)) : rates
  if (shown.length === 0) return []
  const lines = tableLines(
    ['filter', 'runs/s', 'refused/s', 'failed/s', 'mean ms', 'p50 ms', 'p99 ms', 'max ms'],
    shown.map((each) => [
      each.filter.length > maxNameChars ? `${each.filter.slice(0, maxNameChars - 2)}..` : each.filter,
      ...[each.runsPerSecond, each.refusedPerSecond, each.failedPerSecond].map(rateText),
      ...[each.meanMs, each.p50Ms, each.p99Ms].map(quantileText),
      msText(each.maxMs),
    ]),
  )
  return isCut ? [...lines, plain(`and ${countOf(rates.length - shown.length, 'quicker filter')}`)] : lines
}

function tableLines(heading: readonly string[], rows: readonly (readonly string[])[]): ScreenLine[] {
  if (rows.length === 0) return []
  return formatTable(heading, rows)
    .trimEnd()
    .split('\n')
    .map((text, index) => ({ text, tone: index === 0 ? 'heading' : 'plain' }))
}

function plain(text: string): ScreenLine {
  return { text, tone: 'plain' }
}

function rateText(rate: number): string {
  return rate.toFixed(rate < 1000 ? 1 : 0)
}

function quantileText(ms: number | null): string {
  return ms === null ? '-' : msText(ms)
}
