/**
 * Versions of Courier.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.1.
 */

/** The version in what `courier --version` prints, `Courier 1.0.16 Copyright ...`; `null` if it is none. */
export function parseCourierVersion(text: string): string | null {
  const word = /^Courier[ \t]+([0-9]\S*)/.exec(text)?.[1]
  return word !== undefined && partsOf(word) !== null ? word : null
}

/**
 * True if `version` is `wanted` or later, number by number: 1.0.16 is later than 1.0.9. Missing numbers are 0.
 * Errors: RangeError where `wanted` is no version.
 */
export function isAtLeast(version: string, wanted: string): boolean {
  const least = partsOf(wanted)
  if (least === null) throw new RangeError(`"${wanted}" is no version: it is numbers with dots between, as in 1.0.16`)
  const parts = partsOf(version)
  if (parts === null) return false
  for (let index = 0; index < Math.max(parts.length, least.length); index++) {
    const difference = (parts[index] ?? 0) - (least[index] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

function partsOf(version: string): number[] | null {
  return /^[0-9]{1,10}(?:\.[0-9]{1,10})*$/.test(version) ? version.split('.').map(Number) : null
}
