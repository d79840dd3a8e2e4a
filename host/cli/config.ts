/** `nodefilter config check|show`: is the configuration sound, and what does it come to? */
import { parseArgs } from 'node:util'
import { readConfiguration, type Configuration } from '../config/read.ts'
import { formatProblem, type Problem } from '../problem.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { showConfiguration } from './config/show.ts'
import { usualConfigDirectory } from './config-directory.ts'
import { openLoadedChain } from './loaded-chain.ts'
import { usageError } from './usage.ts'
import { endsAsked, inWorkFolder } from './work-folder.ts'

const help = `usage: nodefilter config check [-c DIR] [--set SECTION.KEY=VALUE]... [--no-load]
       nodefilter config show  [-c DIR] [--set SECTION.KEY=VALUE]... [--changed] [--json] [SECTION[.KEY]]

check  Reads nodefilter.conf, filters.conf and modules.conf as the host would, loads every filter of the list and runs
       its initFilter, and tells everything that is wrong, with file, line and cure. The running host is not touched.
show   Prints every setting of the host with its value in force and where that was written, and the filter list. With
       a name, one section or one setting with its documentation.

  -c, --config DIR            folder of the three files (default: as for "nodefilter run")
      --set SECTION.KEY=VALUE one setting; wins over nodefilter.conf; may be given again
      --no-load               check: only read the files, run no filter's code
      --changed               show: only what differs from its default
      --json                  show: one JSON object

Exit status: 0 sound; 64 wrong usage; 73 check: no folder to work in; 75 check: interrupted; 78 broken.
`

/** The command. */
export const configCommand: Command = {
  name: 'config',
  summary: 'check the configuration, or show what it comes to',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const directory = options.config ?? (await usualConfigDirectory(io.env))
    const configuration = readConfiguration({ directory, sets: options.set })
    if (options.verb === 'show') return showConfiguration(configuration, options, io)
    return check(configuration, options.load, io)
  },
}

interface ConfigOptions {
  readonly verb: 'check' | 'show'
  readonly name: string | null
  readonly config: string | undefined
  readonly set: readonly string[]
  readonly load: boolean
  readonly changed: boolean
  readonly json: boolean
}

function parseOptions(args: readonly string[], io: CommandIo): ConfigOptions | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        'no-load': { type: 'boolean', default: false },
        changed: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const [verb, name = null, ...rest] = positionals
    if (verb !== 'check' && verb !== 'show') {
      return usageError(io, 'config', `say "check" or "show"${verb === undefined ? '' : `, not "${verb}"`}`)
    }
    if (rest.length > 0 || (verb === 'check' && name !== null)) {
      return usageError(io, 'config', `unexpected argument "${rest[0] ?? name ?? ''}"`)
    }
    if (verb === 'check' && (values.changed || values.json))
      return usageError(io, 'config', '--changed and --json go with "show" alone')
    if (verb === 'show' && values['no-load']) return usageError(io, 'config', '--no-load goes with "check" alone')
    const { config, set, changed, json } = values
    return { verb, name, config, set, changed, json, load: !values['no-load'] }
  } catch (thrown) {
    return usageError(io, 'config', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function check(configuration: Configuration, load: boolean, io: CommandIo): Promise<number> {
  const tell = (problems: readonly Problem[], prefix = ''): void => {
    for (const problem of problems) io.err(`${prefix}${formatProblem(problem)}\n`)
  }
  const { remaining, problems, warnings, list, files } = configuration
  tell(warnings, 'warning: ')
  tell(problems)
  const isSound = problems.length === 0
  const count = list.entries.length === 1 ? '1 filter' : `${list.entries.length} filters`
  if (!load && isSound) io.out(`sound so far as the files tell: ${count} in ${files.at(-1) ?? 'no file'}\n`)
  // A mistake in another setting is no reason to keep silent about those in the filters.
  if (!load || !configuration.isChainKnown) return isSound ? exitCodes.ok : exitCodes.config

  const code = await inWorkFolder('config', io, endsAsked(), async (work) => {
    const chain = await openLoadedChain(configuration, remaining, work, 'warn')
    try {
      if (chain.state.kind === 'broken') {
        tell(chain.state.problems.map((problem) => ({ column: null, ...problem })))
        return exitCodes.config
      }
      if (isSound) io.out(`sound: ${count} loaded from ${files.join(', ')}\n`)
      return isSound ? exitCodes.ok : exitCodes.config
    } finally {
      await chain.close()
    }
  })
  return code ?? exitCodes.tempFail
}
