/** Waiting in tests: never for a time, always for a thing, with a deadline. */

/**
 * Looks again and again until `probe` gives a value that is neither absent nor false.
 * Errors: Error that names what was awaited, at the deadline.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 10_000,
  againMs = 10,
): Promise<Exclude<T, null | undefined | false>> {
  const deadlineMs = performance.now() + limitMs
  for (;;) {
    const value = await probe()
    if (value !== null && value !== undefined && value !== false) return value as Exclude<T, null | undefined | false>
    if (performance.now() > deadlineMs) throw new Error(`waited ${limitMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
}
