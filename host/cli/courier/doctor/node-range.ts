/** Is a version of Node one that a package's `engines` allow? The little of it that a package.json of ours uses. Pure. */

/**
 * True if `version` (`v24.21.0` or without the `v`) is in `range`: parts `^1.2.3` or `>=1.2.3`, shortened at will, with
 * `||` between them. A part of another form allows nothing; a version that is none is in no range.
 */
export function isInRange(version: string, range: string): boolean {
  const found = parts(version.replace(/^v/, ''))
  if (found === null) return false
  return range.split('||').some((part) => {
    const [, sign, text] = /^\s*(\^|>=)\s*([0-9.]+)\s*$/.exec(part) ?? []
    const least = text === undefined ? null : parts(text)
    if (least === null || compare(found, least) < 0) return false
    return sign === '>=' || found[0] === least[0]
  })
}

function parts(text: string): readonly number[] | null {
  const match = /^([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?(?![0-9.])/.exec(text)
  return match === null ? null : match.slice(1, 4).map((part: string | undefined) => Number(part ?? 0))
}

function compare(left: readonly number[], right: readonly number[]): number {
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
