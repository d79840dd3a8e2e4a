/** How entries of the quarantine are shown. Pure. */
import type { ListedEntry } from '../../../courier-compat/quarantine.ts'
import { formatTable } from '../table.ts'

/** `2026-11-21 20:47`, in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}

/** A line an entry; times are in UTC. */
export function entryTable(entries: readonly ListedEntry[]): string {
  const rows = entries.map((entry) => [
    entry.id,
    timeText(entry.atMs),
    stateText(entry),
    cut(entry.sender === '' ? '<>' : entry.sender, 30),
    cut(recipientsText(entry), 30),
    cut(entry.subject, 40),
    cut(entry.reason, 40),
  ])
  return formatTable(['id', 'kept', 'state', 'sender', 'recipients', 'subject', 'reason'], rows)
}

/** Everything that is known of one. */
export function entryText(entry: ListedEntry): string {
  const rows: readonly (readonly [string, string])[] = [
    ['id', entry.id],
    ['kept', `${timeText(entry.atMs)} UTC by ${entry.kind}`],
    ['until', `${timeText(entry.expiresMs)} UTC`],
    ['reason', entry.reason],
    ['queue id', entry.queueId],
    ['sender', entry.sender === '' ? '<>' : entry.sender],
    ['from', entry.from],
    ['subject', entry.subject],
    ['octets', String(entry.octets)],
    ...entry.recipients.map(({ address, state }): [string, string] => ['recipient', `${address} ${stateWords[state]}`]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(10)} ${oneLine(value)}`.trimEnd()).join('\n') + '\n'
}

/** As a JSON object of plain values. */
export function entryJson({ atMs, expiresMs, ...entry }: ListedEntry): Record<string, unknown> {
  return { ...entry, kept: new Date(atMs).toISOString(), expires: new Date(expiresMs).toISOString() }
}

const stateWords = { held: 'held', releasing: 'unknown (a release was not finished)', released: 'released' } as const

function stateText({ recipients }: ListedEntry): string {
  const states = new Set(recipients.map(({ state }) => state))
  if (states.has('releasing')) return 'unknown'
  return states.size > 1 ? 'in part' : states.has('released') ? 'released' : 'held'
}

function recipientsText({ recipients }: ListedEntry): string {
  const [first, ...more] = recipients
  return `${first?.address ?? ''}${more.length === 0 ? '' : ` +${more.length}`}`
}

function cut(text: string, characters: number): string {
  const line = oneLine(text)
  return line.length <= characters ? line : `${line.slice(0, characters - 3)}...`
}

/** Line ends would make a second row. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ')
}
