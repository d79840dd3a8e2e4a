/**
 * One file of filter settings: its lines and its values together.
 *
 * Pure: no clock, socket, file or logger.
 * Source: contracts "Files of configuration"; spec pythonfilter 4.
 */
import { evaluatePython } from '../python-value/evaluate.ts'
import type { PythonRemark } from '../python-value/fault.ts'
import { Allowance } from '../python-value/limits.ts'
import type { Position } from '../python-value/positions.ts'
import type { PythonValue } from '../python-value/value.ts'
import { mayBeSecret } from '../secret-name.ts'
import { scanModuleIni } from './ini.ts'
import type { IniOption, IniRemark } from './ini.ts'
import { about, byPlace } from './problem.ts'
import type { ModuleProblem, ModuleReason } from './problem.ts'
import { defaultSection } from './section-names.ts'

/** One option. Lines and columns are counted from 1, columns in UTF-16 units. */
export interface ModuleOption {
  readonly key: string
  readonly value: PythonValue
  /** The section as written in the file. */
  readonly section: string
  readonly file: string
  readonly line: number
  readonly column: number
  /** Where the value begins, which may be below its key. */
  readonly valueLine: number
  readonly valueColumn: number
}

/** One section, under the name written. */
export interface ModuleSection {
  readonly name: string
  readonly line: number
  readonly options: readonly ModuleOption[]
}

/** One file. With problems it has no options: nothing is applied from a file with errors. */
export interface ParsedModuleFile {
  readonly file: string
  readonly sections: readonly ModuleSection[]
  /** Those of `[DEFAULT]`, which hold in every section of all files. */
  readonly defaults: readonly ModuleOption[]
  readonly problems: readonly ModuleProblem[]
  readonly warnings: readonly ModuleProblem[]
}

/**
 * Reads a file.
 *
 * Units:  the limits of a value (see `limits`) hold for all values of the file together, nesting and length apart.
 * Errors: all problems, in the order of the lines; of more than 200 the first ones, and how many more. Never throws.
 */
export function parseModuleConfig(text: string, file: string): ParsedModuleFile {
  const scanned = scanModuleIni(text.replace(/^\ufeff/, ''))
  const inFile = ({ text, ...remark }: IniRemark): ModuleProblem => {
    return { ...remark, file, text: `${about(remark.section, remark.key)}${text}`, reason: 'ini' }
  }
  const problems = scanned.faults.map(inFile)
  const warnings = scanned.warnings.map(inFile)
  const allowance = new Allowance()
  const sections = scanned.sections.map(({ name, line, options }): ModuleSection => {
    const read: ModuleOption[] = []
    for (const option of options) {
      if (option.isTorn) continue
      const { key } = option
      const source = option.pieces.map((piece) => piece.text).join('\n')
      const inValue = (remark: PythonRemark & Position, reason: ModuleReason, token: string | null): ModuleProblem => {
        const place = placeOf(option, remark)
        const told =
          mayBeSecret(key) || mayBeSecret(source)
            ? { text: 'its value is not written as it must be', cure: 'put a text in quotes', token: null }
            : { text: remark.text, cure: remark.cure, token }
        return { file, ...place, ...told, text: `${about(name, key)}${told.text}`, section: name, key, reason }
      }
      const result = evaluatePython(source, allowance)
      if ('problem' in result) {
        problems.push(inValue(result.problem, result.problem.reason, result.problem.token || null))
        continue
      }
      warnings.push(...result.warnings.map((warning) => inValue(warning, 'syntax', null)))
      const first = option.pieces.find((piece) => piece.text !== '') ?? option
      const value = { value: result.value, valueLine: first.line, valueColumn: first.column }
      read.push({ key, section: name ?? '', file, line: option.line, column: option.column, ...value })
    }
    return { name: name ?? '', line, options: read }
  })

  const isSound = problems.length === 0
  return {
    file,
    sections: isSound ? sections.filter(({ name }) => name !== defaultSection) : [],
    defaults: isSound ? sections.filter(({ name }) => name === defaultSection).flatMap(({ options }) => options) : [],
    problems: firstOf(problems, 'problems'),
    warnings: firstOf(warnings, 'warnings'),
  }
}

/** More than anybody reads are a file of another kind, and would fill the log. */
const maxTold = 200

function firstOf(remarks: ModuleProblem[], what: string): ModuleProblem[] {
  remarks.sort(byPlace)
  const next = remarks[maxTold]
  if (next === undefined) return remarks
  const text = `there are ${remarks.length - maxTold} more ${what} from here on`
  const more = { ...next, column: null, text, cure: null, section: null, key: null, token: null }
  return [...remarks.slice(0, maxTold), more]
}

/** From a place in the joined value to one in the file. */
function placeOf({ pieces, line }: IniOption, position: Position): Position {
  const piece = pieces[position.line - 1]
  return piece === undefined
    ? { line, column: position.column }
    : { line: piece.line, column: piece.column + position.column - 1 }
}
