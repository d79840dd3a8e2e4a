/** Runs another program to its end: the one way in which these commands start one, so that tests can stand in for it. */
import { execFile } from 'node:child_process'

/** How a program ended. */
export interface CommandResult {
  /** The exit status; `null` where it could not be started, died of a signal or ran out of time. */
  readonly status: number | null
  readonly stdout: string
  /** What it wrote there, or why it could not be started. */
  readonly stderr: string
}

/** The environment and the limits of a program. */
export interface CommandOptions {
  readonly env: NodeJS.ProcessEnv
  readonly limitMs: number
  /** Whom to run it as; needs root. */
  readonly uid?: number
  readonly gid?: number
}

/** Starts `file` (found in the PATH of `options.env` where it is no path) and waits. Never rejects. */
export type CommandRunner = (file: string, args: readonly string[], options: CommandOptions) => Promise<CommandResult>

/** The real runner: nothing on standard input, SIGKILL at the time limit. */
export const runCommand: CommandRunner = (file, args, { limitMs, ...options }) =>
  new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      { ...options, timeout: limitMs, killSignal: 'SIGKILL', cwd: '/' },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code
        resolve({
          status: typeof code === 'number' ? code : null,
          stdout,
          stderr: error !== null && stderr === '' ? error.message : stderr,
        })
      },
    )
    child.stdin?.end()
  })
