/** What `dropmsg` found and did, as a table. Pure. */
import type { MatchReason } from './match.ts'
import { formatTable } from '../table.ts'
import { visibleLine } from '../wrap.ts'

/** What became of a message; `matched`: nothing, in a dry run. */
export type Fate = 'matched' | 'dropped' | 'gone' | 'failed'

/** One message that is meant. */
export interface ReportRow {
  readonly id: string
  /** `null` is the null sender. */
  readonly sender: string | null
  readonly user: string | null
  readonly ip: string | null
  /** How many are left, and the first ten of them. */
  readonly recipientCount: number
  readonly recipients: readonly string[]
  readonly octets: number | null
  readonly reasons: readonly MatchReason[]
  readonly fate: Fate
  /** What went wrong, or `null`. */
  readonly problem: string | null
}

/** The table of the messages that are meant, and a line for each problem. */
export function reportText(rows: readonly ReportRow[]): string {
  if (rows.length === 0) return ''
  const cells = rows.map((row) => [
    row.id,
    row.sender ?? '<>',
    row.user ?? '-',
    row.ip ?? '-',
    `${row.recipients[0] ?? '-'}${row.recipientCount > 1 ? ` +${row.recipientCount - 1}` : ''}`,
    row.reasons.join(','),
    row.fate,
  ])
  const problems = rows.flatMap(({ id, problem }) =>
    problem === null ? [] : [`${visibleLine(`${id}: ${problem}`)}\n`],
  )
  // An address may hold anything that a terminal obeys; a line end would make two rows of one.
  const table = formatTable(
    ['id', 'sender', 'user', 'client', 'recipients', 'by', 'done'],
    cells.map((row) => row.map(visibleLine)),
  )
  return table + problems.join('')
}
