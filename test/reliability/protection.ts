/** What a reliability test takes out of the program to see that it notices. */

/** One protection. */
export interface Protection {
  /** Below the repository. */
  readonly file: string
  /** The exact text; it stands in the file once. */
  readonly find: string
  readonly instead: string
}
