/**
 * The parameters of Content-Type and Content-Disposition: names and decoded values, in every reading.
 *
 * Pure: no clock, socket, file or logger. Time grows with the length of the value.
 * Source: RFC 2045 5.1, RFC 2231 (continuations, character sets), RFC 6532; encoded words in names, which RFC 2047 5
 * forbids and most programs write.
 */
import { isUtf8 } from 'node:buffer'
import { charsetNamed, decodeAll } from './charset.ts'
import type { FieldLimits, Parameters } from './content-types.ts'
import { decodeWordsAsSent, withoutLineEnds } from './encoded-words.ts'
import { unescapeHex } from './escapes.ts'
import type { FindingKind } from './findings.ts'
import { isTelling, scanParameters, type RawParameter, type ValueScanner } from './parameter-scan.ts'
import { guessText } from './text-guess.ts'

/** One reading of a value, before decoding. */
interface Reading {
  readonly octets: string
  /** RFC 2231's; `''` where it names none, `null` in the plain form. */
  readonly charset: string | null
}

/** All that stands under one name. */
interface Group {
  readonly plain: RawParameter[]
  /** `name*=` */
  readonly extended: RawParameter[]
  /** `name*0=`, `name*0*=` by number. */
  readonly sections: Map<number, Section[]>
}

interface Section {
  readonly value: string
  readonly isExtended: boolean
}

/** What `readParameters` finds. */
export interface ParametersFound extends Parameters {
  /** Names whose value has a comment beside or in it: readers that know no comments take it for the value's. */
  readonly commented: ReadonlySet<string>
}

/** Names in which encoded words are decoded, and NUL is kept: see `fileNamesOf`. */
const fileNameParameters: ReadonlySet<string> = new Set(['name', 'filename'])

/**
 * Reads the parameters from where the scanner stands. Adds to the scanner's problems: `bad-parameter`, `odd-parameter`,
 * `duplicate-parameter`, `unknown-charset`, `hidden-line-end` and those of encoded words.
 */
export function readParameters(scanner: ValueScanner, limits: FieldLimits): ParametersFound {
  const { problems } = scanner
  const groups = new Map<string, Group>()
  const commented = new Set<string>()
  for (const parameter of scanParameters(scanner, limits.parameters)) {
    const name = addTo(groups, parameter, problems)
    if (parameter.hasComment) commented.add(name)
  }
  const values = new Map<string, string>()
  const readings = new Map<string, readonly string[]>()
  const octets = new Map<string, readonly string[]>()
  for (const [name, group] of groups) {
    const own = new Set<FindingKind>()
    const found = readingsOf(group, own)
    const texts = new Set<string>()
    for (const reading of found) texts.add(decoded(name, reading, limits, own))
    for (const kind of own) problems.add(weighed(kind, name))
    const [first] = texts
    if (first === undefined) continue
    values.set(name, first)
    readings.set(name, [...texts])
    octets.set(name, [...new Set(found.map((reading) => reading.octets))])
  }
  return { values, readings, octets, commented, problems: [...problems] }
}

function addTo(groups: Map<string, Group>, parameter: RawParameter, problems: Set<FindingKind>): string {
  const star = parameter.name.indexOf('*')
  const name = star === -1 ? parameter.name : parameter.name.slice(0, star)
  const group = groups.get(name) ?? { plain: [], extended: [], sections: new Map<number, Section[]>() }
  groups.set(name, group)
  const form = star === -1 ? '' : parameter.name.slice(star)
  const number = /^\*(0|[1-9]\d{0,3})(\*)?$/.exec(form)
  if (form === '*') group.extended.push(parameter)
  else if (number !== null) {
    const section = { value: parameter.value, isExtended: number[2] !== undefined }
    const index = Number(number[1])
    const sections = group.sections.get(index)
    if (sections === undefined) group.sections.set(index, [section])
    else sections.push(section)
  } else {
    if (form !== '') problems.add(weighed('bad-parameter', name))
    group.plain.push(parameter)
  }
  return name
}

/** Of a parameter that changes neither the parts nor their names nor their text, it is only odd. */
function weighed(kind: FindingKind, name: string): FindingKind {
  if (kind !== 'bad-parameter' && kind !== 'duplicate-parameter') return kind
  return isTelling(name) || (kind === 'duplicate-parameter' && name === 'charset') ? kind : 'odd-parameter'
}

/** Every reading, that of the newest standard first: it is what a sender means that writes both. */
function readingsOf(group: Group, problems: Set<FindingKind>): Reading[] {
  const readings = group.extended.map(({ value }) => extendedReading(value, problems))
  readings.push(...continuedReadings(group.sections, problems))
  for (const { value } of group.plain) readings.push({ octets: value, charset: null })
  for (const form of [group.plain, group.extended]) {
    if (form.some(({ value }) => value !== form[0]?.value)) problems.add('duplicate-parameter')
  }
  for (const { others } of group.plain) for (const octets of others) readings.push({ octets, charset: null })
  for (const { others } of group.extended) for (const other of others) readings.push(extendedReading(other, problems))
  return readings
}

/** `charset'language'text` (RFC 2231 4). */
function extendedReading(value: string, problems: Set<FindingKind>): Reading {
  const { charset, text } = charsetOf(value, problems)
  return { octets: unescapePercent(text, problems), charset }
}

function charsetOf(value: string, problems: Set<FindingKind>): { charset: string; text: string } {
  const first = value.indexOf("'")
  const second = first === -1 ? -1 : value.indexOf("'", first + 1)
  if (second !== -1) return { charset: value.slice(0, first), text: value.slice(second + 1) }
  problems.add('bad-parameter')
  return { charset: '', text: value }
}

/** RFC 2231 3. Where sections are doubled or missing, readers differ: the first or the last of each, up to the gap or all. */
function continuedReadings(sections: Group['sections'], problems: Set<FindingKind>): Reading[] {
  if (sections.size === 0) return []
  const numbers = [...sections.keys()].sort((one, other) => one - other)
  const gap = numbers.findIndex((number, index) => number !== index)
  const readings: Reading[] = []
  const join = (upTo: readonly number[], index: 0 | -1): void => {
    const parts = upTo.map((number) => sections.get(number)?.at(index)).filter((part) => part !== undefined)
    if (parts.length > 0) readings.push(joined(parts, problems))
  }
  join(numbers, 0)
  if ([...sections.values()].some((same) => same.some(({ value }) => value !== same[0]?.value))) {
    problems.add('duplicate-parameter')
    join(numbers, -1)
  }
  if (gap !== -1) {
    problems.add('bad-parameter')
    join(numbers.slice(0, gap), 0)
  }
  return readings
}

function joined(sections: readonly Section[], problems: Set<FindingKind>): Reading {
  const octets: string[] = []
  let charset: string | null = null
  for (const [index, { value, isExtended }] of sections.entries()) {
    if (!isExtended) octets.push(value)
    else if (index > 0) octets.push(unescapePercent(value, problems))
    else {
      const first = extendedReading(value, problems)
      charset = first.charset
      octets.push(first.octets)
    }
  }
  return { octets: octets.join(''), charset }
}

function unescapePercent(text: string, problems: Set<FindingKind>): string {
  return unescapeHex(text, '%', () => problems.add('bad-parameter'))
}

function decoded(name: string, reading: Reading, limits: FieldLimits, problems: Set<FindingKind>): string {
  const isFileName = fileNameParameters.has(name)
  const text = asText(isFileName, reading, limits, problems)
  if (!isFileName) return withoutLineEnds(text, problems)
  if (/[\r\n\0]/.test(text)) problems.add('hidden-line-end')
  return text.replaceAll(/\r\n|[\r\n]/g, ' ')
}

function asText(isFileName: boolean, { octets, charset }: Reading, limits: FieldLimits, problems: Set<FindingKind>) {
  const bytes = Buffer.from(octets, 'latin1')
  if (charset === null) {
    if (isFileName && octets.includes('=?')) return decodeWordsAsSent(bytes, limits, problems).text
    if (!isUtf8(bytes)) problems.add('eight-bit-header')
    return guessText(bytes)
  }
  const known = charset === '' ? null : charsetNamed(charset)
  if (known === null) {
    if (charset !== '') problems.add('unknown-charset')
    return guessText(bytes)
  }
  if (known.isDangerous) problems.add('dangerous-charset')
  const text = decodeAll(known.decoder(), bytes)
  if (text.includes('\ufffd')) problems.add('bad-text')
  return text
}
