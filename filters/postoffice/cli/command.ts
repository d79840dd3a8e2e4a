/** What a command of `postoffice` is, what it runs in, and the exit codes they share. */
import type { Readable, Writable } from 'node:stream'
import { exitCodes } from '../../../courier-compat/exit-codes.ts'

export { exitCodes }

/** What a command has of its process. Text carries its own line ends. */
export interface CommandIo {
  out(text: string): void
  err(text: string): void
  /** For what is long or no text; `out` writes to the same. */
  readonly output: Writable
  readonly input: Readable
  readonly env: NodeJS.ProcessEnv
  /** Absolute. */
  readonly currentDirectory: string
  /** The path by which the program was started: an ini file may be in `../etc` of its folder. */
  readonly program: string
  /** Somebody looks at what `err` writes. */
  readonly isErrTty: boolean
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal
  readonly now: () => number
}

/** One command: `postoffice NAME ...`. */
export interface Command {
  readonly name: string
  /** One line for the overview, without a full stop. */
  readonly summary: string
  /** The whole text of `postoffice NAME --help`. */
  readonly help: string
  /**
   * Runs it with the arguments after its name.
   * Errors: what is thrown is told by the program, and ends with 70, or 75 where it is a temporary DepotError; what a user
   *         can cause is better told by the command itself.
   */
  run(args: readonly string[], io: CommandIo): Promise<number>
}

/** Says what is wrong with the arguments and where help is. */
export function usageError(io: Pick<CommandIo, 'err'>, command: string, problem: string): number {
  io.err(`postoffice ${command}: ${problem}\nTry "postoffice ${command} --help".\n`)
  return exitCodes.usage
}
