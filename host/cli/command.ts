/**
 * What a subcommand of `nodefilter` is, and the exit codes they share.
 */
export { exitCodes } from '../../courier-compat/exit-codes.ts'

/** Where a command writes, and the environment it reads. Text carries its own line ends. */
export interface CommandIo {
  out(text: string): void
  err(text: string): void
  readonly env: NodeJS.ProcessEnv
}

/** One subcommand: `nodefilter NAME ...`. */
export interface Command {
  readonly name: string
  /** One line for the overview, without a full stop. */
  readonly summary: string
  /** The whole text of `nodefilter NAME --help`. */
  readonly help: string
  /**
   * Runs it with the arguments after its name.
   * Errors: none are thrown for what a user can cause; the answer is one of `exitCodes`.
   */
  run(args: readonly string[], io: CommandIo): Promise<number>
}
