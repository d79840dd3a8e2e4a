/** Output of any length: written as fast as it is read. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { CommandIo } from '../command.ts'

/** Writes text; resolves when it was taken. Errors: the output's, where its reader went; the signal's reason. */
export async function say({ output, signal }: Pick<CommandIo, 'output' | 'signal'>, text: string): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    output.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** Writes octets to the output, which stays open. Errors: those of the source; the signal's reason. */
export async function copyOut(
  source: Readable,
  { output, signal }: Pick<CommandIo, 'output' | 'signal'>,
): Promise<void> {
  for await (const piece of source) {
    signal.throwIfAborted()
    if (!output.write(piece as Uint8Array)) await once(output, 'drain', { signal })
  }
}

/** Writes octets to a file: a new one for its owner, or one that is there and is replaced. Errors: those of source and file. */
export async function copyTo(source: Readable, path: string, { isNew }: { readonly isNew: boolean }): Promise<void> {
  await pipeline(source, createWriteStream(path, { mode: 0o600, flags: isNew ? 'wx' : 'w', flush: true }))
}

/** Tells how far it is, now and then, where somebody looks. */
export function createProgress(io: Pick<CommandIo, 'err' | 'isErrTty' | 'now'>, what: string): (count: number) => void {
  let toldMs = io.now()
  return (count) => {
    const nowMs = io.now()
    if (!io.isErrTty || nowMs - toldMs < 1000) return
    toldMs = nowMs
    io.err(`${count} ${what}\n`)
  }
}
