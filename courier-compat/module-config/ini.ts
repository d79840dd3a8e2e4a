/**
 * The lines of a file of filter settings: sections, options, and values that go on over several lines. It knows nothing of
 * what the values mean.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.1, which is how Python's own reader of such files works.
 */
import { quoted } from '../quoted.ts'
import { quotedUnlessSecret } from '../secret-name.ts'
import { defaultSection, renamedSection, sectionKey } from './section-names.ts'

/** A part of a value: what stands on one line of the file, without the blanks around it. */
export interface IniPiece {
  readonly text: string
  readonly line: number
  /** Of the first character. */
  readonly column: number
}

/** One option. */
export interface IniOption {
  readonly key: string
  readonly line: number
  readonly column: number
  /** At least one, which may be empty; the last one of several is not. */
  readonly pieces: IniPiece[]
  /** Whether a fault in the lines took a part of the value away, so that it need not be looked at. */
  isTorn: boolean
}

/** One section; `name` is `null` for options that are in none. */
export interface IniSection {
  readonly name: string | null
  readonly line: number
  readonly options: IniOption[]
}

/** What is wrong with a line, or strange. */
export interface IniRemark {
  readonly line: number
  readonly column: number
  readonly section: string | null
  readonly key: string | null
  readonly token: string
  readonly text: string
  readonly cure: string | null
}

/** The sections in their order; to be used only if there are no faults. */
export interface ScannedIni {
  readonly sections: readonly IniSection[]
  readonly faults: readonly IniRemark[]
  readonly warnings: readonly IniRemark[]
}

/** Reads the lines of a file. */
export function scanModuleIni(text: string): ScannedIni {
  const scan = new Scan()
  for (const [index, row] of text.split(/\r\n|\r|\n/).entries()) scan.takeLine(row, index + 1)
  return scan.finish()
}

class Scan {
  readonly #sections: IniSection[] = []
  readonly #faults: IniRemark[] = []
  readonly #warnings: IniRemark[] = []
  /** By what `[x]` and `[x.py]` have in common. */
  readonly #seen = new Map<string, IniSection>()
  readonly #lines = new Map<IniSection, Map<string, number>>()
  #section: IniSection | null = null
  /** The option whose value may go on; lines below a faulty one that are indented deeper belong to nothing. */
  #open: IniOption | 'nothing' | null = null
  #indent = 0

  takeLine(row: string, line: number): void {
    const text = row.trim()
    const open = this.#open
    if (text === '') {
      if (open !== null && open !== 'nothing') open.pieces.push({ text: '', line, column: 1 })
      return
    }
    if (text.startsWith('#') || text.startsWith(';')) return
    const indent = row.length - row.trimStart().length
    const column = indent + 1
    if (open !== null && indent > this.#indent) {
      if (open !== 'nothing') open.pieces.push({ text, line, column })
      return
    }
    this.#indent = indent
    this.#open = 'nothing'
    if (/^[)\]}'"]/.test(text)) this.#takeStray(text, line, column, open)
    else if (text.startsWith('[')) this.#takeHeader(text, line, column)
    else this.#takeOption(text, line, column)
  }

  finish(): ScannedIni {
    for (const { options } of this.#sections) {
      for (const { pieces } of options) while (pieces.length > 1 && pieces.at(-1)?.text === '') pieces.pop()
    }
    return { sections: this.#sections, faults: this.#faults, warnings: this.#warnings }
  }

  /** A line that can only be meant as a part of a value. */
  #takeStray(text: string, line: number, column: number, open: IniOption | 'nothing' | null): void {
    // Below a faulty line it is a part of what was faulty, and told already.
    if (open === 'nothing') return
    const told = `a line that begins with ${text.charAt(0)} is no option`
    if (open === null) {
      this.#fault({ line, column, token: text, text: told, cure: 'write key = value' })
      return
    }
    open.isTorn = true
    const cure = `indent it deeper than ${quoted(open.key)} in line ${open.line} if it belongs to that value`
    this.#fault({ line, column, key: open.key, token: text, text: told, cure })
  }

  #takeHeader(text: string, line: number, column: number): void {
    const [, name, rest = ''] = /^\[([^\]]+)\](.*)$/.exec(text) ?? []
    if (name === undefined) {
      this.#enter({ name: /^\[([^\]]+)/.exec(text)?.[1] ?? null, line, options: [] })
      const cure = 'write [name] alone on its line'
      this.#fault({ line, column, token: text, text: `${quoted(text)} is no section`, cure })
      return
    }
    this.#open = null
    const key = sectionKey(name)
    const earlier = this.#seen.get(key)
    // As in Python, this one section may be written in parts.
    if (earlier !== undefined && name === defaultSection) this.#section = earlier
    else this.#enter({ name, line, options: [] })
    if (earlier !== undefined && name !== defaultSection) {
      const told =
        earlier.name === name
          ? `stands twice, first in line ${earlier.line}`
          : `is the same section as [${earlier.name ?? ''}] in line ${earlier.line}`
      this.#fault({ line, column, token: text, text: told, cure: 'put the options under one header' })
    }
    if (earlier === undefined && this.#section !== null) this.#seen.set(key, this.#section)
    const now = renamedSection(name)
    if (now !== null) this.#warn({ line, column, token: name, text: `is called [${now}] now`, cure: null })
    if (rest.trim() !== '' && !/^\s*[#;]/.test(rest)) {
      const at = column + text.length - rest.trimStart().length
      const told = `${quoted(rest.trim())} after the name of the section is ignored`
      this.#warn({ line, column: at, token: rest.trim(), text: told, cure: 'take it out' })
    }
  }

  #takeOption(text: string, line: number, column: number): void {
    if (this.#section === null) {
      this.#enter({ name: null, line, options: [] })
      const told = 'there is no section above this line'
      this.#fault({ line, column, token: text, text: told, cure: 'begin the file with [name]' })
    }
    const at = text.search(/[=:]/)
    const key = text.slice(0, Math.max(at, 0)).trim()
    if (key === '') {
      // It may well be the rest of the value above.
      const row = quotedUnlessSecret(text, 'this', this.#section?.options.at(-1)?.key)
      const told = at < 0 ? `${row} is neither [section] nor key = value` : 'there is no key before the value'
      const cure = 'write key = value, or indent the line deeper than the key it belongs to'
      this.#fault({ line, column, token: text, text: told, cure })
      return
    }
    const section = this.#section as IniSection
    const after = text.slice(at + 1)
    const value = after.trim()
    const valueColumn = column + at + 1 + (after.length - after.trimStart().length)
    const option: IniOption = { key, line, column, pieces: [{ text: value, line, column: valueColumn }], isTorn: false }
    section.options.push(option)
    this.#open = option

    const lines = this.#lines.get(section) ?? new Map<string, number>()
    this.#lines.set(section, lines)
    const earlier = lines.get(key)
    if (earlier === undefined) lines.set(key, line)
    else
      this.#fault({
        line,
        column,
        key,
        token: key,
        text: `stands twice, first in line ${earlier}`,
        cure: 'take one out',
      })
  }

  #enter(section: IniSection): void {
    this.#sections.push(section)
    this.#section = section
  }

  #fault(remark: Omit<IniRemark, 'section' | 'key'> & { readonly key?: string }): void {
    this.#faults.push({ key: null, ...remark, section: this.#section?.name ?? null })
  }

  #warn(remark: Omit<IniRemark, 'section' | 'key'>): void {
    this.#warnings.push({ key: null, ...remark, section: this.#section?.name ?? null })
  }
}
