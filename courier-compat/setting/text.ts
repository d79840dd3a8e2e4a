/**
 * A setting's declaration and value in words: for the manual, for `nodefilter config show` and `nodefilter filters`.
 *
 * Pure: no clock, socket, file or logger.
 */
import { quoted } from '../quoted.ts'
import { checkSetting } from './value.ts'
import type { SettingSchema, SettingTable, SettingValue } from '../setting.ts'
import { formatDuration, formatSize } from '../units.ts'

/** What may be written, in a few words: `duration, 10ms to 10m`; `defer or pass`; `yes or no`. */
export function describeType(schema: SettingSchema): string {
  switch (schema.type) {
    case 'duration':
    case 'size':
    case 'count':
    case 'number':
      return `${schema.type === 'count' ? 'whole number' : schema.type}${describeBounds(schema.min, schema.max)}`
    case 'switch':
      return 'yes or no'
    case 'choice':
      return `${schema.choices.slice(0, -1).join(', ')} or ${schema.choices.at(-1) ?? ''}`
    case 'text':
      return schema.secret === true ? 'text, kept secret' : 'text'
    case 'path':
      return 'absolute path'
    case 'list':
      return 'words separated by commas'
    case 'table':
      return schema.values === 'text' ? 'table of texts' : 'table of lists'
  }
}

/**
 * A checked value as an administrator writes it.
 * Shape: `(not set)` for null, `(empty)` for an empty text, list or table, `(set)` for a secret; these cannot be written
 *        that way.
 */
export function writeValue(schema: SettingSchema, value: SettingValue): string {
  if (value === null) return '(not set)'
  if (isSecret(schema) && value !== '') return '(set)'
  switch (schema.type) {
    case 'duration':
      return formatDuration(Number(value))
    case 'size':
      return formatSize(Number(value))
    case 'switch':
      return value === true ? 'yes' : 'no'
    case 'list':
      return Array.isArray(value) && value.length > 0 ? value.join(', ') : '(empty)'
    case 'table':
      return Object.keys(value).length > 0 ? writeTable(value as SettingTable) : '(empty)'
    case 'choice':
    case 'count':
    case 'number':
    case 'path':
    case 'text':
      return typeof value === 'object' || value === '' ? '(empty)' : String(value)
  }
}

/** The default, written like any other value, so that equal texts are equal values. */
export function writeDefault(schema: SettingSchema): string {
  const checked = checkSetting(schema, schema.default)
  return 'value' in checked ? writeValue(schema, checked.value) : '(faulty)'
}

/** Whether its value is never shown. */
export function isSecret(schema: SettingSchema): boolean {
  return schema.type === 'text' && schema.secret === true
}

function describeBounds(min: string | number | undefined, max: string | number | undefined): string {
  if (min === undefined) return max === undefined ? '' : `, ${max} at most`
  return max === undefined ? `, ${min} at least` : `, ${min} to ${max}`
}

/** In the grammar of modules.conf, the only place where a table can be written. */
function writeTable(table: SettingTable): string {
  const whole = (text: string): string => quoted(text, Infinity)
  const entries = Object.entries(table).map(
    ([key, value]) => `${whole(key)}: ${typeof value === 'string' ? whole(value) : `[${value.map(whole).join(', ')}]`}`,
  )
  return `{${entries.join(', ')}}`
}
