/**
 * What is wrong with a file of filter settings, and how it is told.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.4.
 */
import type { PythonReason } from '../python-value/fault.ts'

/** The class of a problem: those of a value, and those of the lines and names around it. */
export type ModuleReason = PythonReason | 'ini' | 'unknown-option' | 'unknown-section'

/** One problem, or one warning. The first five have the shape of every problem of configuration. */
export interface ModuleProblem {
  readonly file: string
  /** Counted from 1; `null` where the whole file is meant. */
  readonly line: number | null
  /** Counted from 1, in UTF-16 units; `null` where the whole line is meant. */
  readonly column: number | null
  /** Names section and option where there are any, so that it can stand alone. */
  readonly text: string
  readonly cure: string | null
  /** As written in the file. */
  readonly section: string | null
  readonly key: string | null
  /** What stands at the place, or `null` where that says nothing. */
  readonly token: string | null
  readonly reason: ModuleReason
}

/** Thrown where settings are asked for and a file is broken. */
export class ModuleConfigError extends Error {
  readonly problems: readonly ModuleProblem[]

  constructor(problems: readonly ModuleProblem[]) {
    super(problems.map(tellModuleProblem).join('\n'))
    this.name = 'ModuleConfigError'
    this.problems = problems
  }
}

/** Tells a problem on one line: `FILE:LINE:COLUMN: text; cure`. */
export function tellModuleProblem({ file, line, column, text, cure }: ModuleProblem): string {
  const place = [file, line, column].filter((part) => part !== null).join(':')
  return `${place}: ${cure === null ? text : `${text}; ${cure}`}`.replace(/\p{Cc}/gu, '?')
}

/** The beginning of a problem's text. */
export function about(section: string | null, key: string | null): string {
  const parts = [section === null ? '' : `[${section}]`, key === null ? '' : key].filter((part) => part !== '')
  return parts.length === 0 ? '' : `${parts.join(' ')}: `
}

/** In the order of the lines. */
export function byPlace(a: ModuleProblem, b: ModuleProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}
