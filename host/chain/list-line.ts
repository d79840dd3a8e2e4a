/**
 * One line of a filter list: its words, and what is wrong with them.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 1.2 (what each line meant there); `as` and `with` are our own.
 */
import { quoted } from '../../courier-compat/quoted.ts'
import { quotedUnlessSecret } from '../../courier-compat/secret-name.ts'
import { aliasProblem, filterNameProblem } from './filter-name.ts'
import { cureOf, keywords, order, ownLine, remark, withBlanks } from './list-words.ts'
import type { Remark } from './list-words.ts'
import { noOptions, readWith } from './with-options.ts'
import type { WithOptions } from './with-options.ts'

/** `pythonfilter` reads a line as courier-pythonfilter does: what that ignores is ignored, with a warning. */
export type ListDialect = 'nodefilter' | 'pythonfilter'

/** What one line says. */
export interface ListLine extends WithOptions {
  readonly name: string
  /** `null` where none was written. */
  readonly alias: string | null
  /** Which filters an acceptance by this one skips, in place of the whole rest of the list; empty without `for`. */
  readonly skips: readonly string[]
}

/**
 * A line that was read. With problems it is no entry of the chain, but its names still count as listed, so that one
 * mistake does not make other lines look wrong. `line` is `null` where not even the name can be used.
 */
export interface ReadLine {
  readonly line: ListLine | null
  readonly problems: readonly Remark[]
  readonly warnings: readonly Remark[]
}

/** Reads one line that is neither blank nor a comment. */
export function readListLine(text: string, dialect: ListDialect): ReadLine {
  return dialect === 'pythonfilter' ? readOldLine(text) : readOwnLine(text)
}

function readOldLine(text: string): ReadLine {
  const [name = '', second, ...rest] = wordsOf(text)
  const fault = filterNameProblem(name)
  if (fault !== null) return { line: null, problems: [remark(fault)], warnings: [] }
  const line = { ...noOptions, name, alias: null }
  if (second === undefined) return { line: { ...line, skips: [] }, problems: [], warnings: [] }
  if (second !== 'for') {
    const ignored = `everything after ${quoted(name)} is ignored, as in pythonfilter: ${quoted(second)} is not "for"`
    return { line: { ...line, skips: [] }, problems: [], warnings: [remark(ignored, cureOf(second) ?? 'take it out')] }
  }
  const warnings = rest.length === 0 ? [emptyFor(name)] : []
  const hash = rest.find((word) => word.startsWith('#'))
  if (hash !== undefined) {
    warnings.push(remark(`${quoted(hash)} begins no comment here: it and the words after it count as names`, ownLine))
  }
  return { line: { ...line, skips: rest }, problems: [], warnings }
}

function readOwnLine(text: string): ReadLine {
  // Before `with` there are only words; after it a quoted value may hold blanks.
  const cut = /[ \t]with(?=[ \t]|$)/.exec(text)
  const words = wordsOf(cut === null ? text : text.slice(0, cut.index))
  const name = words.shift() ?? 'with'
  if (keywords.includes(name)) {
    return { line: null, problems: [remark(`the line begins with "${name}", not with a filter`, order)], warnings: [] }
  }
  const problems: Remark[] = []
  const warnings: Remark[] = []
  const nameFault = filterNameProblem(name)
  if (nameFault !== null) problems.push(remark(nameFault))

  let alias: string | null = null
  if (words[0] === 'as') {
    const written = words[1] === 'for' ? undefined : words[1]
    words.splice(0, written === undefined ? 1 : 2)
    const fault = aliasFault(written)
    if (fault !== null) problems.push(fault)
    else alias = written ?? null
  }

  let skips: readonly string[] = []
  if (words[0] === 'for') {
    skips = words.slice(1)
    if (skips.length === 0) warnings.push(emptyFor(alias ?? name))
    problems.push(...skipFaults(skips))
  } else if (words[0] !== undefined) {
    const cure = cureOf(words[0]) ?? `${order}, or ${ownLine}`
    const word = quotedUnlessSecret(words[0], 'what stands')
    problems.push(remark(`${word} after ${quoted(alias ?? name)} is not understood`, cure))
  }

  // Behind a `#` everything is meant as a comment, a `with` too.
  const isInComment = words.some((word) => word.startsWith('#'))
  const given = cut === null || isInComment ? null : readWith(text.slice(cut.index + cut[0].length))
  problems.push(...(given?.problems ?? []))
  const line = nameFault === null ? { ...(given?.options ?? noOptions), name, alias, skips } : null
  return { line, problems, warnings }
}

function aliasFault(alias: string | undefined): Remark | null {
  if (alias === undefined) return remark('"as" has no name after it', order)
  if (keywords.includes(alias)) return remark(`"${alias}" cannot be an alias`, order)
  const problem = aliasProblem(alias)
  return problem === null ? null : remark(problem)
}

function skipFaults(names: readonly string[]): Remark[] {
  const faults: Remark[] = []
  for (const name of names) {
    if (name.startsWith('#')) return [...faults, remark(`${quoted(name)} after "for" is no name`, ownLine)]
    const problem = filterNameProblem(name)
    if (keywords.includes(name)) faults.push(remark(`"${name}" stands among the names after "for"`, order))
    else if (name.includes(',')) faults.push(remark(`${quoted(name)} after "for" is no name`, withBlanks))
    else if (cureOf(name) !== null) faults.push(remark(`${quoted(name)} after "for" is no name`, cureOf(name)))
    else if (problem !== null) faults.push(remark(problem))
  }
  return faults
}

function emptyFor(name: string): Remark {
  const text = `"for" has no name after it, so an acceptance by ${quoted(name)} ends the whole list`
  return remark(text, 'name the filters to skip, or take "for" out')
}

function wordsOf(text: string): string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '')
}
