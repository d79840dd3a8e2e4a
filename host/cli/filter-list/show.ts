/** Filters as a table, one filter with its settings, or JSON. Pure. */
import { describeType, writeDefault } from '../../../courier-compat/setting/text.ts'
import { bundledFilters } from '../../chain/loader.ts'
import type { LoadProblem } from '../../chain/load-problem.ts'
import { formatProblem } from '../../problem.ts'
import { formatTable } from '../table.ts'
import type { AvailableFilter, Instance } from './available.ts'

/** One line a filter. */
export function filterTable(filters: readonly AvailableFilter[]): string {
  return formatTable(
    ['filter', 'in list', 'on_error', 'from', 'what it does'],
    filters.map(({ name, instances, described }) => {
      const listed = instances.map((instance) => placeText(name, instance)).join(', ')
      if ('problems' in described) return [name, listed, '', '', `cannot be used: ${problemText(described.problems)}`]
      const onError = new Set(instances.map(({ entry }) => entry.onError ?? described.onError))
      const about = described.about ?? '(does not say)'
      return [name, listed, [...onError].join(', ') || described.onError, originText(described.origin), about]
    }),
  )
}

/** Everything about one filter. */
export function filterText({ name, instances, described }: AvailableFilter): string {
  if ('problems' in described) return `${name}: cannot be used\n${indented(problemText(described.problems))}\n`
  const { about, file, origin, onError, settings } = described
  const facts = [
    ['file', file],
    ['from', originText(origin)],
    ['on_error', `${onError} unless its line in the list says otherwise`],
    ...instances.map((instance) => ['in list', lineText(name, instance)]),
    ...(instances.length === 0 ? [['in list', 'no']] : []),
  ]
  const width = Math.max(0, ...instances.map(({ entry }) => entry.alias.length))
  const blocks = Object.entries(settings).map(([key, schema], index) => {
    const values = instances.map(({ entry, inForce }) => {
      const { value = '', from = '' } = inForce[index] ?? {}
      return `    ${`${entry.alias}:`.padEnd(width + 1)} ${value}  (${from})\n`
    })
    return `  ${key}\n    ${schema.text}\n    ${describeType(schema)}; default: ${writeDefault(schema)}\n${values.join('')}`
  })
  const told = blocks.length === 0 ? '\nIt has no settings.\n' : `\nSettings:\n\n${blocks.join('\n')}`
  const head = about === null ? name : `${name}: ${about}`
  return `${head}\n${facts.map(([what = '', text = '']) => `  ${what.padEnd(8)}  ${text}\n`).join('')}${told}`
}

/** One filter as data. */
export function filterJson({ name, instances, described }: AvailableFilter): unknown {
  const isDescribed = !('problems' in described)
  return {
    name,
    ...(isDescribed ? described : { problems: described.problems }),
    inList: instances.map(({ position, entry, inForce }) => ({
      ...{ position, alias: entry.alias, file: entry.file, line: entry.line, dryRun: entry.dryRun },
      onError: entry.onError ?? (isDescribed ? described.onError : null),
      settings: inForce,
    })),
  }
}

function placeText(name: string, { position, entry }: Instance): string {
  return entry.alias === name ? String(position) : `${position} as ${entry.alias}`
}

function lineText(name: string, instance: Instance): string {
  const { entry } = instance
  const options = [
    ...(entry.onError === null ? [] : [`on_error=${entry.onError}`]),
    ...(entry.dryRun ? ['dry_run=yes'] : []),
    ...(entry.rerun ? [] : ['rerun=no']),
  ]
  return [placeText(name, instance), `(${entry.file}:${entry.line})`, ...options].join(' ')
}

function originText(origin: string): string {
  return origin === bundledFilters ? 'bundled' : origin
}

function problemText(problems: readonly LoadProblem[]): string {
  return problems.map((problem) => formatProblem({ ...problem, column: null })).join('\n')
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ')
}
