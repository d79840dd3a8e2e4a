/**
 * What is wrong with the post office's ini file or a file of expressions, or strange in it.
 *
 * Pure: no clock, socket, file or logger.
 */

/** One problem, or one warning, in the shape of every problem of configuration. */
export interface PostofficeProblem {
  readonly file: string
  /** Counted from 1; `null` where the whole file is meant. */
  readonly line: number | null
  /** Counted from 1, in UTF-16 units; `null` where the whole line is meant. */
  readonly column: number | null
  /** Names section and option where there are any, so that it can stand alone. */
  readonly text: string
  /** What to do about it, where that can be said in a few words. */
  readonly cure: string | null
}

/** In the order of files and lines. */
export function byPlace(a: PostofficeProblem, b: PostofficeProblem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}

/** Where problems and warnings of one reading are gathered. */
export class Remarks {
  readonly problems: PostofficeProblem[] = []
  readonly warnings: PostofficeProblem[] = []
  readonly file: string

  constructor(file: string) {
    this.file = file
  }

  /** Notes a problem of the ini file. */
  fault(place: Place, text: string, cure: string | null): void {
    this.problems.push({ file: this.file, line: place.line, column: place.column, text, cure })
  }

  /** Notes a warning about the ini file. */
  warn(place: Place, text: string, cure: string | null): void {
    this.warnings.push({ file: this.file, line: place.line, column: place.column, text, cure })
  }
}

/** A place in the ini file. */
export interface Place {
  readonly line: number | null
  readonly column: number | null
}
