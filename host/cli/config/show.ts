/** `nodefilter config show`: the settings in force, and where each was written. */
import { describeType, isSecret, writeDefault, writeValue } from '../../../courier-compat/setting/text.ts'
import { didYouMean } from '../../../courier-compat/near-match.ts'
import type { SettingSchema, SettingValue } from '../../../courier-compat/setting.ts'
import type { Configuration, Place } from '../../config/read.ts'
import { hostSettingList } from '../../config/settings.ts'
import { formatProblem } from '../../problem.ts'
import { exitCodes, type CommandIo } from '../command.ts'
import { formatTable } from '../table.ts'
import { asciiJson } from '../wrap.ts'

/** What to show. */
export interface ShowOptions {
  /** `section`, `section.key`, or `null` for all. */
  readonly name: string | null
  readonly changed: boolean
  readonly json: boolean
}

interface Row {
  readonly name: string
  readonly schema: SettingSchema
  readonly value: SettingValue
  /** `null`: nothing was written, the default holds. */
  readonly place: Place | null
}

/** Prints; answers 78 if the configuration is broken, which is told after what could be read of it. */
export function showConfiguration(configuration: Configuration, options: ShowOptions, io: CommandIo): number {
  const { name, changed, json } = options
  const all = rowsOf(configuration)
  const rows = all.filter((row) => name === null || row.name === name || row.name.startsWith(`${name}.`))
  if (rows.length === 0) {
    const names = [...new Set(all.flatMap((row) => [row.name, row.name.split('.')[0] ?? '']))]
    const hint = didYouMean(name ?? '', names)
    io.err(`nodefilter config: there is no setting "${name ?? ''}"${hint === null ? '' : `; ${hint}`}\n`)
    return exitCodes.usage
  }
  const shown = changed ? rows.filter(({ schema, value }) => writeValue(schema, value) !== writeDefault(schema)) : rows
  const one = rows.length === 1 && name?.includes('.') === true ? rows[0] : undefined
  if (json) io.out(`${asciiJson(asJson(configuration, shown))}\n`)
  else if (one !== undefined) io.out(describe(one))
  else {
    io.out(shown.length === 0 ? 'every setting has its default\n' : table(shown))
    if (name === null) io.out(listText(configuration))
  }
  for (const problem of configuration.problems) io.err(`${formatProblem(problem)}\n`)
  return configuration.problems.length > 0 ? exitCodes.config : exitCodes.ok
}

function rowsOf({ remaining, places }: Configuration): Row[] {
  return hostSettingList(remaining).map(({ name, schema, value }) => ({
    ...{ name, schema, value },
    place: places.get(name) ?? null,
  }))
}

function table(rows: readonly Row[]): string {
  return formatTable(
    ['setting', 'value', 'from'],
    rows.map(({ name, schema, value, place }) => [name, writeValue(schema, value), placeText(place)]),
  )
}

function describe({ name, schema, value, place }: Row): string {
  return `${name} = ${writeValue(schema, value)}
  ${schema.text}
  ${describeType(schema)}; default: ${writeDefault(schema)}; this value: ${placeText(place)}
`
}

function listText({ list, files }: Configuration): string {
  const rows = list.entries.map(({ name, alias, line, file }, index) => [
    String(index + 1),
    name === alias ? name : `${name} as ${alias}`,
    `${file}:${line}`,
  ])
  const filters = rows.length === 0 ? 'no filter is listed\n' : formatTable(['', 'filter', 'from'], rows)
  return `\n${filters}\nfiles read: ${files.length === 0 ? 'none' : files.join(', ')}\n`
}

function asJson({ list, files, problems }: Configuration, rows: readonly Row[]): unknown {
  return {
    settings: rows.map(({ name, schema, value, place }) => ({
      ...{
        name,
        value: isSecret(schema) ? writeValue(schema, value) : value,
        default: schema.default,
        type: schema.type,
      },
      from: place === null ? null : placeText(place),
    })),
    filters: list.entries.map(({ name, alias, file, line }) => ({ name, alias, from: `${file}:${line}` })),
    files,
    problems: problems.map(formatProblem),
  }
}

function placeText(place: Place | null): string {
  if (place === null) return 'default'
  return place.line === null ? place.file : `${place.file}:${place.line}`
}
