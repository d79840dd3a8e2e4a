/** Arguments of `postoffice` -> a command -> an exit code. */
import { exitCodes, usageError, type Command, type CommandIo } from './command.ts'
import { exitCodeOf, told } from './exit-code.ts'
import { commands } from './index.ts'
import { packageVersion } from './version.ts'

/** What wrong usage of the old call, without a command, ends with: scripts may look for it. */
const oldUsage = 2

/**
 * Runs what the arguments ask for; resolves to the exit code. Without a command it imports, as the program of old did.
 * Errors: none; what a command throws is told.
 */
export async function runProgram(args: readonly string[], io: CommandIo): Promise<number> {
  const { before, name, after } = splitAtCommand(args)
  if (name === 'help') return help(after[0] ?? null, io)
  const command = commands.find((one) => one.name === name)
  if (command === undefined) return oldCall([...before, ...(name === null ? [] : [name]), ...after], io)
  const rest = [...before, ...after]
  if (asksForHelp(rest)) return help(command.name, io)
  return runCommand(command, rest, io)
}

async function oldCall(args: readonly string[], io: CommandIo): Promise<number> {
  if (asksForHelp(args)) return help(null, io)
  if (args.includes('--version') || args.includes('-V')) {
    io.out(`postoffice ${packageVersion()}\n`)
    return exitCodes.ok
  }
  const [first] = commands
  if (first === undefined) return exitCodes.software
  const code = await runCommand(first, args, io)
  return code === exitCodes.usage ? oldUsage : code
}

async function runCommand(command: Command, args: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await command.run(args, io)
  } catch (error) {
    if (io.signal.aborted && error === io.signal.reason) return exitCodes.ok
    const shown = error instanceof Error && io.env['POSTOFFICE_TRACE'] === 'yes' ? error.stack : told(error)
    io.err(`postoffice ${command.name}: ${shown ?? ''}\n`)
    return exitCodeOf(error)
  }
}

function help(name: string | null, io: CommandIo): number {
  const command = name === null ? null : commands.find((one) => one.name === name)
  if (command === undefined) return usageError(io, 'help', `there is no command "${name ?? ''}"`)
  io.out(command === null ? overview() : command.help)
  return exitCodes.ok
}

/** What `postoffice --help` prints. */
export function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `postoffice ${packageVersion()}: sorts mail into queues, and gives it to applications

usage: postoffice [COMMAND] [-C FILE] [ARGUMENT]...

${rows.join('\n')}

Without a command it imports: "postoffice [-C FILE] [-v]".
The ini file is FILE, or the first there is of ./postoffice.ini, ./etc/postoffice.ini, ../etc/postoffice.ini beside the
program's folder, and /etc/postoffice.ini.
"postoffice COMMAND --help" tells more. Exit status as in sysexits.h: 0 done, 64 wrong usage (2 without a command),
75 try again later, 78 broken configuration.
`
}

/** The first word that is neither an option nor its value is the command; options that all take may stand before it. */
function splitAtCommand(args: readonly string[]): { before: string[]; name: string | null; after: string[] } {
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? ''
    if (word === '-C' || word === '--config') at++
    else if (!word.startsWith('-')) return { before: args.slice(0, at), name: word, after: args.slice(at + 1) }
    else if (!isCommon(word)) break
  }
  return { before: [...args], name: null, after: [] }
}

function isCommon(word: string): boolean {
  return /^(?:-v|--verbose|--json|-C.+|--config=.*)$/s.test(word)
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? undefined : end).some((word) => word === '--help' || word === '-h')
}
