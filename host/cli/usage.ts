/** The answer to arguments that cannot be understood, the same for every command. */
import { exitCodes, type CommandIo } from './command.ts'

/** Says what is wrong and where help is. */
export function usageError(io: CommandIo, command: string, problem: string): number {
  io.err(`nodefilter ${command}: ${problem}\nTry "nodefilter ${command} --help".\n`)
  return exitCodes.usage
}
