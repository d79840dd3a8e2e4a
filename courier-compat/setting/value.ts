/**
 * Settings checked against their declaration: what an administrator wrote -> values, or what is wrong with it.
 *
 * Nothing is repaired: a value is right or it is a problem, and all problems are told at once.
 * Pure: no clock, socket, file or logger.
 */
import { didYouMean } from '../near-match.ts'
import { quoted } from '../quoted.ts'
import type { SettingSchema, SettingSchemas, SettingValue } from '../setting.ts'
import { parseDuration, parseSize } from '../units.ts'

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
      return checkText(raw, schema.secret === true ? 'its value' : shown(raw))
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

function checkText(raw: unknown, told: string): CheckedSetting {
  if (typeof raw !== 'string') return { problem: `${told} is no text` }
  return raw.includes('\0') ? { problem: `${told} contains a NUL` } : { value: raw }
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

/** What was written, fit to stand in a message. */
export function shown(raw: unknown): string {
  if (typeof raw === 'string') return quoted(raw)
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  return Array.isArray(raw) ? 'a list' : 'a value of another kind'
}

/** True for a plain object. */
export function isTable(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
