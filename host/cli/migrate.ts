/** `nodefilter migrate`: from an installation of pythonfilter to files of nodefilter. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { configDirectories } from '../config/read.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { findCourier } from './courier/layout.ts'
import { runCommand } from './courier/run-command.ts'
import { readMigrationFacts, strictestMode, type MigrateMachine } from './migrate/facts.ts'
import { newFiles } from './migrate/files.ts'
import { formatCounts, formatItems } from './migrate/item.ts'
import { readOwnFilters } from './migrate/own-filters.ts'
import { planMigration } from './migrate/plan.ts'
import { mayRun, usualPlaces } from './migrate/python.ts'
import { switchSteps } from './migrate/steps.ts'
import { writeFiles } from './migrate/write.ts'
import { usageError } from './usage.ts'
import { packageVersion } from './version.ts'
import { wrap } from './wrap.ts'

const help = `usage: nodefilter migrate [--check] [--from DIR]... [--to DIR] [--python PATH]

Reads the configuration of an installation of pythonfilter, says line by line what nodefilter does with it, writes it
anew in a folder of nodefilter, and tells the steps to switch over. The installation itself is not changed. Filters that
nodefilter does not have, the site's own among them, go on running in Python, from where they are.

      --check        only say what would be done
      --from DIR     folder of pythonfilter.conf and pythonfilter-modules.conf, in place of /etc, /usr/local/etc and
                     Courier's own; may be given again: the first list counts, later settings win
      --to DIR       folder to write to (default: /etc/nodefilter)
      --python PATH  the Python that pythonfilter is installed in (default: the one that its program in Courier's filter
                     folder names, if nobody but root and you can have put it there; else python3)

What becomes of a line or a setting: "same" or "renamed": it means what it meant. "differs": read what is said of it.
"python": that filter runs under python. "stays": it is left in its file, for such filters. "unused": it is left out,
since pythonfilter ignored it, or nothing reads it. "problem": it keeps the whole from being moved.

Exit status: 0 everything can be moved, or was written; 64 wrong usage; 66 there is no pythonfilter.conf; 73 the folder
has a filters.conf already, or cannot be written; 78 there are problems, and nothing was written.
`

/** The command on this machine. */
export const migrateCommand: Command = createMigrateCommand({
  run: runCommand,
  courier: (env) => findCourier({ env }),
  folders: ['/etc', '/usr/local/etc'],
  mayRun: (interpreter) => mayRun(interpreter, process.geteuid?.() ?? 0),
  packagePlaces: usualPlaces,
  ownFilters: readOwnFilters,
  target: '/etc/nodefilter',
})

/** The command on any machine. */
export function createMigrateCommand(machine: MigrateMachine): Command {
  return {
    name: 'migrate',
    summary: 'move from pythonfilter: say what becomes of each line, and write the files',
    help,
    run: async (args, io) => {
      const options = parseOptions(args, io)
      return typeof options === 'number' ? options : migrate(options, machine, io)
    },
  }
}

interface MigrateOptions {
  readonly check: boolean
  readonly from: readonly string[]
  readonly to: string | null
  readonly python: string | null
}

function parseOptions(args: readonly string[], io: CommandIo): MigrateOptions | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        check: { type: 'boolean', default: false },
        from: { type: 'string', multiple: true, default: [] },
        to: { type: 'string' },
        python: { type: 'string' },
      },
    })
    const { check, from, to, python } = values
    return {
      check,
      from: from.map((folder) => resolve(folder)),
      to: to === undefined ? null : resolve(to),
      // Without a slash it is looked up in PATH.
      python: python === undefined ? null : python.includes('/') ? resolve(python) : python,
    }
  } catch (thrown) {
    return usageError(io, 'migrate', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function migrate(options: MigrateOptions, machine: MigrateMachine, io: CommandIo): Promise<number> {
  const facts = await readMigrationFacts(options, machine, io.env)
  if ('lookedIn' in facts) {
    io.err(`nodefilter migrate: there is no list of pythonfilter: looked for ${facts.lookedIn.join(', ')}\n`)
    io.err('Name its folder with --from.\n')
    return exitCodes.noInput
  }
  const { courier, list, modules, python } = facts
  const plan = planMigration(facts)
  const place =
    python === null ? 'not found' : `${python.folder}${python.interpreter === null ? '' : ` (${python.interpreter})`}`
  io.out(`pythonfilter's list:     ${list.file}\n`)
  io.out(`pythonfilter's settings: ${modules.length === 0 ? 'none' : modules.map(({ file }) => file).join(', ')}\n`)
  io.out(`pythonfilter's package:  ${place}\n`)
  io.out(`Courier's link:          ${facts.link} ${facts.isActive ? '(active)' : '(not there)'}\n\n`)
  io.out(formatItems(plan.items))
  io.out(`\nFor every filter:\n${plan.general.map(bullet).join('')}\n`)
  io.out(formatCounts(plan.items))
  const isPossible = plan.items.every(({ kind }) => kind !== 'problem')
  if (!isPossible) {
    io.out('There are problems: mend what they name, and try again. Nothing was written.\n')
    return exitCodes.config
  }
  const directory = options.to ?? machine.target
  if (options.check) {
    io.out(`All of it can be moved: "nodefilter migrate" writes it to ${directory}.\n`)
    return exitCodes.ok
  }
  const inTheWay = ['filters.conf', 'modules.conf'].map((name) => join(directory, name)).find(existsSync)
  if (inTheWay !== undefined) {
    io.err(`nodefilter migrate: ${inTheWay} is there already and stays as it is; move it away, or use --to\n`)
    return exitCodes.cantCreate
  }
  const files = newFiles({
    ...{ list, modules, version: packageVersion() },
    ...{ listRows: plan.listRows, moduleRows: plan.moduleRows },
  })
  try {
    for (const written of writeFiles(directory, files, strictestMode(modules))) io.out(`${written}\n`)
  } catch (error) {
    io.err(`nodefilter migrate: ${error instanceof Error ? error.message : String(error)}\n`)
    return exitCodes.cantCreate
  }
  const isFound = configDirectories(courier.found ? courier.sysconfdir : null).includes(directory)
  const { isActive } = facts
  io.out(`\n${switchSteps({ ...plan.forSteps, courier, isActive, directory: isFound ? null : directory })}`)
  return exitCodes.ok
}

function bullet(text: string): string {
  return wrap(`- ${text}`, 100)
    .map((row) => `  ${row}\n`)
    .join('')
}
