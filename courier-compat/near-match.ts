/**
 * The name that a mistyped word was probably meant to be.
 *
 * Pure: no clock, socket, file or logger.
 */

/** Longer words are not compared: the work grows with the square of the length, and nobody mistypes such a name. */
const maxChars = 64

/**
 * Finds the name nearest to `word`.
 *
 * Shape:  case, `-` and `_` do not count, so `maxWaiting` is `max_waiting`; beyond that the more letters the word has,
 *         the more may differ: none up to 2, one up to 4, two up to 8, else three. Of equally near names the first wins.
 * Errors: `null` where no name is near: a wrong guess is worse than none.
 */
export function nearMatch(word: string, names: Iterable<string>): string | null {
  if (word.length > maxChars) return null
  const folded = fold(word)
  let best: string | null = null
  let bestDistance = allowedDistance(folded.length) + 1
  for (const name of names) {
    if (name.length > maxChars || name === word) continue
    const candidate = fold(name)
    if (Math.abs(candidate.length - folded.length) >= bestDistance) continue
    const distance = editDistance(folded, candidate)
    if (distance < bestDistance) [best, bestDistance] = [name, distance]
  }
  return best
}

/** The end of a message: `did you mean "name"?`, or `null` where no name is near. */
export function didYouMean(word: string, names: Iterable<string>): string | null {
  const name = nearMatch(word, names)
  return name === null ? null : `did you mean "${name}"?`
}

function fold(text: string): string {
  return text.toLowerCase().replace(/[-_]/g, '')
}

function allowedDistance(length: number): number {
  if (length <= 2) return 0
  if (length <= 4) return 1
  return length <= 8 ? 2 : 3
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let least = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, at(beforePrevious, column - 2) + 1)
      }
      current.push(least)
    }
    ;[beforePrevious, previous] = [previous, current]
  }
  return at(previous, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
