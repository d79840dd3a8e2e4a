/**
 * What an import remembers about files in the Maildir, in the depot's TTL maps.
 *
 * - `postoffice-done`: the message is in its queue, and only its file is still to be moved. Written in the transaction that adds the message;
 *   cleared after the move is on disk. So a message is added once, however often the import dies, and whenever it runs again.
 * - `postoffice-failures`: how often a file could not be processed.
 * - `postoffice-queues`: the queues that a configuration has made, which alone it may remove again.
 *
 * Source: spec postoffice 10 and 17.
 */
import { createHash } from 'node:crypto'
import type { ApplyTtl } from '../../../queue-store/depot-types.ts'
import { ttlLimits, type TtlMaps } from '../../../queue-store/ttl/index.ts'

const done = 'postoffice-done'
const failures = 'postoffice-failures'
const queues = 'postoffice-queues'

const failuresMs = 30 * 86_400_000

/** A file with a message: names are used again, by people who copy files, and then its header section and size tell. */
export interface FileIdentity {
  readonly unique: string
  /** A digest of the header section and the size. */
  readonly digest: string
}

/** The mark of a file whose message is in its queue. */
export interface DoneMark extends FileIdentity {
  /** The folder to which the file goes. */
  readonly folder: string
  /** Its path there, if nobody moves it on: `new/NAME`. */
  readonly path: string
}

/** The records of one Maildir and one configuration. */
export interface ImportRecords {
  /** The folder to which the file of a message that was added belongs; `null` where it was not added. */
  folderOfDone(apply: ApplyTtl, file: FileIdentity): string | null
  markDone(apply: ApplyTtl, mark: DoneMark): void
  clearDone(apply: ApplyTtl, files: readonly FileIdentity[]): void
  /** All marks that can be read. */
  allDone(): Promise<(DoneMark & { readonly markedMs: number })[]>
  /** Counts a failure; gives how many there were. */
  countFailure(unique: string): Promise<number>
  forgetFailures(unique: string): Promise<void>
  /** Notes that the configuration has this queue. */
  noteQueue(name: string): Promise<void>
  isNotedQueue(name: string): Promise<boolean>
  forgetQueue(name: string): Promise<void>
}

type Marked = DoneMark & { readonly maildir: string }

/** Opens the records in the maps of a depot. */
export function openImportRecords(maps: TtlMaps, maildir: string, prefix: string): ImportRecords {
  const doneMap = maps.ttlMap(done, { ttlMs: ttlLimits.ttlMs })
  const failureMap = maps.ttlMap(failures, { ttlMs: failuresMs })
  const queueMap = maps.ttlMap(queues, { ttlMs: ttlLimits.ttlMs })
  const owner = createHash('sha256').update(maildir).digest('base64url').slice(0, 16)
  const keyOf = ({ unique, digest }: FileIdentity): string => `${owner} ${digest} ${unique}`
  const failureKey = (unique: string): string => `${owner} ${unique}`
  const queueKey = (name: string): string => JSON.stringify([prefix, name])
  return {
    folderOfDone: (apply, file) => {
      const [entry] = apply([{ op: 'get', map: done, key: keyOf(file) }])
      return entry === null ? null : readMark(entry.value).folder
    },
    markDone: (apply, mark) => {
      apply([{ op: 'set', map: done, key: keyOf(mark), value: JSON.stringify({ ...mark, maildir: owner }) }])
    },
    clearDone: (apply, files) => {
      for (const file of files) apply([{ op: 'delete', map: done, key: keyOf(file) }])
    },
    allDone: async () => {
      const marks: (DoneMark & { readonly markedMs: number })[] = []
      for await (const { value, writtenMs } of doneMap.export()) {
        try {
          const mark = readMark(value)
          if (mark.maildir === owner) marks.push({ ...mark, markedMs: writtenMs })
        } catch {
          // One that is none stops no import; the message that it belongs to is told when it comes.
        }
      }
      return marks
    },
    countFailure: (unique) => failureMap.increment(failureKey(unique)),
    forgetFailures: async (unique) => {
      await failureMap.delete(failureKey(unique))
    },
    noteQueue: async (name) => {
      // Not written again each time: a run without mail leaves the disk alone.
      if (!(await queueMap.has(queueKey(name)))) await queueMap.set(queueKey(name))
    },
    isNotedQueue: (name) => queueMap.has(queueKey(name)),
    forgetQueue: async (name) => {
      await queueMap.delete(queueKey(name))
    },
  }
}

/** Errors: SyntaxError, TypeError for what is no mark. */
function readMark(value: unknown): Marked {
  const mark = JSON.parse(typeof value === 'string' ? value : '') as Partial<Marked> | null
  const { unique, digest, folder, path, maildir } = mark ?? {}
  for (const text of [unique, digest, folder, path, maildir]) {
    if (typeof text !== 'string') throw new TypeError('a mark of an imported file is none')
  }
  return mark as Marked
}
