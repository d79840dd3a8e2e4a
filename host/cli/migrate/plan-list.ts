/**
 * pythonfilter.conf -> filters.conf, line by line.
 *
 * What pythonfilter did is kept, also where something else was meant; what was probably meant is told.
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 1.2 (what each line meant), 1.3 (where filters are found).
 */
import { quoted } from '../../../courier-compat/quoted.ts'
import { filterNameProblem } from '../../chain/filter-name.ts'
import { parseList, type ChainEntry } from '../../chain/list.ts'
import { keywords } from '../../chain/list-words.ts'
import type { Problem } from '../../problem.ts'
import type { Item, SourceFile } from './item.ts'
import { oldFilter } from './old-filters.ts'
import type { PythonInstallation } from './python.ts'

/** One filter at its place in the new list. */
export interface PlannedFilter {
  readonly name: string
  readonly alias: string
  /** `own`: nodefilter's filter of this name; `python`: the module of the existing installation, in a child process. */
  readonly runs: 'own' | 'python'
  readonly line: number
}

/** The new list. It is good for nothing if an item is a problem. */
export interface ListPlan {
  readonly items: readonly Item[]
  readonly filters: readonly PlannedFilter[]
  /** The lines of filters.conf. */
  readonly rows: readonly string[]
}

/** Plans the list. `own` are the names of nodefilter's own filters. */
export function planList(list: SourceFile, own: ReadonlySet<string>, python: PythonInstallation | null): ListPlan {
  const { file } = list
  const parsed = parseList(list.text, file, 'pythonfilter')
  const remarks = Map.groupBy(parsed.warnings, ({ line }) => line)
  const problems = Map.groupBy(parsed.problems, ({ line }) => line)
  const entries = new Map(parsed.entries.map((entry) => [entry.line, entry]))
  const filters = planFilters(parsed.entries, own, python)

  const items: Item[] = []
  const rows: string[] = []
  for (const [index, text] of rowsOf(list.text).entries()) {
    const line = index + 1
    const found = problems.get(line)
    const entry = entries.get(line)
    if (found !== undefined) {
      items.push({ file, line, kind: 'problem', subject: text.trim(), notes: found.map(told) })
    } else if (entry !== undefined) {
      const planned = planEntry(text.trim(), entry, filters, remarks.get(line) ?? [], python)
      items.push(planned.item)
      rows.push(...planned.rows)
    } else {
      rows.push(text.trim())
      if (text.trim() !== '' ? /^[ \t]/.test(text) : text !== '') {
        const what = text.trim() === '' ? 'a line of blanks' : 'a comment with blanks before it'
        const note = `pythonfilter does not start with ${what} in its list; here it says nothing`
        items.push({ file, line, kind: 'differs', subject: text.trim(), notes: [note] })
      }
    }
  }
  return { items, filters: [...filters.values()].filter((filter) => filter !== null), rows }
}

/** Decides what runs at each entry's place: `null` where there is nothing of that name. */
function planFilters(
  entries: readonly ChainEntry[],
  own: ReadonlySet<string>,
  python: PythonInstallation | null,
): ReadonlyMap<number, PlannedFilter | null> {
  const taken = new Set(entries.map(({ name }) => name))
  const seen = new Set<string>()
  return new Map(
    entries.map(({ name, line }): [number, PlannedFilter | null] => {
      // A filter of the site's own is not nodefilter's filter that happens to have its name.
      if (own.has(name) && oldFilter(name) !== null) return [line, { name, alias: name, runs: 'own', line }]
      if (python?.modules.has(name) !== true) return [line, null]
      // Two lines with one name are two instances, and an alias is a name of its own.
      let alias = name
      for (let count = 2; seen.has(alias) || (alias !== name && taken.has(alias)); count++) alias = `${name}_${count}`
      seen.add(alias)
      return [line, { name, alias, runs: 'python', line }]
    }),
  )
}

function planEntry(
  text: string,
  entry: ChainEntry,
  filters: ReadonlyMap<number, PlannedFilter | null>,
  warnings: readonly Problem[],
  python: PythonInstallation | null,
): { readonly item: Item; readonly rows: readonly string[] } {
  const { name, file, line } = entry
  const planned = filters.get(line) ?? null
  const problem = (notes: readonly string[]) =>
    ({ item: { file, line, kind: 'problem', subject: text, notes }, rows: [] }) as const
  if (planned === null) return problem([missing(name, python)])
  const module = planned.runs === 'python' ? (python?.modules.get(name) ?? null) : null
  if (module !== null && module.fault !== null) return problem([`${module.file}: ${module.fault}`])

  const notes = warnings.map(told)
  const skips = planSkips(entry, filters, notes)
  const words = [name, ...(skips.length === 0 ? [] : ['for', ...skips])]
  const difference = planned.runs === 'own' ? (oldFilter(name)?.changed ?? null) : null
  if (difference !== null) notes.push(difference)
  const isOther = notes.length > 0
  const written =
    planned.runs === 'own' || python === null
      ? words.join(' ')
      : ['python', 'as', planned.alias, ...words.slice(1), 'with', `module=${name}`, ...pythonOptions(python)].join(' ')
  if (module !== null) {
    const whose = oldFilter(name) === null ? "the site's own filter" : 'nodefilter has no filter of this name yet:'
    notes.unshift(`${whose} ${module.file} runs in a child process: ${written}`)
  }

  const faults = parseList(written, file, 'nodefilter').problems
  if (faults.length > 0) return problem(faults.map(told))
  const kind = planned.runs === 'python' ? 'python' : isOther ? 'differs' : 'same'
  const from = `# ${file}:${line}${kind === 'same' ? '' : `: ${text}`}`
  const remarks = kind === 'same' ? [] : notes.map((note) => `#   ${note}`)
  return { item: { file, line, kind, subject: text, notes }, rows: [from, ...remarks, written] }
}

/** The names after `for`, such that our own list understands them and the same filters are skipped. */
function planSkips(
  entry: ChainEntry,
  filters: ReadonlyMap<number, PlannedFilter | null>,
  notes: string[],
): readonly string[] {
  if (entry.skips.length === 0) return []
  const skips = entry.skips.flatMap((skip) => {
    const instances = [...filters.values()]
      .filter((filter) => filter?.name === skip)
      .map((filter) => filter?.alias ?? '')
    if (instances.length > 0) return instances
    return keywords.includes(skip) || filterNameProblem(skip) !== null ? [] : [skip]
  })
  if (skips.length > 0) return [...new Set(skips)]
  // An acceptance here went on with the list. Without any name after "for" it would end it.
  let nobody = 'none'
  for (let count = 2; [...filters.values()].some((filter) => filter?.alias === nobody); count++)
    nobody = `none_${count}`
  notes.push(`so it skipped nothing, which is written as "for ${nobody}", a name that no filter has`)
  return [nobody]
}

/** What the filter python uses where its line says nothing else. */
const usualInterpreter = '/usr/bin/python3'

function pythonOptions({ interpreter, path }: PythonInstallation): string[] {
  const options: string[] = []
  if (interpreter !== null && interpreter !== usualInterpreter) options.push(`interpreter=${withValue(interpreter)}`)
  if (path !== null) options.push(`path=${withValue(path)}`)
  return options
}

function missing(name: string, python: PythonInstallation | null): string {
  const kind = oldFilter(name) === null ? "none of pythonfilter's own" : 'not in this version of nodefilter'
  const place = python === null ? 'no Python installation of pythonfilter was found' : `not in ${python.folder}`
  const cure =
    python === null ? 'name its interpreter with --python' : 'take the line out, or name another Python with --python'
  return `${quoted(name)} is ${kind}, and ${place}; ${cure}`
}

/** A warning in words. To take a name out after `for` is no cure before it is known what stays: told elsewhere. */
function told({ text, cure }: Problem): string {
  return cure === null || cure === 'take it out' ? text : `${text}; ${cure}`
}

function withValue(text: string): string {
  return /^[^ \t"]*[^ \t",]$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}

function rowsOf(text: string): string[] {
  const rows = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  if (rows.at(-1) === '') rows.pop()
  return rows
}
