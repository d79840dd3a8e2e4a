/**
 * Content-Type, Content-Disposition and Content-Transfer-Encoding as they act, and every other way to read them.
 *
 * Pure: no clock, socket, file or logger. Time grows with the length of the fields.
 * Source: RFC 2045 5 and 6, RFC 2183, RFC 2046 5.1.1 (boundaries); CVE-2024-28054 for why all boundaries matter.
 */
import { fieldsNamed, type HeaderField } from '../header/section.ts'
import type { ContentTypeReading, DispositionReading, EncodingReading, FieldLimits } from './content-types.ts'
import type { FindingKind } from './findings.ts'
import { ValueScanner } from './parameter-scan.ts'
import { readParameters, type ParametersFound } from './parameters.ts'
import type { TransferEncoding } from './reading.ts'

/** RFC 2046 5.1.1. */
const maxBoundaryOctets = 70

/** Nobody who writes more of them means to be read. */
const maxBoundaries = 8

/**
 * A boundary encoded as RFC 2231 has it, with a line end inside its quotes, or without quotes and with octets that want
 * them: each of the three has readers that find another boundary, or none. Blanks and hyphens have no other way to match.
 */
const oddlyWritten = /[;\s]boundary(?:\*|\s*=\s*(?:"[^"\r\n]*[\r\n]|[^\s";]*[=:?/,<>@[\]\\(]))/i

/** One field's value: what stands before its parameters, and those. */
interface FieldReading {
  /** All of it. */
  readonly text: string
  /** In lower case; `null` if it cannot be read. */
  readonly head: string | null
  readonly parameters: ParametersFound
}

/** What the Content-Type fields among these say. */
export function readContentType(fields: readonly HeaderField[], limits: FieldLimits): ContentTypeReading {
  const problems = new Set<FindingKind>()
  const readings = readAll(fields, 'content-type', limits, scanType, 'bad-content-type', problems)
  const types = new Set<string>()
  for (const { head } of readings) if (head !== null) types.add(head)
  const boundaries = collect(readings, 'boundary', 'octets').filter((boundary) => boundary !== '')
  const isMultipart = [...types].some((type) => type.startsWith('multipart/'))
  if (isMultipart) {
    if (boundaries.length === 0) problems.add('no-boundary')
    if (boundaries.length > 1) problems.add('two-boundaries')
    const isCommented = readings.some(({ parameters }) => parameters.commented.has('boundary'))
    const written = fieldsNamed({ fields }, 'content-type').some(({ raw }) => oddlyWritten.test(raw.toString('latin1')))
    if (isCommented || written || boundaries.some(isOddBoundary)) problems.add('odd-boundary')
  }
  const isHidden =
    problems.has('bad-content-type') && readings.some(({ text }) => /multipart|message|boundary/i.test(text))
  if (isHidden) problems.add('hidden-multipart')
  const parameters = readings[0]?.parameters.values ?? new Map<string, string>()
  const charset = parameters.get('charset')?.trim().toLowerCase() ?? ''
  return {
    type: readings[0]?.head ?? null,
    types: [...types],
    parameters,
    boundary: boundaries[0] === undefined ? null : Buffer.from(boundaries[0], 'latin1'),
    boundaries: boundaries.slice(0, maxBoundaries).map((boundary) => Buffer.from(boundary, 'latin1')),
    charset: charset === '' ? null : charset,
    names: collect(readings, 'name', 'readings'),
    problems: [...problems],
  }
}

/** What the Content-Disposition fields among these say. */
export function readDisposition(fields: readonly HeaderField[], limits: FieldLimits): DispositionReading {
  const problems = new Set<FindingKind>()
  const readings = readAll(fields, 'content-disposition', limits, scanWord, 'bad-parameter', problems)
  return {
    disposition: readings[0]?.head ?? null,
    parameters: readings[0]?.parameters.values ?? new Map<string, string>(),
    names: collect(readings, 'filename', 'readings'),
    problems: [...problems],
  }
}

const encodings: ReadonlyMap<string, TransferEncoding> = new Map([
  ['', 'none'],
  ['7bit', 'none'],
  ['8bit', 'none'],
  ['binary', 'none'],
  ['base64', 'base64'],
  ['quoted-printable', 'quoted-printable'],
  ['x-uuencode', 'uuencode'],
  ['x-uue', 'uuencode'],
  ['uuencode', 'uuencode'],
])

/**
 * What the Content-Transfer-Encoding fields among these say. Text beside the name of a known encoding is told, since some
 * readers take it for part of the name; but not where nothing is to be decoded either way.
 */
export function readTransferEncoding(fields: readonly HeaderField[]): EncodingReading {
  const problems = new Set<FindingKind>()
  const found = fieldsNamed({ fields }, 'content-transfer-encoding')
  if (isDoubled(found)) problems.add('duplicate-field')
  const [field] = found
  if (field === undefined) return { encoding: 'none', written: null, problems: [] }
  const scanner = new ValueScanner(field.valueBytes.toString('latin1'), problems)
  const hasComment = scanner.skipBlanks()
  const written = scanner.takeWhile((character) => !/[\s;(]/.test(character)).toLowerCase()
  const name = written.replaceAll(/["',]/g, '')
  scanner.skipBlanks()
  const encoding = encodings.get(name) ?? 'unknown'
  const hasMore = name !== written || hasComment || !scanner.isAtEnd
  const hasWords = hasComment || /[a-z]/i.test(scanner.text.slice(scanner.at))
  if (encoding === 'unknown' || (hasMore && (encoding !== 'none' || hasWords))) problems.add('unknown-encoding')
  return { encoding, written, problems: [...problems] }
}

function readAll(
  fields: readonly HeaderField[],
  name: string,
  limits: FieldLimits,
  scanHead: (scanner: ValueScanner) => string | null,
  badHead: FindingKind,
  problems: Set<FindingKind>,
): FieldReading[] {
  const found = fieldsNamed({ fields }, name)
  if (isDoubled(found)) problems.add('duplicate-field')
  return found.map((field) => {
    const scanner = new ValueScanner(field.valueBytes.toString('latin1'), problems)
    const head = scanHead(scanner)
    if (head === null) {
      if (badHead !== 'bad-parameter') problems.add(badHead)
      else if (!scanner.isAtEnd) scanner.tellBad(field.value)
    } else {
      scanner.skipBlanks()
      if (!scanner.isAtEnd && scanner.here !== ';') scanner.tellBad(scanner.plainFrom(scanner.at) ?? field.value)
    }
    return { text: scanner.text, head, parameters: readParameters(scanner, limits) }
  })
}

/** Values that are equal are read alike by everybody. */
function isDoubled(fields: readonly HeaderField[]): boolean {
  return fields.some(({ value }) => value !== fields[0]?.value)
}

/** `type/subtype`. Without a slash there is none, and what stands there may be the first parameter. */
function scanType(scanner: ValueScanner): string | null {
  const type = scanToken(scanner)
  const typeEnd = scanner.at
  const isParted = skipInside(scanner)
  if (type === null || scanner.here !== '/') {
    if (scanner.here === '=') scanner.at = 0
    else scanner.at = typeEnd
    return null
  }
  scanner.at++
  const isPartedAfter = skipInside(scanner)
  const subtype = scanToken(scanner)
  if (subtype === null) return null
  const rest = scanner.takeWhile((character) => !/[\s;(]/.test(character))
  if (isParted || isPartedAfter || rest !== '') scanner.problems.add('bad-content-type')
  return `${type}/${subtype}`.toLowerCase()
}

/** A word, `attachment` for instance; `null` where none stands, or where it is the first parameter. */
function scanWord(scanner: ValueScanner): string | null {
  scanner.skipBlanks()
  const start = scanner.at
  const word = scanner.takeWhile((character) => !/[\s;(]/.test(character))
  scanner.skipBlanks()
  if (word === '' || scanner.here === '=' || /^[^=?]+=/.test(word)) {
    scanner.at = start
    return null
  }
  return word.toLowerCase()
}

/** RFC 2045 5.1, `token`; `null` where none stands. */
function scanToken(scanner: ValueScanner): string | null {
  scanner.skipBlanks()
  const token = scanner.takeWhile((character) => /[!#-'*+\-.0-9A-Z^-z{|}~]/.test(character))
  return token === '' ? null : token
}

/** True if there were blanks or comments where a type seldom has any. */
function skipInside(scanner: ValueScanner): boolean {
  const before = scanner.at
  scanner.skipBlanks()
  return scanner.at > before
}

/** Every different reading of a parameter in all fields, that of the first field first. */
function collect(readings: readonly FieldReading[], name: string, what: 'octets' | 'readings'): string[] {
  const all = new Set<string>()
  for (const { parameters } of readings) for (const value of parameters[what].get(name) ?? []) all.add(value)
  return [...all]
}

/** Too long, or with an octet that RFC 2046 5.1.1 does not allow and programs do not write either. */
function isOddBoundary(boundary: string): boolean {
  return boundary.length > maxBoundaryOctets || boundary.endsWith(' ') || /[^\x20-\x7e]|["\\]/.test(boundary)
}
