/** Why a filter cannot be used: where, what, and the cure. */
export interface LoadProblem {
  readonly file: string
  readonly line: number | null
  /** Left out where the whole line is meant. */
  readonly column?: number | null
  readonly text: string
  readonly cure: string | null
}
