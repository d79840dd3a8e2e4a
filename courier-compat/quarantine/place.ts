/**
 * What the parts of an opened quarantine share: its folder, its key, its entries, the clock, and how mail is sent.
 */
import { asciiJson } from '../ascii-json.ts'
import type { FilterLog } from '../filter.ts'
import type { Submission } from '../sendmail.ts'
import { formatSummary, maxRecordOctets, parseEntry, type EntryRecord, type EntrySummary } from './entry.ts'
import type { Folder } from './folder.ts'
import { entryFile, historyFile, indexFile, isEntryId, olderHistoryFile } from './names.ts'
import type { Seal } from './seal.ts'
import type { QuarantineSettings } from './settings.ts'

/** Sends a message: queued when it resolves. `sendmail` of this library is one. */
export type Submit = (submission: Submission) => Promise<void>

/** The shared things. */
export interface Place {
  readonly folder: Folder
  readonly seal: Seal
  readonly settings: QuarantineSettings
  readonly submit: Submit
  readonly log: Pick<FilterLog, 'info' | 'warn'>
  /** The mail server's name. */
  readonly me: () => string
  readonly nowMs: () => number
}

const dayMs = 86_400_000
/** Of two files of history. */
const historyOctets = 8 * 1024 * 1024
/** A longer line would make the index no shorter than the records. */
const indexLineOctets = 64 * 1024

/** When an entry is over. */
export function expiresMs({ settings }: Place, atMs: number, days: number = settings.days): number {
  return atMs + days * dayMs
}

/**
 * The record of an entry; `null` where there is none.
 * Errors: RangeError for what is no id of ours; Error for a record that is damaged, and those of `Folder.open`.
 */
export async function readEntry(folder: Folder, id: string): Promise<EntryRecord | null> {
  if (!isEntryId(id)) throw new RangeError('this is no id of a message in the quarantine')
  // A second name is one that the process which made it had no time to take away.
  const content = await folder.read(entryFile(id), maxRecordOctets, 2)
  return content === null ? null : parseEntry(content, id)
}

/** Notes an entry in the index. A line that is lost costs a list one more look. */
export async function indexEntry({ folder, log }: Place, summary: EntrySummary): Promise<void> {
  const line = formatSummary(summary)
  if (line.length > indexLineOctets) return
  await besides(log, 'the index', () => folder.append(indexFile, line))
}

/** What is told of something that was done, or asked for in vain. */
export type HistoryEvent =
  | { readonly event: 'kept'; readonly id: string; readonly recipients: number; readonly reason: string }
  | {
      readonly event: 'released' | 'unknown' | 'failed'
      readonly id: string
      readonly recipient: string
      readonly by: string
      readonly why?: string
    }
  | { readonly event: 'refused'; readonly why: string; readonly by: string; readonly id?: string }
  | { readonly event: 'purged'; readonly id: string; readonly by: string }
  | { readonly event: 'swept'; readonly file: string; readonly by: string }

/** Writes a line of history, and tells the log. What was done stays done if it cannot be written. */
export async function note({ folder, log, nowMs }: Place, event: HistoryEvent): Promise<void> {
  const { event: what, ...rest } = event
  log.info(`quarantine: ${what} ${asciiJson(rest)}`)
  await besides(log, 'the history', async () => {
    const stats = await folder.look(historyFile)
    if (stats !== null && stats.size > historyOctets) await folder.rename(historyFile, olderHistoryFile)
    await folder.append(historyFile, asciiJson({ time: new Date(nowMs()).toISOString(), ...event }))
  })
}

/** Does what the message does not hang on: where it fails, that is told, and all goes on. */
export async function besides(log: Place['log'], what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (thrown) {
    log.warn(`${what} of the quarantine was not written: ${textOfError(thrown)}`)
  }
}

/** What went wrong, in words. */
export function textOfError(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
