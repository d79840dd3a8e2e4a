/**
 * The declarations of settings, checked themselves: what a filter module exports as `settings` is its author's word.
 *
 * Pure: no clock, socket, file or logger.
 */
import { didYouMean } from '../near-match.ts'
import { quoted } from '../quoted.ts'
import type { SettingSchema } from '../setting.ts'
import { checkSetting, isTable, shown } from './value.ts'
import { parseDuration, parseSize } from '../units.ts'

/** What each type of declaration may hold beside `type`, `default` and `text`. */
const extraProperties: ReadonlyMap<string, readonly string[]> = new Map([
  ['duration', ['min', 'max', 'unit']],
  ['size', ['min', 'max']],
  ['count', ['min', 'max']],
  ['number', ['min', 'max']],
  ['switch', []],
  ['choice', ['choices']],
  ['text', ['secret']],
  ['path', []],
  ['list', []],
  ['table', ['values']],
])

/**
 * Checks that what a filter module exports as `settings` is a table of declarations.
 *
 * Shape: one message for the module's author per mistake, none if the table can be handed to `checkSettings`.
 *        `reserved` are names that the host keeps for itself, so that no filter may declare them.
 */
export function schemaProblems(schemas: unknown, reserved: readonly string[] = []): string[] {
  if (!isTable(schemas)) return ['settings is not an object of declarations, name: { type, default, text }']
  return Object.entries(schemas).flatMap(([name, declared]) => {
    const problems = declarationProblems(declared)
    if (!/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(name)) problems.unshift('the name is not in snake_case')
    if (reserved.includes(name)) problems.unshift('the name is kept for an option of the host')
    return problems.map((problem) => `settings, ${quoted(name)}: ${problem}`)
  })
}

function declarationProblems(declared: unknown): string[] {
  if (!isTable(declared)) return ['is not a declaration, { type, default, text }']
  const { type, text, min, max, choices, was, unit, values, secret } = declared
  const extras = typeof type === 'string' ? extraProperties.get(type) : undefined
  if (extras === undefined) {
    const names = [...extraProperties.keys()]
    const hint = typeof type === 'string' ? didYouMean(type, names) : null
    return [`type ${shown(type)} is not one of ${names.join(', ')}${hint === null ? '' : `; ${hint}`}`]
  }
  const problems: string[] = []
  const known = ['type', 'default', 'text', 'was', ...extras]
  for (const property of Object.keys(declared)) {
    if (known.includes(property)) continue
    const hint = didYouMean(property, known)
    problems.push(`a ${String(type)} has no property ${quoted(property)}${hint === null ? '' : `; ${hint}`}`)
  }
  if (typeof text !== 'string' || text.trim() === '' || /[\r\n]/.test(text))
    problems.push('text is not one line of text')
  if (was !== undefined && !isOldNames(was)) problems.push('was is not a list of names that it had before')
  if (extras.includes('unit') && !isOneOf(unit, [undefined, 's', 'm', 'h', 'd'])) {
    problems.push(`unit ${shown(unit)} is not one of s, m, h, d`)
  }
  if (extras.includes('values') && !isOneOf(values, ['text', 'list']))
    problems.push(`values ${shown(values)} is not one of text, list`)
  if (extras.includes('secret') && !isOneOf(secret, [undefined, true, false]))
    problems.push(`secret ${shown(secret)} is neither true nor false`)
  if (secret === true && declared['default'] !== null)
    problems.push('a secret has no default but null: what stands in the code is known')
  if (extras.includes('min')) problems.push(...boundProblems(String(type), min, max))
  if (extras.includes('choices') && !isChoices(choices))
    problems.push('choices is not a list of two or more different words')
  if (problems.length > 0) return problems

  // From here on everything but the default is known to be well formed.
  const schema = declared as unknown as SettingSchema
  const fallback: unknown = declared['default']
  if (fallback === undefined) return ['has no default (null: not set)']
  if (fallback === null && ['switch', 'choice', 'list', 'table'].includes(schema.type))
    return [`a ${schema.type} cannot be null`]
  const wanted =
    { count: 'number', number: 'number', switch: 'boolean', list: 'object', table: 'object' }[schema.type as string] ??
    'string'
  if (fallback !== null && typeof fallback !== wanted) {
    return [`default ${shown(fallback)} is not written as a ${schema.type} is declared`]
  }
  const checked = checkSetting(schema, fallback)
  return 'problem' in checked ? [`default: ${checked.problem}`] : []
}

function boundProblems(type: string, min: unknown, max: unknown): string[] {
  const parse = type === 'size' ? parseSize : parseDuration
  const read = (bound: unknown, open: number): number | null => {
    if (type === 'count') return typeof bound === 'number' && Number.isSafeInteger(bound) ? bound : null
    if (type === 'number') return typeof bound === 'number' && Number.isFinite(bound) ? bound : null
    return bound === undefined ? open : typeof bound === 'string' ? parse(bound) : null
  }
  const [least, most] = [read(min, -Infinity), read(max, Infinity)]
  const problems: string[] = []
  if (least === null) problems.push(`min ${shown(min)} is no bound`)
  if (most === null) problems.push(`max ${shown(max)} is no bound`)
  if (least !== null && most !== null && least > most) problems.push('min is above max')
  return problems
}

function isOldNames(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_]*$/.test(name))
  )
}

function isOneOf(value: unknown, choices: readonly unknown[]): boolean {
  return choices.includes(value)
}

function isChoices(value: unknown): boolean {
  if (!Array.isArray(value) || value.length < 2 || new Set(value).size < value.length) return false
  return value.every((choice) => typeof choice === 'string' && /^[^\s,"]+$/.test(choice))
}
