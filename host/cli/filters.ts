/** `nodefilter filters`: which filters there are, what they do, and how they are set. */
import { parseArgs } from 'node:util'
import { didYouMean } from '../../courier-compat/near-match.ts'
import { readConfiguration } from '../config/read.ts'
import { systemPlatform } from '../platform/platform.ts'
import { formatProblem } from '../problem.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { usualConfigDirectory } from './config-directory.ts'
import { listFilters } from './filter-list/available.ts'
import { filterJson, filterTable, filterText } from './filter-list/show.ts'
import { usageError } from './usage.ts'
import { asciiJson, visible } from './wrap.ts'

const help = `usage: nodefilter filters [-c DIR] [--set SECTION.KEY=VALUE]... [--json] [NAME]

Lists the filters that can be written into filters.conf: those that come with nodefilter, those in the folders of [chain]
filter_path, and npm packages beside these folders or the configuration, with their places in the list. With NAME, a
filter's name or alias: its settings, and for each place in the list the values in force and where they were written.

Each module is imported, in a process of its own, but not started: its initFilter is not called. Packages that are not in
the list are shown if they have the keyword "nodefilter-filter".

  -c, --config DIR     folder of nodefilter.conf and filters.conf (default: as for "nodefilter run")
      --set SECTION.KEY=VALUE  one setting; wins over nodefilter.conf; may be given again
      --json           one JSON object a filter

Exit status: 0 all that is listed can be loaded; 64 wrong usage, or no such filter; 78 the configuration, or a filter of
its list, is broken.
`

/** The command. */
export const filtersCommand: Command = {
  name: 'filters',
  summary: 'list the filters there are, or one with its settings',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    return typeof options === 'number' ? options : show(options, io)
  },
}

interface FiltersOptions {
  readonly name: string | null
  readonly config: string | undefined
  readonly set: readonly string[]
  readonly json: boolean
}

function parseOptions(args: readonly string[], io: CommandIo): FiltersOptions | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
      },
    })
    const [name = null, extra] = positionals
    if (extra !== undefined) return usageError(io, 'filters', `unexpected argument "${extra}"`)
    return { name, config: values.config, set: values.set, json: values.json }
  } catch (thrown) {
    return usageError(io, 'filters', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function show({ name, config, set, json }: FiltersOptions, io: CommandIo): Promise<number> {
  const directory = config ?? (await usualConfigDirectory(io.env))
  // Where nothing is installed yet there are still the filters that come with it.
  const request = { directory, sets: set }
  const configuration = readConfiguration(directory === null ? { ...request, listText: '' } : request)
  for (const warning of configuration.warnings) io.err(`warning: ${formatProblem(warning)}\n`)
  for (const problem of configuration.problems) io.err(`${formatProblem(problem)}\n`)

  const { filters, names, problems } = await listFilters(configuration, name, systemPlatform)
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`)
  if (name !== null && filters.length === 0) {
    const hint = didYouMean(name, names)
    return usageError(io, 'filters', `there is no filter "${name}"${hint === null ? '' : `; ${hint}`}`)
  }
  if (json) for (const filter of filters) io.out(`${asciiJson(filterJson(filter))}\n`)
  else io.out(visible(name === null ? filterTable(filters) : filters.map(filterText).join('\n')))

  const isBroken = filters.some(
    ({ described, instances }) => 'problems' in described && (instances.length > 0 || name !== null),
  )
  return isBroken || problems.length > 0 || configuration.problems.length > 0 ? exitCodes.config : exitCodes.ok
}
