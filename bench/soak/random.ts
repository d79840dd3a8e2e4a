/** Chance that can be had again: the same seed gives the same numbers. Pure. */

/** A source of numbers. */
export interface Random {
  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number
  /** True in so many of a hundred. */
  percent(share: number): boolean
  pick<T>(list: readonly [T, ...T[]]): T
  /** Picks by weight. */
  weighted<T extends { readonly weight: number }>(list: readonly [T, ...T[]]): T
  /** Another source, that goes on by itself. */
  fork(): Random
}

/** Opens a source. Source: the generator known as mulberry32, which walks all 2^32 states. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const share = (): number => next() / 2 ** 32
  return {
    between: (least, most) => least + Math.floor(share() * (most - least + 1)),
    percent: (percent) => share() * 100 < percent,
    pick: (list) => list[Math.floor(share() * list.length)] ?? list[0],
    weighted: (list) => {
      let left = share() * list.reduce((sum, { weight }) => sum + weight, 0)
      for (const one of list) {
        left -= one.weight
        if (left < 0) return one
      }
      return list[0]
    },
    fork: () => createRandom(next()),
  }
}
