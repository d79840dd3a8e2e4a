/** A job that is done one at a time, however often it is asked for. Pure. */

/**
 * Makes the function that asks for the job. The first one begins after `first`.
 *
 * Shape:  whoever asks while a job waits to begin shares it: it begins after they asked, so it sees what they want seen.
 *         At most one runs and one waits, however many ask.
 * Errors: `job` must not reject.
 */
export function createTurns<T>(first: Promise<unknown>, job: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = first
  let waiting: Promise<T> | null = null
  return () => {
    waiting ??= last.then(() => {
      waiting = null
      return job()
    })
    last = waiting
    return waiting
  }
}
