/**
 * The lines of a post office's ini file: sections, options, and values that go on over several lines. It knows nothing
 * of what the values mean. The dialect differs from the one of filter settings in what an indented line is: always a
 * part of the value above, never a section or an option.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 2.1.
 */
import type { IniOption, IniRemark, IniSection, ScannedIni } from '../../courier-compat/module-config/ini.ts'
import { quoted } from '../../courier-compat/quoted.ts'

export type { IniOption, IniPiece, IniSection } from '../../courier-compat/module-config/ini.ts'

/** Where the variables of interpolation stand. */
export const variablesSection = 'DEFAULT'

/**
 * Reads the lines of a file.
 *
 * Shape:  names of options are in lower case. A value has at least one piece, the one beside the option; empty lines
 *         and lines of comment are no pieces. Comments at the end of a line are still in their piece: whether `#` and
 *         `;` begin one depends on the option.
 * Errors: as faults of the lines.
 */
export function scanPostOfficeIni(text: string): ScannedIni {
  const scan = new Scan()
  for (const [index, row] of text.split(/\r\n|\r|\n/).entries()) scan.takeLine(row, index + 1)
  return { sections: scan.sections, faults: scan.faults, warnings: [] }
}

class Scan {
  readonly sections: IniSection[] = []
  readonly faults: IniRemark[] = []
  readonly #seen = new Map<string, IniSection>()
  #section: IniSection | null = null
  #lines = new Map<string, number>()
  /** The option whose value may go on; what is indented below a faulty line belongs to nothing. */
  #open: IniOption | 'nothing' | null = null

  takeLine(row: string, line: number): void {
    const text = row.trim()
    if (text === '' || /^[#;]/.test(text) || /^rem(?:\s|$)/i.test(row)) return
    const column = row.length - row.trimStart().length + 1
    const open = this.#open
    if (column > 1 && open !== null) {
      if (open !== 'nothing') open.pieces.push({ text, line, column })
      return
    }
    this.#open = 'nothing'
    if (column > 1) {
      const cure = 'begin sections and options in the first column'
      this.#fault(line, column, null, text, `${quoted(text)} is indented, but there is no value above it`, cure)
    } else if (text.startsWith('[')) this.#takeHeader(text, line)
    else this.#takeOption(text, line)
  }

  #takeHeader(text: string, line: number): void {
    const [, name, rest = ''] = /^\[([^\]]+)\](.*)$/.exec(text) ?? []
    this.#section = { name: name ?? null, line, options: [] }
    this.#lines = new Map()
    this.sections.push(this.#section)
    if (name === undefined) {
      this.#fault(line, 1, null, text, `${quoted(text)} is no section`, 'write [name] alone on its line')
      return
    }
    this.#open = null
    const earlier = this.#seen.get(name)
    if (earlier === undefined) this.#seen.set(name, this.#section)
    else {
      const told = `stands twice, first in line ${earlier.line}`
      this.#fault(line, 1, null, text, told, 'put the options under one header, or rename one')
    }
    if (rest.trim() !== '' && !/^\s*[#;]/.test(rest)) {
      const told = `${quoted(rest.trim())} stands after the name of the section`
      const column = text.length - rest.trimStart().length + 1
      this.#fault(line, column, null, rest.trim(), told, 'take it out, or begin it with ; if it is a comment')
    }
  }

  #takeOption(text: string, line: number): void {
    if (this.#section === null) {
      this.#section = { name: null, line, options: [] }
      this.sections.push(this.#section)
      this.#fault(line, 1, null, text, 'there is no section above this line', 'begin the file with [post office]')
    }
    const at = text.search(/[=:]/)
    const key = text.slice(0, Math.max(at, 0)).trim().toLowerCase()
    if (key === '') {
      const told =
        at < 0 ? `${quoted(text)} is neither [section] nor option = value` : 'there is no option before the value'
      const cure = 'write option = value, or indent the line if it belongs to the value above'
      this.#fault(line, 1, null, text, told, cure)
      return
    }
    const after = text.slice(at + 1)
    const column = at + 2 + after.length - after.trimStart().length
    const option: IniOption = { key, line, column: 1, pieces: [{ text: after.trim(), line, column }], isTorn: false }
    this.#section.options.push(option)
    this.#open = option
    const earlier = this.#lines.get(key)
    if (earlier === undefined) this.#lines.set(key, line)
    else this.#fault(line, 1, key, key, `stands twice, first in line ${earlier}`, 'take one out')
  }

  #fault(line: number, column: number, key: string | null, token: string, text: string, cure: string): void {
    this.faults.push({ line, column, section: this.#section?.name ?? null, key, token, text, cure })
  }
}
