/** What a depot's parts share: the environment with its tables, the clock, the bell, the files of large messages. */
import type { Bell } from './bell.ts'
import { takeIn, type ContentStore } from './contents.ts'
import type { NewEntry, Staged } from './depot-types.ts'
import type { Environment, ReadView, WriteView } from './environment.ts'
import { DepotError, isDepotError } from './errors.ts'
import { digestOf } from './keys.ts'
import type { Books } from './ledger-places.ts'
import type { PreparedEntry } from './ledger.ts'

/** The inside of an open depot. */
export interface Core {
  readonly environment: Environment
  readonly books: Books
  readonly contents: ContentStore
  readonly bell: Bell
  readonly nowMs: () => number
  readonly pollMs: number
  /** Aborted when the depot closes. */
  readonly closing: AbortSignal
  /** Removes a large content's file, soon. */
  readonly discard: (file: string) => void
}

/** A staged message, as the depot knows it. */
export interface StagedEntry extends Staged {
  readonly prepared: PreparedEntry
}

/** Reads; waits where the environment is being opened anew. */
export async function reading<T>({ environment }: Core, work: (view: ReadView) => T): Promise<T> {
  return environment.isOpen() ? environment.read(work) : environment.write(work)
}

/** The number of a queue. Errors: QUEUE_UNKNOWN. */
export function numberOf(view: ReadView, { books }: Core, name: string): number {
  const number = view.get(books.tables.names, Buffer.from(name))
  if (number === null) throw new DepotError('QUEUE_UNKNOWN', name)
  return number.readUInt32BE(0)
}

/** Takes a message's content in, so that it can be added. Errors: those of `takeIn`. */
export async function prepare(core: Core, entry: NewEntry): Promise<PreparedEntry> {
  const { envelope = null, facts = {}, key = null, idempotencyKey = null } = entry
  const { content, file, octets, digest } = await takeIn(entry.message, core.contents)
  return {
    notes: { key, envelope, facts },
    content,
    file,
    octets,
    digest,
    idempotency: idempotencyKey === null ? null : digestOf(idempotencyKey).toString('hex'),
  }
}

/**
 * Runs a transaction that names the files of prepared messages; where it fails, or `isUnused` says that one was not named, its file goes.
 * After a failed write that is unknown, and the file stays: if nothing names it, a sweep finds it.
 */
export async function writingWith<T>(
  core: Core,
  prepared: readonly PreparedEntry[],
  work: (view: WriteView) => T,
  isUnused: (result: T, index: number) => boolean,
): Promise<T> {
  const drop = (isDropped: (index: number) => boolean): void => {
    for (const [index, { file }] of prepared.entries()) {
      if (file !== null && isDropped(index)) core.discard(file)
    }
  }
  try {
    const result = await core.environment.write(work)
    drop((index) => isUnused(result, index))
    return result
  } catch (error) {
    if (!isDepotError(error, 'DEPOT_WRITE_FAILED')) drop(() => true)
    throw error
  }
}
