/** Runs programs in system tests. */
import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How a program ended, and all that it wrote. */
export interface ProgramResult {
  readonly status: number | null
  readonly output: string
}

/** A child of ours gets this much environment and no more, unless told otherwise. */
export const plainEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/**
 * Runs a program to its end.
 * Shape: its output goes through a file, so that a daemon which it leaves behind, and which keeps its descriptors, does
 *        not keep us waiting.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: {
    readonly input?: string
    readonly cwd?: string
    readonly env?: NodeJS.ProcessEnv
    readonly limitMs?: number
  } = {},
): Promise<ProgramResult> {
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-run-'))
  const path = join(folder, 'output')
  const descriptor = openSync(path, 'a')
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(file, args, {
        cwd: options.cwd ?? '/',
        env: options.env ?? plainEnv,
        stdio: [options.input === undefined ? 'ignore' : 'pipe', descriptor, descriptor],
        timeout: options.limitMs ?? 60_000,
        killSignal: 'SIGKILL',
      })
      child.on('error', reject)
      child.on('exit', (code) => resolve(code))
      // A program may end without reading all.
      child.stdin?.on('error', () => undefined)
      child.stdin?.end(options.input)
    })
    return { status, output: readFileSync(path, 'utf8') }
  } finally {
    closeSync(descriptor)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a program that must end with 0. Errors: Error with its output. */
export async function mustRun(...args: Parameters<typeof runProgram>): Promise<string> {
  const { status, output } = await runProgram(...args)
  if (status !== 0) throw new Error(`${args[0]} ${args[1].join(' ')} ended with ${status}: ${output}`)
  return output
}
