/** What an import did, in numbers. Pure. */
import type { DropReason } from '../reasons.ts'

/** The numbers of a run. */
export interface ImportReport {
  /** Messages that are out of the Maildir now, or would be. */
  processed: number
  /** Put into queues, by queue. */
  readonly queued: Record<string, number>
  duplicates: number
  /** Put into no queue, by reason. */
  readonly dropped: Partial<Record<DropReason, number>>
  /** Of those queued: over the size limit; marked. */
  oversize: number
  marked: number
  /** Were added by an import that died, and only moved now. */
  recovered: number
  /** Could not be processed, and stay for another try. */
  failed: number
  /** Were put away, since they failed too often. */
  putAway: number
  /** Body filters that saw no body, since a message was over the size limit. */
  bodyFiltersMissed: number
}

/** A report of nothing. */
export function emptyReport(): ImportReport {
  return {
    ...{ processed: 0, queued: {}, duplicates: 0, dropped: {}, oversize: 0, marked: 0 },
    ...{ recovered: 0, failed: 0, putAway: 0, bodyFiltersMissed: 0 },
  }
}

/** The last line of a run. */
export function processedLine({ processed }: Pick<ImportReport, 'processed'>): string {
  return processed === 1 ? 'Processed one message.' : `Processed ${processed} messages.`
}
