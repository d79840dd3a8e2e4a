/** `nodefilter` on the command line, as a process, while the test's own event loop goes on. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { nodeOptions } from './node-options.ts'

const program = join(import.meta.dirname, '../../host/main.ts')

/** How a command ended and what it said. */
export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs `nodefilter ARGS`; `uid` as another user. Ends it after `limitMs`, which shows as code -1. */
export function nodefilter(
  args: readonly string[],
  {
    uid,
    limitMs = 30_000,
    without,
  }: { readonly uid?: number; readonly limitMs?: number; readonly without?: readonly string[] } = {},
): Promise<Said> {
  return new Promise((resolve) => {
    // The environment is the test's own: what a test runner put into ours must not reach the command.
    const options = { env: { PATH: process.env['PATH'] }, timeout: limitMs, ...(uid === undefined ? {} : { uid }) }
    const child = execFile(process.execPath, [...nodeOptions(without), program, ...args], options, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })
}
