/**
 * From a line of the log back to its event: the reverse of `line-format.ts`. Pure.
 *
 * It reads what the host wrote and nothing else: a line of another program is `null`, never a guess. What a stranger
 * chose stands escaped in a line, and comes back as it was.
 */
import { maxTextLine } from './line-format.ts'

/** An event as a line tells it. */
export interface ParsedEvent {
  readonly event: string
  /** `null` where the line does not tell: courierlogger turns it into the priority of the system log. */
  readonly level: string | null
  /** ISO 8601, of a JSON line. */
  readonly time: string | null
  /** Text lines have strings only, and a list as one string, its items between blanks. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The line was cut: fields are missing at its end, and the last one may be a part. */
  readonly isCut: boolean
}

const levels: Readonly<Record<string, string>> = { ERR: 'error', WARN: 'warn', INFO: 'info', DEBUG: 'debug' }

/** The length of a cut line whose prefix courierlogger has taken off: that of the longest prefix is missing at most. */
const leastCutLine = maxTextLine - 'DEBUG: '.length

/** A name of an event; a filter's alias may look the same, but is followed by a refusal. */
const eventName = /^([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?= |$)/
const refusal = /^(\S+) reject,from=<([^<>]*)>,addr=<([^<>]*)>: (.*)$/
const value = /^ ([A-Za-z][A-Za-z0-9]*)=(?:("(?:[^"\\]|\\.)*")|([!#-[\]-~]+))(?= |$)/

/**
 * Reads a text line from its beginning: `settled id=...`, with or without `INFO: ` before it.
 * Shape: `null` for what is no line of ours.
 */
export function parseTextLine(line: string): ParsedEvent | null {
  const prefix = /^(ERR|WARN|INFO|DEBUG): */.exec(line)
  const level = levels[prefix?.[1] ?? ''] ?? null
  const text = line.slice(prefix?.[0].length ?? 0)
  const isLong = line.endsWith('...') && line.length >= leastCutLine
  return parseRefusal(text, level, isLong) ?? parseFields(text, level, isLong)
}

function parseFields(text: string, level: string | null, isLong: boolean): ParsedEvent | null {
  const event = eventName.exec(text)?.[1]
  if (event === undefined) return null
  const fields: Record<string, string> = {}
  let rest = text.slice(event.length)
  while (rest !== '') {
    const match = value.exec(rest)
    const key = match?.[1]
    if (match === null || key === undefined) break
    const read = match[2] === undefined ? (match[3] ?? '') : unquoted(match[2])
    if (read === null) return null
    fields[key] = read
    rest = rest.slice(match[0].length)
  }
  if (rest === '') return { event, level, time: null, fields, isCut: isLong }
  // Only a cut line has a rest, and that begins as a field does.
  if (!isLong) return null
  const [, key, opening, part] = /^ ([A-Za-z][A-Za-z0-9]*)=("?)(.*)\.\.\.$/.exec(rest) ?? []
  if (key === undefined || part === undefined) return { event, level, time: null, fields, isCut: true }
  // The cut may go through an escape.
  const whole = part.replace(/\\(?:u[0-9a-f]{0,3})?$/, '')
  const read = opening === '"' ? unquoted(`"${whole}"`) : part
  return { event, level, time: null, fields: { ...fields, [key]: `${read ?? ''}...` }, isCut: true }
}

function parseRefusal(text: string, level: string | null, isLong: boolean): ParsedEvent | null {
  const [, filter, sender, recipient, reply] = refusal.exec(text) ?? []
  // The cut may go through an escape.
  const kept = isLong ? reply?.replace(/\\(?:u[0-9a-f]{0,3})?\.\.\.$/, '...') : reply
  const parts = [filter, sender, recipient, kept].map((part) => unescapeText(part ?? ''))
  if (filter === undefined || parts.includes(null)) return null
  const fields = { filter: parts[0], sender: parts[1], recipient: parts[2], reply: parts[3] }
  return { event: 'refused', level, time: null, fields, isCut: isLong }
}

/** Reads a JSON line; `null` for what is none of ours. */
export function parseJsonLine(line: string): ParsedEvent | null {
  try {
    const { time, level, event, ...fields } = JSON.parse(line) as Record<string, unknown>
    if (typeof event !== 'string' || typeof time !== 'string') return null
    return { event, level: typeof level === 'string' ? level : null, time, fields, isCut: false }
  } catch {
    return null
  }
}

/** The reverse of `escapeText`; `null` for what it never writes. */
export function unescapeText(text: string): string | null {
  return unquoted(`"${text.replace(/\\(.)|"/gs, (match) => (match === '"' ? '\\"' : match))}"`)
}

function unquoted(text: string): string | null {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'string' ? read : null
  } catch {
    return null
  }
}

/** A line of the system log, in parts. */
export interface SyslogLine {
  /** As it stands in the file: `Nov 21 14:00:00`, or ISO 8601. */
  readonly time: string
  /** The program's name. */
  readonly tag: string
  readonly text: string
}

const syslogLine =
  /^([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+)(?: \S+)?? ([A-Za-z0-9_./-]+)(?:\[[0-9]+\])?: (.*)$/s

/** Takes off what the system log puts before a line: time, host, `tag[pid]:`. `null` for what has none of that. */
export function splitSyslogLine(line: string): SyslogLine | null {
  const [, time, tag, text] = syslogLine.exec(line) ?? []
  return time === undefined || tag === undefined || text === undefined ? null : { time, tag, text }
}
