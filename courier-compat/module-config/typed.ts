/**
 * From a value in Python's notation to what the check of settings takes, by the type that the setting is declared with.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3 (result typing), M06, M79, M80.
 */
import { quoted } from '../quoted.ts'
import type { SettingSchema } from '../setting.ts'
import { kindName } from '../python-value/value.ts'
import type { PythonValue } from '../python-value/value.ts'

/** Why a value does not fit: a sentence that follows the setting's name, without that name. */
export interface TypeProblem {
  readonly reason: 'type' | 'range'
  readonly text: string
  readonly cure: string | null
}

/** For `checkSetting`, which looks at bounds and the like; or why the value is of the wrong kind. */
export type FromPython =
  { readonly raw: unknown; readonly warnings: readonly string[] } | { readonly problem: TypeProblem }

/**
 * Converts one value. Nothing is guessed: what pythonfilter read in another way than it looks is refused, above all a text
 * where a list is wanted, which it took letter by letter.
 */
export function settingFromPython(schema: SettingSchema, value: PythonValue): FromPython {
  if (value.kind === 'none') {
    return schema.default === null
      ? taken(null)
      : refused('None is no value for it', 'take the line out for the default')
  }
  switch (schema.type) {
    case 'duration':
      return durationFrom(schema.unit, value)
    case 'size':
      if (value.kind === 'str') return taken(value.value)
      return wholeFrom(value, 'whole number of octets', "write a whole number, or a text such as '64KiB'")
    case 'count':
      return countFrom(value)
    case 'number':
      return numberFrom(value)
    case 'switch':
      if (value.kind === 'bool') return taken(value.value)
      if (value.kind === 'int' && (value.value === 0 || value.value === 1)) return taken(value.value === 1)
      return refused(`${shown(value)} is neither True nor False`, 'write True or False')
    case 'text':
      if (schema.secret !== true || value.kind === 'str') return textFrom(value)
      return refused('its value is no text', 'write it in quotes')
    case 'choice':
    case 'path':
      return textFrom(value)
    case 'list':
      return listFrom(value)
    case 'table':
      return tableFrom(schema.values, value)
  }
}

function textFrom(value: PythonValue): FromPython {
  if (value.kind === 'str') return taken(value.value)
  return refused(`${shown(value)} is no text`, isScalar(value) ? `write it in quotes: '${bare(value)}'` : null)
}

const unitNames = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days' } as const

function durationFrom(unit: keyof typeof unitNames | undefined, value: PythonValue): FromPython {
  if (value.kind === 'str') return taken(value.value)
  if (unit === undefined) {
    const cure = "write its unit, in quotes: '300s', '5m', '24h'"
    return refused(`${shown(value)} is no duration`, cure)
  }
  const example = value.kind === 'float' ? ", or a smaller unit, in quotes: '30s'" : ''
  const cure = `write a whole number of ${unitNames[unit]}${example}`
  // True is a whole number to Python, but nobody means one second by it.
  if (value.kind === 'bool') return refused(`${shown(value)} is no duration`, cure)
  const whole = wholeFrom(value, `positive whole number of ${unitNames[unit]}`, cure)
  return 'raw' in whole ? { ...whole, raw: `${String(whole.raw)}${unit}` } : whole
}

function countFrom(value: PythonValue): FromPython {
  if (value.kind === 'bool') {
    const number = value.value ? 1 : 0
    return taken(number, `${shown(value)} counts as ${number}`)
  }
  if (value.kind === 'str' && /^-?[0-9]{1,16}$/.test(value.value)) {
    return taken(value.value, `the whole number ${value.value} stands in quotes`)
  }
  return integralFrom(value, 'whole number', 'write a whole number')
}

function numberFrom(value: PythonValue): FromPython {
  if (value.kind === 'int' || value.kind === 'float') return taken(value.value)
  if (value.kind === 'bool') return taken(value.value ? 1 : 0, `${shown(value)} counts as ${value.value ? 1 : 0}`)
  const cure = value.kind === 'str' ? 'write a number without quotes' : 'write a number'
  return refused(`${shown(value)} is no number`, cure)
}

/** A whole number from zero on. */
function wholeFrom(value: PythonValue, what: string, cure: string): FromPython {
  const whole = integralFrom(value, what, cure)
  return 'raw' in whole && Number(whole.raw) < 0 ? refused(`${shown(value)} is below zero`, cure, 'range') : whole
}

function integralFrom(value: PythonValue, what: string, cure: string): FromPython {
  if (value.kind === 'int') return taken(value.value)
  if (value.kind === 'float' && Number.isSafeInteger(value.value)) {
    return taken(value.value, `${shown(value)} counts as ${value.value}; for a whole result divide with //`)
  }
  return refused(`${shown(value)} is no ${what}`, cure)
}

type TextsFrom =
  { readonly raw: readonly string[]; readonly warnings: readonly string[] } | { readonly problem: TypeProblem }

function listFrom(value: PythonValue): TextsFrom {
  if (value.kind === 'str') {
    return refused(`${shown(value)} is a text, not a list`, `write it in square brackets: [${quotedBare(value.value)}]`)
  }
  return textsIn(value)
}

function tableFrom(values: 'text' | 'list', value: PythonValue): FromPython {
  if (value.kind !== 'dict') return refused(`${shown(value)} is no dict`, "write {'key': ...}")
  // Without a prototype: a key may be any text, "__proto__" too.
  const table = Object.create(null) as Record<string, string | readonly string[]>
  for (const [key, item] of value.entries) {
    if (key.kind !== 'str') return refused(`the key ${shown(key)} in it is no text`, 'write keys in quotes')
    if (values === 'text') {
      if (item.kind !== 'str') {
        return refused(`the value of ${quoted(key.value)} in it, ${shown(item)}, is no text`, 'write texts in quotes')
      }
      table[key.value] = item.value
      continue
    }
    const texts = listFrom(item)
    if ('problem' in texts) {
      const { text, cure } = texts.problem
      return refused(`the value of ${quoted(key.value)} in it: ${text}`, cure)
    }
    table[key.value] = texts.raw
  }
  return taken(table)
}

function textsIn(value: PythonValue): TextsFrom {
  if (value.kind !== 'list' && value.kind !== 'tuple' && value.kind !== 'set') {
    return refused(`${shown(value)} is no list`, "write ['...', '...']")
  }
  const texts: string[] = []
  for (const item of value.items) {
    if (item.kind !== 'str') return refused(`${shown(item)} in the list is no text`, 'write texts in quotes')
    texts.push(item.value)
  }
  return { raw: texts, warnings: [] }
}

function taken(raw: unknown, ...warnings: readonly string[]): { raw: unknown; warnings: readonly string[] } {
  return { raw, warnings }
}

function refused(text: string, cure: string | null, reason: TypeProblem['reason'] = 'type'): { problem: TypeProblem } {
  return { problem: { reason, text, cure } }
}

function isScalar(value: PythonValue): boolean {
  return value.kind === 'int' || value.kind === 'float'
}

/** As it is told: what is short itself, of all else the kind. */
function shown(value: PythonValue): string {
  if (value.kind === 'str') return quoted(value.value)
  return isScalar(value) ? bare(value) : kindName(value)
}

function bare(value: PythonValue): string {
  if (value.kind === 'float' && Number.isInteger(value.value) && Math.abs(value.value) < 1e16)
    return value.value.toFixed(1)
  return 'value' in value ? String(value.value) : kindName(value)
}

function quotedBare(text: string): string {
  return text.length <= 60 && !/['\\\p{Cc}]/u.test(text) ? `'${text}'` : "'...'"
}
