/** One line of a log, as far as it can belong to a message: an event of ours, or a line of Courier's own. Pure. */
import { parseJsonLine, parseTextLine, splitSyslogLine, type ParsedEvent } from '../../observe/line-parser.ts'

/** An event of the host's. */
export interface OwnEntry {
  readonly from: 'json' | 'text'
  /** As the log writes it; `''` where it has none. */
  readonly time: string
  readonly event: ParsedEvent
}

/** A line of one of Courier's own programs about a message. */
export interface CourierEntry {
  readonly from: 'courier'
  readonly time: string
  readonly program: string
  readonly queueId: string
  readonly text: string
}

/** What a line can be. */
export type Entry = OwnEntry | CourierEntry

/** Reads a line; `null` for one that tells of no message. */
export function entryOf(line: string): Entry | null {
  if (line.startsWith('{')) {
    const event = parseJsonLine(line)
    return event === null ? null : { from: 'json', time: event.time ?? '', event }
  }
  const system = splitSyslogLine(line)
  if (system === null) {
    // The log of a host that was started by hand.
    const event = /^(ERR|WARN|INFO|DEBUG): /.test(line) ? parseTextLine(line) : null
    return event === null ? null : { from: 'text', time: '', event }
  }
  const { time, tag, text } = system
  if (tag === 'courierfilter') {
    const event = parseTextLine(text)
    return event === null ? null : { from: 'text', time, event }
  }
  const queueId = /(?:^|,)id=([0-9A-Za-z.]+)/.exec(text)?.[1]
  return queueId === undefined ? null : { from: 'courier', time, program: tag, queueId, text }
}

/** The ids that an entry names: ours, and Courier's. */
export function idsOf(entry: Entry): { readonly id: string | null; readonly queueId: string | null } {
  if (entry.from === 'courier') return { id: null, queueId: entry.queueId }
  return { id: field(entry, 'id'), queueId: field(entry, 'queueId') }
}

/** A field as text; `null` where it is missing. */
export function field(entry: OwnEntry, name: string): string | null {
  const value = entry.event.fields[name]
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.join(' ')
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}
