/**
 * Settings checked against their declaration: what an administrator wrote -> values, or what is wrong with it.
 *
 * Nothing is repaired: a value is right or it is a problem, and all problems are told at once.
 * Pure: no clock, socket, file or logger.
 */
import { didYouMean } from './near-match.ts'
import { quoted } from './quoted.ts'
import type { SettingSchema, SettingSchemas, SettingValue } from './setting.ts'
import { parseDuration, parseSize } from './units.ts'

/** The value that a declaration gives: `null` only where the default is `null`. */
export type SettingOf<Schema extends SettingSchema> =
  BareValue<Schema> | (null extends Schema['default'] ? null : never)

type BareValue<Schema extends SettingSchema> = Schema extends { type: 'duration' | 'size' | 'count' | 'number' }
  ? number
  : Schema extends { type: 'switch' }
    ? boolean
    : Schema extends { type: 'choice'; choices: readonly (infer Choice)[] }
      ? Choice
      : Schema extends { type: 'list' }
        ? readonly string[]
        : Schema extends { type: 'table'; values: infer Values }
          ? Readonly<Record<string, Values extends 'list' ? readonly string[] : string>>
          : string

/** The values that a table of declarations gives, under the names declared: `SettingsOf<typeof settings>`. */
export type SettingsOf<Schemas extends SettingSchemas> = { readonly [Key in keyof Schemas]: SettingOf<Schemas[Key]> }

/** The value, or why there is none: a sentence that follows the setting's name, without that name. */
export type CheckedSetting = { readonly value: SettingValue } | { readonly problem: string }

/** What is wrong with one setting. */
export interface SettingProblem {
  readonly key: string
  readonly text: string
}

/**
 * Checks one value.
 *
 * Shape: `raw` is the text an administrator wrote, or a value that another configuration language has typed already:
 *        a number (a count, or octets), a boolean, an array of words, `null` (where the default is `null`).
 * Units: durations give ms, sizes octets. A number alone is no duration: seconds, days or ms would be a guess.
 */
export function checkSetting(schema: SettingSchema, raw: unknown): CheckedSetting {
  if (raw === null) return schema.default === null ? { value: null } : { problem: 'has no value' }
  switch (schema.type) {
    case 'duration':
      return checkMeasure(
        raw,
        typeof raw === 'string' ? parseDuration(raw) : null,
        schema,
        parseDuration,
        'duration: write a whole number and its unit, as in 500ms, 30s, 5m, 24h, 7d',
      )
    case 'size':
      return checkMeasure(
        raw,
        typeof raw === 'string' ? parseSize(raw) : wholeNumber(raw),
        schema,
        parseSize,
        'size: write a whole number of octets, or one with KiB, MiB or GiB, as in 512, 64KiB, 10MiB',
      )
    case 'count':
      return checkMeasure(raw, wholeNumber(raw), schema, Number, 'whole number')
    case 'number':
      return checkMeasure(raw, decimalNumber(raw), schema, Number, 'number')
    case 'switch':
      if (typeof raw === 'boolean') return { value: raw }
      return raw === 'yes' || raw === 'no'
        ? { value: raw === 'yes' }
        : { problem: `${shown(raw)} is neither yes nor no` }
    case 'choice':
      return checkChoice(schema.choices, raw)
    case 'text':
      if (typeof raw !== 'string') return { problem: `${shown(raw)} is no text` }
      return raw.includes('\0') ? { problem: `${shown(raw)} contains a NUL` } : { value: raw }
    case 'path':
      return typeof raw === 'string' && raw.startsWith('/') && !raw.includes('\0')
        ? { value: raw }
        : { problem: `${shown(raw)} is no absolute path: it begins with /` }
    case 'list':
      return checkWords(raw)
    case 'table':
      return checkTable(raw, schema.values)
  }
}

/**
 * The values that hold where nothing was written; frozen.
 * Errors: TypeError if a default breaks its own declaration, which `schemaProblems` tells beforehand.
 */
export function settingDefaults<Schemas extends SettingSchemas>(schemas: Schemas): SettingsOf<Schemas> {
  const values = Object.entries(schemas).map(([key, schema]) => {
    const checked = checkSetting(schema, schema.default)
    if ('problem' in checked) throw new TypeError(`default of ${key}: ${checked.problem}`)
    return [key, checked.value]
  })
  return Object.freeze(Object.fromEntries(values)) as SettingsOf<Schemas>
}

/**
 * Checks what was written for a table of settings.
 *
 * Shape: `values` is frozen and complete, the default standing wherever nothing, or nothing valid, was written: it is
 *        for use as a whole only if `problems` is empty. A key whose value is `undefined` counts as not written.
 *        `warnings` name what was written under an earlier name; each stands under the name written.
 */
export function checkSettings<Schemas extends SettingSchemas>(
  schemas: Schemas,
  raw: Readonly<Record<string, unknown>>,
): {
  readonly values: SettingsOf<Schemas>
  readonly problems: readonly SettingProblem[]
  readonly warnings: readonly SettingProblem[]
} {
  const values = new Map<string, SettingValue>(Object.entries(settingDefaults(schemas)))
  const problems: SettingProblem[] = []
  const warnings: SettingProblem[] = []
  for (const [key, written] of Object.entries(raw)) {
    const name = currentName(schemas, key)
    const schema = name === null ? undefined : schemas[name]
    if (name === null || schema === undefined) {
      const hint = didYouMean(key, Object.keys(schemas))
      problems.push({ key, text: hint === null ? 'no such setting' : `no such setting; ${hint}` })
    } else if (name !== key && raw[name] !== undefined) {
      problems.push({ key, text: `is the old name of ${name}, which is set as well` })
    } else if (written !== undefined) {
      if (name !== key) warnings.push({ key, text: `is called ${name} now` })
      const checked = checkSetting(schema, written)
      if ('problem' in checked) problems.push({ key, text: checked.problem })
      else values.set(name, checked.value)
    }
  }
  return { values: Object.freeze(Object.fromEntries(values)) as SettingsOf<Schemas>, problems, warnings }
}

/** The name under which `written` is declared, by that name or an earlier one; `null` if it is not. */
export function currentName(schemas: SettingSchemas, written: string): string | null {
  if (Object.hasOwn(schemas, written)) return written
  return Object.keys(schemas).find((name) => schemas[name]?.was?.includes(written)) ?? null
}

interface Bounds {
  readonly min?: string | number
  readonly max?: string | number
}

function checkMeasure(
  raw: unknown,
  value: number | null,
  bounds: Bounds,
  parse: (bound: string) => number | null,
  what: string,
): CheckedSetting {
  if (value === null) return { problem: `${shown(raw)} is no ${what}` }
  // A bound that does not parse is the author's mistake, told by `schemaProblems`; here it must not let a value through.
  const least = bounds.min === undefined ? -Infinity : (parse(String(bounds.min)) ?? Infinity)
  const most = bounds.max === undefined ? Infinity : (parse(String(bounds.max)) ?? -Infinity)
  if (value < least) return { problem: `${shown(raw)} is below the minimum, ${String(bounds.min)}` }
  if (value > most) return { problem: `${shown(raw)} is above the maximum, ${String(bounds.max)}` }
  return { value }
}

function wholeNumber(raw: unknown): number | null {
  const value = typeof raw === 'string' && /^-?[0-9]{1,16}$/.test(raw) ? Number(raw) : raw
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null
}

function decimalNumber(raw: unknown): number | null {
  const value = typeof raw === 'string' && /^-?[0-9]{1,16}(?:\.[0-9]{1,16})?$/.test(raw) ? Number(raw) : raw
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function checkChoice(choices: readonly string[], raw: unknown): CheckedSetting {
  if (typeof raw === 'string' && choices.includes(raw)) return { value: raw }
  const hint = typeof raw === 'string' ? didYouMean(raw, choices) : null
  return { problem: `${shown(raw)} is not one of ${choices.join(', ')}${hint === null ? '' : `; ${hint}`}` }
}

function checkWords(raw: unknown): CheckedSetting {
  const words: unknown =
    typeof raw !== 'string' ? raw : raw.trim() === '' ? [] : raw.split(',').map((word) => word.trim())
  if (!Array.isArray(words)) return { problem: `${shown(raw)} is no list: write words separated by commas` }
  if (!words.every((word) => typeof word === 'string'))
    return { problem: 'is a list with something else than words in it' }
  if (words.includes(''))
    return { problem: 'has an empty word in its list: write words with one comma between each two' }
  return { value: Object.freeze([...words]) }
}

function checkTable(raw: unknown, values: 'text' | 'list'): CheckedSetting {
  if (!isTable(raw)) return { problem: `${shown(raw)} is no table: write {'key': ...} in modules.conf` }
  // Without a prototype: a key may be any text, "__proto__" too.
  const table = Object.create(null) as Record<string, string | readonly string[]>
  for (const [key, value] of Object.entries(raw)) {
    const isList = Array.isArray(value) && value.every((word) => typeof word === 'string')
    if (values === 'text' ? typeof value !== 'string' : !isList) {
      return { problem: `${quoted(key)} in it has no ${values === 'text' ? 'text' : 'list of texts'}` }
    }
    table[key] = typeof value === 'string' ? value : Object.freeze([...(value as string[])])
  }
  return { value: Object.freeze(table) }
}

function shown(raw: unknown): string {
  if (typeof raw === 'string') return quoted(raw)
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  return Array.isArray(raw) ? 'a list' : 'a value of another kind'
}

/** What each type of declaration may hold beside `type`, `default` and `text`. */
const extraProperties: ReadonlyMap<string, readonly string[]> = new Map([
  ['duration', ['min', 'max', 'unit']],
  ['size', ['min', 'max']],
  ['count', ['min', 'max']],
  ['number', ['min', 'max']],
  ['switch', []],
  ['choice', ['choices']],
  ['text', []],
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
  const { type, text, min, max, choices, was, unit, values } = declared
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

function isTable(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
