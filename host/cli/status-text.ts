/** The state of a host as a page for the terminal. Pure. */
import { basename } from 'node:path'
import type { HostPhase, HostStatus } from '../control/status.ts'
import type { FilterTally } from '../observe/tally.ts'
import { formatProblem } from '../problem.ts'
import { countOf, msText, spanText } from './amounts.ts'
import { formatTable } from './table.ts'

/** The page; `verbose` shows every setting. */
export function statusText(status: HostStatus, verbose: boolean): string {
  const parts = [headText(status), filtersText(status), runnersText(status), settingsText(status, verbose)]
  return parts.filter((part) => part !== '').join('\n')
}

/** What follows the name of the program. */
export const phaseWords: Readonly<Record<HostPhase, string>> = {
  starting: 'is starting',
  serving: 'serves',
  broken: 'IS BROKEN: no mail is filtered',
  stopping: 'is stopping',
}

function headText(status: HostStatus): string {
  const { configuration, tally, doors } = status
  const lines: [label: string, text: string][] = [
    ['state folder', status.stateDirectory],
    ['configuration', configurationText(configuration)],
    ['loaded', loadedText(configuration)],
    ...configuration.problems.map((problem): [string, string] => ['broken', formatProblem(problem)]),
    ...refusedLines(configuration.refusedReload),
    ...doors.map(({ name, path, open }): [string, string] => ['door', `${name} ${path}${open ? '' : ' (shut)'}`]),
    ['in hand', `${countOf(status.inHand, 'message')}, ${status.waiting} of them waiting for a thread`],
    ['messages', messagesText(status)],
    ['failures', failuresText(status)],
    ...storeLines(status),
    ...(tally.ranAgain === 0 ? [] : [['ran again', countOf(tally.ranAgain, 'message')] as [string, string]]),
    ...(tally.unheard === 0
      ? []
      : [['unheard', `${countOf(tally.unheard, 'answer')} that nobody waited for`] as [string, string]]),
    ...(status.log.linesDropped === 0
      ? []
      : [['log', `${countOf(status.log.linesDropped, 'line')} dropped`] as [string, string]]),
  ]
  const { version, pid, node, uptimeMs } = status
  const first = `nodefilter ${version} ${phaseWords[status.phase]} (process ${pid}, Node ${node}, up ${spanText(uptimeMs)})`
  return [first, ...lines.map(([label, text]) => `  ${label.padEnd(14)} ${text}`), ''].join('\n')
}

function configurationText({ directory, files }: HostStatus['configuration']): string {
  const inFolder = files.map((file) =>
    directory !== null && file === `${directory}/${basename(file)}` ? basename(file) : file,
  )
  return `${directory ?? 'no folder'}: ${inFolder.length === 0 ? 'no file was read' : inFolder.join(' ')}`
}

function loadedText({ loadedMs, reloads, needRestart }: HostStatus['configuration']): string {
  if (loadedMs === null) return 'nothing yet'
  const times = reloads === 0 ? 'at the start' : `by ${reloads === 1 ? 'a reload' : `the last of ${reloads} reloads`}`
  const rest = needRestart.length === 0 ? '' : `; only "nodefilter restart" takes over ${needRestart.join(', ')}`
  return `${momentText(loadedMs)}, ${times}${rest}`
}

function refusedLines(refused: HostStatus['configuration']['refusedReload']): [string, string][] {
  if (refused === null) return []
  const { atMs, problems } = refused
  return [
    ['reload refused', `${momentText(atMs)}, since it was broken; the old configuration goes on`],
    ...problems.map((problem): [string, string] => ['', formatProblem(problem)]),
  ]
}

function messagesText({ tally: { messages, verdicts, wall } }: HostStatus): string {
  if (messages === 0) return 'none since the start'
  const times = `${msText(wall.totalMs / wall.count)} ms each, ${msText(wall.maxMs)} at most`
  return `${messages} since the start: ${countsText(verdicts)} (${times})`
}

function failuresText({ tally: { failures, failuresPassed } }: HostStatus): string {
  const counts = countsText(failures)
  if (counts === '') return 'none'
  return `${counts}${failuresPassed === 0 ? '' : `; ${countOf(failuresPassed, 'message')} passed all the same`}`
}

/** Nothing where no filter has used it. */
function storeLines({ store }: HostStatus): [string, string][] {
  const { directory, state, problem, counts } = store
  if (state === 'unused') return []
  const { requests, published, known, failures } = counts
  const again = known === 0 ? '' : `, ${known} of them there already`
  const text = `${directory}: ${countOf(requests, 'request')}, ${countOf(published, 'message')} published${again}`
  return [['store', `${text}${failures === 0 ? '' : `, ${countOf(failures, 'failure')}`}`], ...problemLines(problem)]
}

function problemLines(problem: string | null): [string, string][] {
  return problem === null ? [] : [['', `IT CANNOT BE USED: ${problem}`]]
}

const outcomes = ['pass', 'accept', 'reject', 'defer', 'failed'] as const

function filtersText({ configuration, tally }: HostStatus): string {
  const known = new Map(tally.filters.map((filter) => [filter.filter, filter]))
  const former = tally.filters.filter(({ filter }) => !configuration.filters.includes(filter))
  const rows = [
    ...configuration.filters.map((alias) => filterRow(alias, known.get(alias) ?? null)),
    ...former.map((filter) => filterRow(`(${filter.filter})`, filter)),
  ]
  if (rows.length === 0) return ''
  const note = former.length === 0 ? '' : 'In brackets: in the list no more.\n'
  return formatTable(['filter', 'runs', ...outcomes, 'on trial', 'passed over', 'mean ms', 'max ms'], rows) + note
}

function filterRow(name: string, tally: FilterTally | null): string[] {
  if (tally === null) return [name, '0', ...outcomes.map(() => '0'), '0', '0', '-', '-']
  const { wall, onTrial, failuresPassed } = tally
  const counts = outcomes.map((outcome) => String(tally.outcomes[outcome] ?? 0))
  const times = [msText(wall.totalMs / wall.count), msText(wall.maxMs)]
  return [name, String(wall.count), ...counts, String(onTrial), String(failuresPassed), ...times]
}

function runnersText({ runners }: HostStatus): string {
  if (runners.length === 0) return ''
  return formatTable(
    ['runner', 'is', 'process', 'threads', 'serving', 'in hand', 'waiting', 'restarts', 'threads lost'],
    runners.map(({ name, role, pid, threads, serving, inHand, waiting, restarts, threadsLost }) => [
      ...[name, role, pid === null ? 'none' : String(pid)],
      ...[threads, serving, inHand, waiting, restarts, threadsLost].map(String),
    ]),
  )
}

function settingsText({ settings }: HostStatus, verbose: boolean): string {
  const shown = settings.filter(({ isDefault }) => verbose || !isDefault)
  if (shown.length === 0) return 'every setting has its default\n'
  const lines = shown.map(({ setting, value, isDefault }) => `  ${setting} = ${value}${isDefault ? ' (default)' : ''}`)
  return [verbose ? 'settings in force' : 'settings that differ from their defaults', ...lines, ''].join('\n')
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')
}

/** In local time, as the mail log has it. */
function momentText(ms: number): string {
  const at = new Date(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}
