/**
 * The filter list: its text -> the entries of the chain, in order, and everything that is wrong with it.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 1.2 for the grammar up to `for`, and for what its successor must say about each line.
 */
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import type { Problem } from '../problem.ts'
import { readListLine } from './list-line.ts'
import type { ListDialect, ListLine } from './list-line.ts'
import { withBlanks } from './list-words.ts'
import type { Remark } from './list-words.ts'

/** One filter at its place in the chain. Frozen. */
export interface ChainEntry extends Omit<ListLine, 'alias'> {
  /** What it runs under, and what a `for` of another line means: its alias where one is written, else its name. */
  readonly alias: string
  readonly file: string
  readonly line: number
}

/** A list that was read. It is sound if `problems` is empty; `entries` then holds all its lines. */
export interface ParsedList {
  readonly entries: readonly ChainEntry[]
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** More than any list that a person wrote. */
export const listLimits = { fileChars: 2 ** 20, lineChars: 4096, entries: 1000 } as const

/** How many names are compared with the others to guess what was meant: a thousand wrong lines need no thousand guesses. */
const maxGuesses = 50

/** A line of which at least the names are known. */
interface Listed extends ListLine {
  readonly runsAs: string
  readonly index: number
  readonly line: number
}

/**
 * Reads a filter list.
 *
 * Shape:  lines end in LF or CRLF, the last one need not; blank lines and lines whose first character after blanks is `#`
 *         say nothing; else `NAME [as ALIAS] [for OTHER ...] [with key=value ...]`. An empty list is sound.
 * Errors: never thrown; each problem and warning has the line it is about, and they come in the order of the lines.
 */
export function parseList(text: string, file: string, dialect: ListDialect): ParsedList {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const entries: ChainEntry[] = []
  const listed: Listed[] = []
  const at = (line: number, { text, cure }: Remark): Problem => ({ file, line, column: null, text, cure })

  if (text.length > listLimits.fileChars) {
    const cure = 'is this the right file?'
    return {
      entries,
      problems: [at(1, { text: `the list has more than ${listLimits.fileChars} characters`, cure })],
      warnings,
    }
  }
  const rows = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  let filterLines = 0
  for (const [index, row] of rows.entries()) {
    const lineNumber = index + 1
    if (/^[ \t]*(?:#|$)/.test(row)) continue
    // Faulty lines count too: a file of another kind is not to be told of line by line.
    if (filterLines++ === listLimits.entries) {
      problems.push(at(lineNumber, { text: `the list has more than ${listLimits.entries} filters`, cure: null }))
      break
    }
    if (row.length > listLimits.lineChars) {
      problems.push(at(lineNumber, { text: `the line has more than ${listLimits.lineChars} characters`, cure: null }))
      continue
    }
    const { line, ...said } = readListLine(row, dialect)
    problems.push(...said.problems.map((remark) => at(lineNumber, remark)))
    warnings.push(...said.warnings.map((remark) => at(lineNumber, remark)))
    if (line === null) continue
    const alias = line.alias ?? line.name
    const isSound = said.problems.length === 0
    // The names of a faulty line count as listed; what it wanted to skip is not looked at before it is mended.
    listed.push({ ...line, skips: isSound ? line.skips : [], runsAs: alias, index: listed.length, line: lineNumber })
    if (!isSound) continue
    entries.push(Object.freeze({ ...line, alias, skips: Object.freeze([...line.skips]), file, line: lineNumber }))
  }

  for (const entry of listed) {
    const clash = aliasClash(entry, listed)
    if (clash !== null) problems.push(at(entry.line, clash))
  }
  for (const [line, remark] of repetitions(listed)) warnings.push(at(line, remark))
  for (const [line, remark] of idleSkips(listed)) warnings.push(at(line, remark))
  const byLine = (a: Problem, b: Problem): number => (a.line ?? 0) - (b.line ?? 0)
  return { entries, problems: problems.sort(byLine), warnings: warnings.sort(byLine) }
}

/** An alias is a name of its own: two filters under one could not be told apart in `for`, in the log or in settings. */
function aliasClash(entry: Listed, listed: readonly Listed[]): Remark | null {
  if (entry.alias === null) return null
  const { alias, name } = entry
  const cure = 'choose another alias'
  const named = alias === name ? undefined : listed.find((other) => other.name === alias)
  if (named !== undefined) {
    return { text: `the alias ${quoted(alias)} is the name of the filter in line ${named.line}`, cure }
  }
  const twin = listed.find(
    (other) => other.runsAs === alias && (other.index < entry.index || (other !== entry && other.alias === null)),
  )
  return twin === undefined ? null : { text: `the filter in line ${twin.line} runs as ${quoted(alias)} too`, cure }
}

/** A filter listed again under its plain name: allowed, and hardly ever meant. */
function repetitions(listed: readonly Listed[]): [number, Remark][] {
  const firstLines = new Map<string, number>()
  const found: [number, Remark][] = []
  for (const { alias, name, line } of listed) {
    if (alias !== null) continue
    const first = firstLines.get(name)
    if (first === undefined) firstLines.set(name, line)
    else {
      const text = `${quoted(name)} stands in line ${first} already, so it runs more than once`
      found.push([line, { text, cure: 'take one out, or tell them apart with "as ALIAS"' }])
    }
  }
  return found
}

/** Names after `for` that no later filter runs under, so that skipping them does nothing. */
function idleSkips(listed: readonly Listed[]): [number, Remark][] {
  const firstWith = new Map<string, Listed>()
  const lastIndex = new Map<string, number>()
  const aliases = new Map<string, string>()
  for (const entry of listed) {
    if (!firstWith.has(entry.runsAs)) firstWith.set(entry.runsAs, entry)
    lastIndex.set(entry.runsAs, entry.index)
    if (!aliases.has(entry.name)) aliases.set(entry.name, entry.runsAs)
  }
  let guesses = 0
  const found: [number, Remark][] = []
  for (const entry of listed) {
    for (const skip of entry.skips) {
      if ((lastIndex.get(skip) ?? -1) > entry.index) continue
      const skipped = `${quoted(skip)} after "for"`
      const earlier = firstWith.get(skip)
      const alias = aliases.get(skip)
      if (earlier !== undefined) {
        const where = earlier === entry ? 'is this line itself' : `stands in line ${earlier.line}, before this one`
        found.push([entry.line, { text: `${skipped} ${where}: nothing is left to skip`, cure: 'take it out' }])
      } else if (alias !== undefined) {
        const cure = `write "${alias}"`
        found.push([entry.line, { text: `${skipped} is a filter that runs under an alias here`, cure }])
      } else {
        const guess = guesses++ < maxGuesses ? didYouMean(skip, firstWith.keys()) : null
        const cure = skip.includes(',') ? withBlanks : (guess ?? 'take it out')
        found.push([entry.line, { text: `${skipped} is not in this list`, cure }])
      }
    }
  }
  return found
}
