/**
 * The messages that wait in Courier's queue, read while Courier works in it.
 *
 * Source: spec courier 4.1 and 4.4; Courier's `msgs/HASH/C<inode>` and `D<inode>`.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { maxControlOctets, readOctets } from '../../../courier-compat/control/file.ts'
import { codeOf } from '../../../courier-compat/text-file.ts'

/** Where a message's two files are. */
export interface QueuedPaths {
  readonly controlPath: string
  readonly dataPath: string
}

/**
 * Goes through the queue, a message at a time, in no order. One that comes or goes meanwhile may be there or not.
 * Errors: those of the folder of the queue itself.
 */
export async function* queuedMessages(localstatedir: string): AsyncGenerator<QueuedPaths> {
  const top = join(localstatedir, 'msgs')
  for await (const folder of await opendir(top)) {
    if (!folder.isDirectory()) continue
    const path = join(top, folder.name)
    for (const name of await namesIn(path)) {
      if (!/^C[0-9]+$/.test(name)) continue
      yield { controlPath: join(path, name), dataPath: join(path, `D${name.slice(1)}`) }
    }
  }
}

async function namesIn(path: string): Promise<string[]> {
  const names: string[] = []
  try {
    for await (const entry of await opendir(path)) names.push(entry.name)
  } catch (thrown) {
    // Courier makes and removes these folders.
    if (codeOf(thrown) !== 'ENOENT') throw thrown
  }
  return names
}

/**
 * Opens a control file of the queue, reads it, and hands over both.
 * Shape:  `null` where there is none any more. Appending goes to the file that was read, whatever takes its name.
 * Errors: the system's; Error for what is no regular file, or too large to be one of Courier's.
 */
export function withQueuedControl<Result>(
  path: string,
  isToBeWritten: boolean,
  use: (content: Buffer, descriptor: number) => Result,
): Result | null {
  const access = isToBeWritten ? constants.O_RDWR | constants.O_APPEND : constants.O_RDONLY
  let descriptor: number
  try {
    // A link could lead elsewhere, a FIFO would never answer.
    descriptor = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null
    throw thrown
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error(`${path} is no regular file`)
    if (stats.size > maxControlOctets) throw new Error(`${path} has ${stats.size} octets, which no control file has`)
    return use(readOctets(descriptor, stats.size), descriptor)
  } finally {
    closeSync(descriptor)
  }
}
