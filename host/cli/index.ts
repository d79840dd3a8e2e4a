/** The subcommands by name. A new one is a file beside this one and a line here. */
import { checkCommand } from './check.ts'
import type { Command, CommandIo } from './command.ts'
import { exitCodes } from './command.ts'
import { configCommand } from './config.ts'
import { courierCommand } from './courier.ts'
import { dropmsgCommand } from './dropmsg.ts'
import { explainCommand } from './explain.ts'
import { filtersCommand } from './filters.ts'
import { metricsCommand } from './metrics.ts'
import { migrateCommand } from './migrate.ts'
import { newCommand } from './new.ts'
import { quarantineCommand } from './quarantine.ts'
import { reloadCommand } from './reload.ts'
import { restartCommand } from './restart.ts'
import { runCommand } from './run.ts'
import { statusCommand } from './status.ts'
import { testCommand } from './test.ts'
import { topCommand } from './top.ts'
import { usageError } from './usage.ts'
import { packageVersion } from './version.ts'

/** All of them, in the order of the overview. */
export const commands: ReadonlyMap<string, Command> = new Map(
  [
    runCommand,
    statusCommand,
    topCommand,
    metricsCommand,
    reloadCommand,
    restartCommand,
    checkCommand,
    filtersCommand,
    newCommand,
    testCommand,
    configCommand,
    courierCommand,
    explainCommand,
    quarantineCommand,
    migrateCommand,
    dropmsgCommand,
  ].map((command) => [command.name, command]),
)

/** Runs what the arguments ask for; resolves to the exit code. Without a command it runs the host. */
export async function runCommandLine(args: readonly string[], io: CommandIo): Promise<number> {
  const [first = ''] = args
  if (first === '--help' || first === '-h' || first === 'help') {
    const asked = first === 'help' ? (args[1] ?? '') : ''
    const command = commands.get(asked)
    if (command === undefined && asked !== '' && !asked.startsWith('-'))
      return usageError(io, 'help', `there is no command "${asked}"`)
    io.out(command?.help ?? overview())
    return exitCodes.ok
  }
  if (first === '--version' || first === '-V') {
    io.out(`nodefilter ${packageVersion()}\n`)
    return exitCodes.ok
  }
  const named = commands.get(first)
  if (named === undefined && first !== '' && !first.startsWith('-')) {
    return usageError(io, 'help', `there is no command "${first}"`)
  }
  const command = named ?? runCommand
  const rest = named === undefined ? args : args.slice(1)
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(command.help)
    return exitCodes.ok
  }
  return command.run(rest, io)
}

/** What `nodefilter --help` prints. */
export function overview(): string {
  const width = Math.max(...[...commands.keys()].map((name) => name.length))
  const rows = [...commands.values()].map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `nodefilter ${packageVersion()}: runs mail filters over each message and answers the mail server

usage: nodefilter [COMMAND] [ARGUMENT]...

${rows.join('\n')}

"nodefilter COMMAND --help" tells more. Exit status as in sysexits.h: 0 done, 64 wrong usage, 78 broken configuration.
`
}
