/** A private folder for as long as a command works, which is gone afterwards, also where the command is interrupted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitCodes, type CommandIo } from './command.ts'

/** The longest path a Unix socket can have, less the longest name in this folder. */
const maxPathOctets = 107 - '/threads.sock'.length

/**
 * Does `job` in a new folder. The answer is the job's, or `null` as soon as the signal is aborted.
 * Errors: an exit code, told, where there can be no such folder.
 */
export async function inWorkFolder<Value>(
  command: string,
  io: CommandIo,
  interrupted: AbortSignal,
  job: (folder: string) => Promise<Value>,
): Promise<Value | number | null> {
  const stem = join(tmpdir(), `nodefilter-${command}-`)
  const refuse = (why: string): number => {
    io.err(`nodefilter ${command}: no work folder can be made in ${tmpdir()}: ${why}; name another with TMPDIR\n`)
    return exitCodes.cantCreate
  }
  if (Buffer.byteLength(stem) + 6 > maxPathOctets) return refuse('the path is too long for the sockets in it')
  let folder: string
  try {
    folder = mkdtempSync(stem)
  } catch (thrown) {
    return refuse(thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown))
  }
  try {
    return await orInterrupted(job(folder), interrupted)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A signal that is aborted once the user, the terminal or the system wants the command to end. */
export function endsAsked(): AbortSignal {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort())
  return interrupted.signal
}

/** The value, or `null` as soon as the signal is aborted. */
export async function orInterrupted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value | null> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<null>()
  const onAbort = (): void => stop(null)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
