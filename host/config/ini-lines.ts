/**
 * The lines of an ini file: where each key stands, and which lines the `ini` package would read in a way that nobody
 * meant. That package reads the values; this scan reports, and hands it only lines that have one meaning.
 *
 * What is kept from the package, which reads it without a word: `[a.b]` as a section in a section, `key[]` as a list,
 * `__proto__`, a header with a comment behind it as a key, quotes that do not close as part of the value, single quotes
 * around JSON, and lines that are nothing at all.
 * Pure: no clock, socket, file or logger.
 */
import { quoted } from '../../courier-compat/quoted.ts'
import { quotedUnlessSecret } from '../../courier-compat/secret-name.ts'

/** A section header, or a key in a section, and its line, counted from 1. */
export interface IniPlace {
  readonly section: string
  /** `null` for the header itself. */
  readonly key: string | null
  readonly line: number
}

/** What is wrong with a line. */
export interface IniProblem {
  readonly line: number
  readonly text: string
  readonly cure: string | null
}

const blankOrComment = /^\s*(?:[;#]|$)/
const header = /^\[[ \t]*([A-Za-z][A-Za-z0-9_-]*)[ \t]*\][ \t]*$/
const setting = /^[ \t]*([A-Za-z][A-Za-z0-9_.-]*)[ \t]*=(.*)$/

/**
 * Scans a file.
 *
 * Shape:  `places` are the headers and keys in order, a key at its first line. `text` is the file with every faulty line
 *         emptied, and every line below a faulty header, which would count to the section before.
 * Errors: `problems`, in the order of the lines.
 */
export function scanIni(file: string): {
  readonly places: readonly IniPlace[]
  readonly problems: readonly IniProblem[]
  readonly text: string
} {
  const places: IniPlace[] = []
  const problems: IniProblem[] = []
  const kept: string[] = []
  const firstLines = new Map<string, number>()
  let section: string | null = null
  let isBelowFault = false

  for (const [index, row] of file.split(/\r\n|\n|\r/).entries()) {
    const line = index + 1
    const fault = (text: string, cure: string | null = null): number => problems.push({ line, text, cure })
    kept.push('')
    if (blankOrComment.test(row)) continue

    if (row.trimStart().startsWith('[')) {
      section = header.exec(row)?.[1] ?? null
      isBelowFault = section === null
      if (section === null) {
        fault(`${quoted(row)} is no section`, 'write [name] alone on its line, from the first column on')
      } else {
        places.push({ section, key: null, line })
        kept[index] = row
      }
      continue
    }

    const [, key, value] = setting.exec(row) ?? []
    if (key === undefined || value === undefined) {
      fault(`${quotedUnlessSecret(row, 'this')} is neither [section] nor key = value`)
      continue
    }
    const quotes = quoteFault(value.trim())
    if (quotes !== null) fault(`${key}: ${quotes}`)
    if (section === null) {
      if (!isBelowFault) fault(`${key} stands before the first section`, 'put its [section] above it')
      continue
    }
    const place = `${section}.${key}`
    const firstLine = firstLines.get(place)
    if (firstLine !== undefined) fault(`[${section}] ${key} stands twice, first in line ${firstLine}`, 'take one out')
    if (firstLine !== undefined || quotes !== null) continue
    firstLines.set(place, line)
    places.push({ section, key, line })
    kept[index] = row
  }
  return { places, problems, text: kept.join('\n') }
}

/** Why a value would keep its quotes, or lose more than them. */
function quoteFault(value: string): string | null {
  if (value.startsWith("'")) return 'single quotes are not used here: write "..." or no quotes'
  if (!value.startsWith('"')) return null
  try {
    if (typeof JSON.parse(value) === 'string') return null
  } catch {
    // Told below.
  }
  return 'the quoted value is not closed, has text after it, or holds a backslash that is not doubled'
}
