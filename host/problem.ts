/**
 * What is wrong with a file of configuration, and how it is told.
 *
 * Pure: no clock, socket, file or logger.
 */

/** One problem, or one warning. */
export interface Problem {
  /** The file, or the option of the command line, for instance `--set host.deadline`. */
  readonly file: string
  /** Counted from 1; `null` where the whole file, or no file, is meant. */
  readonly line: number | null
  /** Counted from 1; `null` where the whole line is meant. */
  readonly column: number | null
  readonly text: string
  /** What to do about it, where that can be said in a few words. */
  readonly cure: string | null
}

/** Tells a problem on one line: `FILE:LINE: text; cure`, or `FILE:LINE:COLUMN: ...` where there is a column. */
export function formatProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== null).join(':')
  const told = problem.cure === null ? problem.text : `${problem.text}; ${problem.cure}`
  // A line end in a path or a text would let one problem look like two in a log, and other marks turn a line around.
  return `${place}: ${told}`.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}
