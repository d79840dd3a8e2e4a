/**
 * Takes a message out of the queue by Courier's own means: records are appended to its control file, which say that
 * nothing is left to do, and Courier removes it.
 *
 * Nothing is moved or deleted here: a file that is taken away under the queue manager leaves a second link in `msgq`, and
 * what it held in memory is tried all the same.
 *
 * Source: spec courier 4.4, 4.8 and 4.9 (`I`, `S` and `X` records); spec pythonfilter 1.11.
 */
import { fstatSync, fsyncSync, writeSync } from 'node:fs'
import { parseControlFacts } from '../../../courier-compat/control.ts'
import { changeBytes, parseControl, recipientsOf } from '../../../courier-compat/control/records.ts'
import { keepMessage } from './kept.ts'
import { withQueuedControl, type QueuedPaths } from './queue.ts'

/** How messages are dropped. */
export interface DropOptions {
  /** The folder in which copies are kept; `null` keeps none. */
  readonly keep: string | null
  /** What the sender is told, in a notice of failure; `null` tells nobody. */
  readonly bounce: string | null
  readonly nowMs: number
}

/** `gone`: it was delivered, or removed, before it could be dropped. */
export type DropResult = 'dropped' | 'gone'

/**
 * Drops one message.
 * Shape:  what is being delivered at this moment may still arrive; what is left afterwards is not tried again.
 * Errors: the system's, and Error where the disk took only a part. The copy is on disk before the message is touched.
 */
export function dropMessage(message: QueuedPaths, id: string, options: DropOptions): DropResult {
  const { controlPath, dataPath } = message
  const result = withQueuedControl(controlPath, true, (content, descriptor): DropResult => {
    // A new message may have taken the name.
    if (parseControlFacts([content]).id !== id) return 'gone'
    const bytes = droppingBytes(content, options)
    if (bytes === null) return 'gone'
    if (options.keep !== null) keepMessage(options.keep, id, content, dataPath)
    const written = writeSync(descriptor, bytes)
    if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} octets went into ${controlPath}`)
    fsyncSync(descriptor)
    return fstatSync(descriptor).nlink === 0 ? 'gone' : 'dropped'
  })
  return result ?? 'gone'
}

/** What is appended, in one write; `null` where no recipient is left. */
export function droppingBytes(content: Buffer, { bounce, nowMs }: Omit<DropOptions, 'keep'>): Buffer | null {
  const pending = recipientsOf(parseControl(content)).filter(({ done }) => !done)
  if (pending.length === 0) return null
  if (bounce !== null) {
    const lineEnd = content.at(-1) === 0x0a ? '' : '\n'
    return Buffer.from(`${lineEnd}X${bounce}\n`)
  }
  const changes = pending.map(({ index }) => ({ index, why: 'dropped by nodefilter dropmsg', replaceBy: null }))
  return changeBytes(content, changes, nowMs)?.bytes ?? null
}
