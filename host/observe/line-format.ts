/**
 * A log event as one line of text, or as one line of JSON. Pure.
 *
 * Everything that a stranger chose (addresses, ids, error texts) is escaped, so that one event is one line and a
 * terminal shows it as it is. Source: spec courier 1.5 (what courierlogger does with a line), contracts.md (500 bytes).
 */
import { asciiJson } from '../../courier-compat/ascii-json.ts'

/** How urgent: `error` a person must act, `warn` a failure was turned into a verdict, `info` a message was settled. */
export type Level = 'error' | 'warn' | 'info' | 'debug'

/** A field's value; `null` and `undefined` leave the field out. */
export type FieldValue = string | number | boolean | null | undefined | readonly string[]

/** One event: its name and fields, in the order in which they are shown. */
export interface LogEvent {
  readonly level: Level
  readonly event: string
  readonly fields: Readonly<Record<string, FieldValue>>
  /** The text line after its prefix, where other programs expect a shape of their own; escaped by whoever writes it. */
  readonly text?: string
}

/** courierlogger keeps 511 bytes of a line; the rest of it is lost without a trace. */
export const maxTextLine = 500

/** So that one long address or error text leaves room for the fields after it; JSON has them whole. */
const maxTextField = 160

const prefixes: Readonly<Record<Level, string>> = { error: 'ERR: ', warn: 'WARN: ', info: 'INFO: ', debug: 'DEBUG: ' }

/**
 * Formats an event as `PREFIX event key=value ...`.
 *
 * Shape:  ASCII only, without a line end; the prefixes are courierlogger's.
 * Units:  at most `maxOctets`; `trail`, the longest field, is last and is shortened first.
 */
export function textLine(event: LogEvent, maxOctets: number = maxTextLine): string {
  let line = prefixes[event.level] + (event.text ?? event.event)
  const keys = event.text === undefined ? Object.keys(event.fields) : []
  const lastKey = keys.at(-1)
  for (const key of keys) {
    const value = event.fields[key]
    if (value === null || value === undefined) continue
    line += ` ${key}=${shown(value, key === lastKey ? maxOctets : maxTextField)}`
  }
  return line.length <= maxOctets ? line : `${line.slice(0, maxOctets - 3)}...`
}

/**
 * Formats an event as one JSON object: `time` in ISO 8601, then level, event and the fields as they are.
 * Shape: ASCII only, without a line end; what JSON leaves as it is (U+0085, U+2028, bidi controls) is escaped as well.
 */
export function jsonLine(event: LogEvent, wallMs: number): string {
  return asciiJson({
    time: new Date(wallMs).toISOString(),
    level: event.level,
    event: event.event,
    ...event.fields,
  })
}

/**
 * Text that cannot leave its line or its quotes: printable ASCII stays, the rest is escaped as JSON escapes it; quotes
 * are put around it where it is empty or holds a blank or a quote.
 */
export function quote(text: string): string {
  if (/^[!#-[\]-~]+$/.test(text)) return text
  return asciiJson(text)
}

/** As `quote`, for text that stands inside other punctuation and so needs no quotes of its own. */
export function escapeText(text: string): string {
  return asciiJson(text).slice(1, -1).replaceAll('\\"', '"')
}

/** As `escapeText`, for an address that stands between `<` and `>`: those in it are escaped as well, so that it ends at its end. */
export function escapeBracketed(address: string): string {
  return escapeText(address).replace(/[<>]/g, (unit) => (unit === '<' ? '\\u003c' : '\\u003e'))
}

function shown(value: string | number | boolean | readonly string[], maxText: number): string {
  if (typeof value === 'object') return quote(value.join(' '))
  if (typeof value === 'string') return quote(value.length > maxText ? `${value.slice(0, maxText)}...` : value)
  return String(value)
}
