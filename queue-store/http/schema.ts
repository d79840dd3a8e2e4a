/**
 * Checks values against JSON Schemas, so far as the depot's own document uses them.
 *
 * Pure. Errors: a keyword that is not known here is a mistake in the document, and thrown.
 */

/** A schema: plain data. */
export type Schema = Readonly<Record<string, unknown>>

type Check = (rule: unknown, value: unknown, at: string, schema: Schema, named: Named) => string | null

/** What `$ref` leads to: the schemas of a document by name. */
export type Named = Readonly<Record<string, Schema>>

/** What is wrong with a value, in words that name the place; `null` where nothing is. */
export function faultOf(schema: Schema, value: unknown, named: Named, at = ''): string | null {
  for (const [keyword, rule] of Object.entries(schema)) {
    if (notes.has(keyword)) continue
    const check = checks.get(keyword)
    if (check === undefined) throw new Error(`there is no check for ${keyword}`)
    const fault = check(rule, value, at, schema, named)
    if (fault !== null) return fault
  }
  return null
}

/** A schema, or the one that it names. */
export function resolved(schema: Schema, named: Named): Schema {
  const { $ref } = schema
  if (typeof $ref !== 'string') return schema
  const found = named[$ref.replace('#/components/schemas/', '')]
  if (found === undefined) throw new Error(`there is no ${$ref}`)
  return found
}

/** What tells, and asks for nothing. */
const notes = new Set(['description', 'default'])

const checks: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['$ref', (_, value, at, schema, named) => faultOf(resolved(schema, named), value, named, at)],
  [
    'type',
    (rule, value, at) =>
      listOf(rule).some((type) => isOf(type, value)) ? null : say(at, `is not ${listOf(rule).join(' or ')}`),
  ],
  [
    'enum',
    (rule, value, at) =>
      listOf(rule).includes(value as string) ? null : say(at, `is none of ${listOf(rule).join(', ')}`),
  ],
  [
    'minimum',
    (rule, value, at) =>
      typeof value !== 'number' || value >= Number(rule) ? null : say(at, `is below ${Number(rule)}`),
  ],
  [
    'maximum',
    (rule, value, at) =>
      typeof value !== 'number' || value <= Number(rule) ? null : say(at, `is above ${Number(rule)}`),
  ],
  [
    'maxLength',
    (rule, value, at) =>
      typeof value !== 'string' || value.length <= Number(rule) ? null : say(at, `is longer than ${Number(rule)}`),
  ],
  [
    'pattern',
    (rule, value, at) =>
      typeof value !== 'string' || new RegExp(String(rule), 'u').test(value)
        ? null
        : say(at, `does not look like ${String(rule)}`),
  ],
  ['anyOf', (rule, value, at, _, named) => anyOf(rule as readonly Schema[], value, at, named)],
  ['items', items],
  ['properties', properties],
  ['required', (rule, value, at) => missing(rule as readonly string[], value, at)],
  ['additionalProperties', unexpected],
])

function anyOf(rules: readonly Schema[], value: unknown, at: string, named: Named): string | null {
  const faults = rules.map((rule) => faultOf(rule, value, named, at))
  return faults.includes(null) ? null : (faults.at(-1) ?? null)
}

function items(rule: unknown, value: unknown, at: string, _: Schema, named: Named): string | null {
  if (!Array.isArray(value)) return null
  for (const [index, item] of value.entries()) {
    const fault = faultOf(rule as Schema, item, named, `${at}[${index}]`)
    if (fault !== null) return fault
  }
  return null
}

function properties(rule: unknown, value: unknown, at: string, _: Schema, named: Named): string | null {
  if (!isObject(value)) return null
  for (const [name, schema] of Object.entries(rule as Readonly<Record<string, Schema>>)) {
    if (!Object.hasOwn(value, name)) continue
    const fault = faultOf(schema, value[name], named, at === '' ? name : `${at}.${name}`)
    if (fault !== null) return fault
  }
  return null
}

function missing(names: readonly string[], value: unknown, at: string): string | null {
  if (!isObject(value)) return null
  const name = names.find((one) => !Object.hasOwn(value, one))
  return name === undefined ? null : say(at, `lacks ${name}`)
}

function unexpected(rule: unknown, value: unknown, at: string, schema: Schema): string | null {
  if (rule === true || !isObject(value)) return null
  const known = schema['properties'] ?? {}
  const name = Object.keys(value).find((one) => !Object.hasOwn(known, one))
  return name === undefined ? null : say(at, `has ${JSON.stringify(name.slice(0, 100))}, which is not known here`)
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isObject(value)
  if (type === 'integer') return Number.isSafeInteger(value)
  return typeof value === type
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(rule: unknown): readonly string[] {
  return Array.isArray(rule) ? (rule as string[]) : [rule as string]
}

function say(at: string, fault: string): string {
  return `${at === '' ? 'it' : at} ${fault}`
}
