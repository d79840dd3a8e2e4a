/**
 * pythonfilter-modules.conf -> modules.conf, option by option.
 *
 * Only what nodefilter's own filters read is taken over: Python filters go on reading the old files.
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 2 (sections), 3.1 and 3.2 (`[ttldb]`, `[quarantine]`), 4.1 and 4.5 (merging, old names).
 */
import { quoted } from '../../../courier-compat/quoted.ts'
import { didYouMean } from '../../../courier-compat/near-match.ts'
import { parseModuleConfig, type ModuleOption } from '../../../courier-compat/module-config/parse.ts'
import { isRemovedOption } from '../../../courier-compat/module-config/section-names.ts'
import { settingFromPython } from '../../../courier-compat/module-config/typed.ts'
import { checkSetting, currentName } from '../../../courier-compat/setting/value.ts'
import type { SettingSchemas } from '../../../courier-compat/setting.ts'
import type { Item, Kind, SourceFile } from './item.ts'
import { oldFilter } from './old-filters.ts'
import { commentAbove, fileRows, optionRows } from './option-source.ts'
import type { OwnFilters } from './own-filters.ts'
import type { PlannedFilter } from './plan-list.ts'

/** The new settings. They are good for nothing if an item is a problem. */
export interface ModulesPlan {
  readonly items: readonly Item[]
  /** The lines of modules.conf. */
  readonly rows: readonly string[]
  /** Whether the store of tokens is files that one process may have open. */
  readonly storeIsFiles: boolean
}

/** What becomes of an option; `name` is what it is written as, `null`: not at all. */
interface Outcome {
  readonly kind: Kind
  readonly notes: readonly string[]
  readonly name: string | null
}

/** What all options are looked at with. */
interface Context {
  readonly filters: readonly PlannedFilter[]
  readonly own: OwnFilters
  /** Sections that exist, in any file. */
  readonly sections: ReadonlySet<string>
  /** Section and key -> the option that counts: the last one. */
  readonly winners: ReadonlyMap<string, ModuleOption>
}

/** Plans the settings; `files` in the order in which pythonfilter merges them. */
export function planModules(
  files: readonly SourceFile[],
  filters: readonly PlannedFilter[],
  own: OwnFilters,
): ModulesPlan {
  const parsed = files.map(({ file, text }) => ({ rows: fileRows(text), ...parseModuleConfig(text, file) }))
  const items: Item[] = parsed.flatMap(({ problems }) =>
    problems.map(({ file, line, text, cure, reason }) => {
      const effect = reason === 'ini' ? ['pythonfilter took no setting from either of its files because of this'] : []
      return { file, line, kind: 'problem', subject: cure === null ? text : `${text}; ${cure}`, notes: effect }
    }),
  )
  const options = parsed.flatMap(({ rows, sections, defaults }) =>
    [...defaults, ...sections.flatMap((section) => section.options)].map((option) => ({ rows, option })),
  )
  const context: Context = {
    ...{ filters, own },
    sections: new Set(parsed.flatMap(({ sections }) => sections.map(({ name }) => name))),
    winners: new Map(options.map(({ option }) => [id(option), option])),
  }

  const written = new Map<string, string[]>()
  for (const { rows, option } of options) {
    const outcome = outcomeOf(option, context)
    const { file, line, section, key } = option
    items.push({ file, line, kind: outcome.kind, subject: `[${section}] ${key}`, notes: outcome.notes })
    if (outcome.name === null) continue
    for (const target of targetsOf(option, context)) {
      const told = outcome.kind === 'same' ? '' : `: ${key}`
      const lines = written.get(target) ?? []
      written.set(target, lines)
      lines.push(...commentAbove(rows, line), `# ${file}:${line}${told}`, ...optionRows(rows, option, outcome.name))
    }
  }
  const type = context.winners.get('[ttldb] type')?.value
  return {
    items: items.sort(byPlace(files)),
    rows: [...written].filter(([, lines]) => lines.length > 0).flatMap(([name, lines]) => ['', `[${name}]`, ...lines]),
    storeIsFiles: type?.kind !== 'str' || type.value === 'dbm',
  }
}

function outcomeOf(option: ModuleOption, context: Context): Outcome {
  const winner = context.winners.get(id(option)) ?? option
  if (winner !== option) return left('unused', `${winner.file}:${winner.line} says otherwise, and wins`)
  const { section, key } = option
  if (section === 'DEFAULT') return outcomeOfDefault(option, context)
  if (/^(?:ttldb|quarantine)$/i.test(section)) return outcomeOfStore(section, context)
  const name = section.endsWith('.py') ? section.slice(0, -3) : null
  if (name === null) {
    const isFilter = oldFilter(section) !== null || context.filters.some((filter) => filter.name === section)
    if (!isFilter) return left('unused', 'this section belongs to no filter of the list')
    return left('unused', `pythonfilter reads [${section}.py] alone, so this had no effect`)
  }
  const filter = planned(section, context)
  if (filter?.runs === 'own') return outcomeOfOwn(option, name, context.own.get(name) ?? {})
  const old = oldFilter(name)
  if (filter === null) {
    if (old !== null) return left('unused', `${name} is not in the list`)
    return usesPython(context)
      ? left('stays', 'it is of no filter in the list; Python filters may use it')
      : left('unused', 'this section belongs to no filter of the list')
  }
  const now = old === null ? null : presentName(old.options, key)
  const renamed = now !== null && now !== key
  return left('stays', ...(renamed ? [`pythonfilter 3 ignores this name: it is ${now} now`] : []))
}

function outcomeOfOwn(option: ModuleOption, filter: string, schemas: SettingSchemas): Outcome {
  const { key } = option
  const was = presentName(oldFilter(filter)?.options ?? {}, key)
  const name = currentName(schemas, key) ?? (was === null ? null : currentName(schemas, was))
  const schema = name === null ? undefined : schemas[name]
  if (name === null || schema === undefined) {
    if (was !== null) return left('differs', `nodefilter's ${filter} has nothing of the kind, so it is left out`)
    if (isRemovedOption(filter, key)) return left('unused', 'it does nothing any more, in pythonfilter neither')
    const guess = didYouMean(key, Object.keys(schemas))
    return left('unused', `${filter} has no option ${quoted(key)}${guess === null ? '' : `; ${guess}`}`)
  }
  const converted = settingFromPython(schema, option.value)
  if ('problem' in converted) {
    const { text, cure } = converted.problem
    return left('problem', cure === null ? text : `${text}; ${cure}`)
  }
  const checked = checkSetting(schema, converted.raw)
  if ('problem' in checked) return left('problem', checked.problem)
  if (name === key) return { kind: 'same', notes: converted.warnings, name }
  const effect = `pythonfilter 3 ignores the name ${key}, so that it takes effect only now`
  return { kind: 'renamed', notes: [`written as ${name}; ${effect}`, ...converted.warnings], name }
}

/** `[DEFAULT]` says something to every section that exists. */
function outcomeOfDefault(option: ModuleOption, context: Context): Outcome {
  const targets = targetsOf(option, context)
  const [first] = targets
  if (first === undefined) {
    return usesPython(context)
      ? left('stays', 'Python filters with a section of their own may use it')
      : left('unused', 'no filter of the list has such an option')
  }
  const outcome = outcomeOfOwn(option, first, context.own.get(first) ?? {})
  return {
    ...outcome,
    notes: [...outcome.notes, `for ${targets.join(', ')}, which ${targets.length === 1 ? 'has' : 'have'} a section`],
  }
}

function outcomeOfStore(section: string, { filters }: Context): Outcome {
  const now = section.toLowerCase()
  if (section !== now) return left('unused', `pythonfilter 3 reads [${now}] alone, so this had no effect`)
  const inPython = filters.filter(({ runs }) => runs === 'python')
  // What the site's own filters use is not known.
  const users = inPython.filter(({ name }) => (oldFilter(name) ?? { store: now }).store === now)
  const names = [...new Set(users.map(({ name }) => name))]
  if (names.length === 0) return left('unused', 'no filter of the list that runs under python uses it')
  return left('stays', `for ${names.join(', ')}`)
}

/** The sections of modules.conf that an option is written to. */
function targetsOf(option: ModuleOption, context: Context): readonly string[] {
  if (option.section !== 'DEFAULT') return [option.section.slice(0, -3)]
  const { filters, own, sections, winners } = context
  const names = new Set(filters.filter(({ runs }) => runs === 'own').map(({ name }) => name))
  return [...names].filter((name) => {
    const hasOwn = winners.has(id({ section: `${name}.py`, key: option.key }))
    return sections.has(`${name}.py`) && !hasOwn && currentName(own.get(name) ?? {}, option.key) !== null
  })
}

function planned(section: string, { filters }: Context): PlannedFilter | null {
  return filters.find(({ name }) => `${name}.py` === section) ?? null
}

function presentName(options: Readonly<Record<string, string | null>>, key: string): string | null {
  if (Object.hasOwn(options, key)) return key
  return Object.entries(options).find(([, was]) => was === key)?.[0] ?? null
}

function usesPython({ filters }: Context): boolean {
  return filters.some(({ runs }) => runs === 'python')
}

function left(kind: Kind, ...notes: string[]): Outcome {
  return { kind, notes, name: null }
}

function id({ section, key }: Pick<ModuleOption, 'section' | 'key'>): string {
  return `[${section}] ${key}`
}

function byPlace(files: readonly SourceFile[]): (a: Item, b: Item) => number {
  const index = (item: Item): number => files.findIndex(({ file }) => file === item.file)
  return (a, b) => index(a) - index(b) || (a.line ?? 0) - (b.line ?? 0)
}
