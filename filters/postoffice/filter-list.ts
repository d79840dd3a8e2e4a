/**
 * The lines of `filters` and `reject_filters`.
 *
 * Source: spec postoffice 2.3 and 3.
 */
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { candidatesAmong } from './expression-file.ts'
import type { ReadExpressions } from './expression-file.ts'
import { compileExpression } from './expression.ts'
import type { ExpressionPlace } from './expression.ts'
import type { IniPiece } from './ini.ts'
import type { Remarks } from './problem.ts'
import type { PythonSyntax } from './python-syntax.ts'
import { parseHostPattern } from './to-hostname.ts'
import { defaultAddressHeaders } from './types.ts'
import type { ExpressionFilter, HostnameFilter, HostPattern, PostofficeFilter } from './types.ts'

/** What the lines of a list are read with. */
export interface FilterSources {
  readonly remarks: Remarks
  readonly syntax: PythonSyntax
  /** The expressions of a file, named as in the line; `null` where it cannot be read, which it has told. */
  readonly readExpressions: (written: string, piece: IniPiece, kind: ExpressionPlace['kind']) => ReadExpressions | null
}

const filterNames = ['to_hostname', 'header_regexp', 'header_regexp_file', 'body_regexp', 'body_regexp_file'] as const

/**
 * Reads a list, one filter a piece.
 *
 * Errors: in `remarks`, each with its line; the filters without a fault are given nevertheless.
 */
export function readFilterList(label: string, pieces: readonly IniPiece[], sources: FilterSources): PostofficeFilter[] {
  const filters: PostofficeFilter[] = []
  for (const piece of pieces.filter(({ text }) => text !== '' && !/^[#;]/.test(text))) {
    const filter = readFilter(`${label}: `, piece, sources)
    if (filter !== null) filters.push(filter)
  }
  if (pieces.every(({ text }) => text === '')) {
    const cure = 'write one filter a line, indented, for instance to_hostname: example.com, or take the option out'
    sources.remarks.fault(pieces[0] ?? nowhere, `${label}: the list is empty`, cure)
  }
  return filters
}

const nowhere = { line: null, column: null }

function readFilter(label: string, piece: IniPiece, sources: FilterSources): PostofficeFilter | null {
  const { remarks } = sources
  const at = piece.text.indexOf(':')
  if (at < 0) {
    remarks.fault(piece, `${label}${quoted(piece.text)} is no filter`, 'write name: argument')
    return null
  }
  const written = piece.text.slice(0, at).trim()
  const name = filterNames.find((known) => known === written)
  if (name === undefined) {
    const cure = didYouMean(written, filterNames) ?? `there are ${filterNames.join(', ')}`
    remarks.fault(piece, `${label}there is no filter ${quoted(written)}`, cure)
    return null
  }
  const after = piece.text.slice(at + 1)
  const column = piece.column + at + 1 + after.length - after.trimStart().length
  const argument = { text: after.trim(), line: piece.line, column }
  if (argument.text === '') {
    const cure = name === 'to_hostname' ? 'write the names of hosts behind it' : 'write .* if everything shall match'
    remarks.fault(piece, `${label}${name} has no argument`, name.endsWith('_file') ? 'write the path of a file' : cure)
    return null
  }
  return name === 'to_hostname'
    ? readHostnames(`${label}${name}: `, argument, remarks)
    : readExpressionFilter(name, argument, sources)
}

function readHostnames(label: string, { text, line, column }: IniPiece, remarks: Remarks): HostnameFilter | null {
  const [names = '', ...attributes] = text.replace(/(?:^|\s)#.*$/, '').split(';')
  const hosts: HostPattern[] = []
  const problemsBefore = remarks.problems.length
  const fault = (at: number, told: string, cure: string | null): void => {
    remarks.fault({ line, column: column + at }, `${label}${told}`, cure)
  }
  for (const { 0: name, index } of names.matchAll(/\S+/g)) {
    const host = parseHostPattern(name)
    if (host !== null) hosts.push(host)
    else if (/^(?:\*?\.|\*)$/.test(name))
      fault(index, `${quoted(name)} is an empty domain`, 'write the domain behind it')
    else fault(index, `${quoted(name)} is no name of a host`, 'write example.com, .example.com or *.example.com')
  }
  if (hosts.length === 0 && remarks.problems.length === problemsBefore)
    fault(0, 'there is no name of a host', 'write at least one')

  let headers: readonly string[] | null = null
  let at = names.length + 1
  for (const attribute of attributes) {
    const [key = '', ...rest] = attribute.split('=')
    const given = rest
      .join('=')
      .split(',')
      .map((header) => header.trim())
    const strange = given.find((header) => !/^[!-9;-~]+$/.test(header))
    if (attribute.trim() === '') fault(at - 1, 'nothing stands behind the ;', 'take the ; out')
    else if (key.trim() !== 'headers' || rest.length === 0) {
      fault(at, `${quoted(attribute.trim())} is no attribute`, 'the only one is ;headers=NAME,NAME')
    } else if (headers !== null) fault(at, 'headers stands twice', 'make one list of both')
    else if (strange !== undefined) {
      const told = strange === '' ? 'headers has an empty name' : `${quoted(strange)} is no name of a header field`
      fault(at, told, 'write names with commas between them')
    } else headers = given.map((header) => header.toLowerCase())
    at += attribute.length + 1
  }
  const place = { file: remarks.file, line }
  if (remarks.problems.length > problemsBefore) return null
  return { kind: 'to_hostname', place, hosts, headers: headers ?? defaultAddressHeaders }
}

function readExpressionFilter(
  kind: ExpressionFilter['kind'],
  argument: IniPiece,
  { remarks, syntax, readExpressions }: FilterSources,
): ExpressionFilter | null {
  const { text, line, column } = argument
  const how = kind.startsWith('header') ? 'match' : 'search-multiline'
  const place = { file: remarks.file, line }
  if (kind.endsWith('_file')) {
    const read = readExpressions(text, argument, how)
    if (read === null) return null
    return { kind, place, expressions: read.expressions, candidates: candidatesAmong(read.expressions, how) }
  }
  const compiled = compileExpression(text, { file: remarks.file, line, column, kind: how, syntax })
  if ('problem' in compiled) {
    remarks.problems.push(compiled.problem)
    return null
  }
  remarks.warnings.push(...compiled.warnings)
  return { kind, place, expressions: [compiled.expression], candidates: null }
}
