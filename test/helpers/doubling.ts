/**
 * Time that grows with the length of its input, and no faster: a doubling takes at most 2.5 times as long.
 *
 * Lengths are to be small: a knee comes where what is read no longer fits into a cache, and is no growth of the work.
 *
 * Measured is the time of the processor, since other tests run beside; of each length the least of what was measured counts,
 * and what is against the rule is measured anew, so that a collection of garbage does not decide.
 */
import { setTimeout } from 'node:timers/promises'

/** A step as it was measured. Units: milliseconds. */
export interface Doubling {
  readonly isLinear: boolean
  /** What each length took, for the message of a test. */
  readonly text: string
}

const mostFactor = 2.5
/** What grows by the square makes four of two: after some rounds this is no noise. */
const noNoiseFactor = 3.2
const mostRounds = 20

/** A measurement is made of as many runs as take so long: what collects garbage falls on all of them alike. */
const measuredMs = 12

/**
 * Runs `work(count)` and three doublings of it. What takes less than `floorMs` is taken for that.
 */
export async function timeOfDoublings(
  work: (count: number) => () => unknown,
  count: number,
  floorMs = 0.5,
): Promise<Doubling> {
  const steps = [1, 2, 4, 8].map((factor) => ({ run: work(count * factor), leastMs: Infinity }))
  const growsBy = (factor: number): boolean =>
    steps.some(({ leastMs }, index) => {
      const before = steps[index - 1]
      return before !== undefined && leastMs > Math.max(before.leastMs, floorMs) * factor
    })
  // Compiled by then.
  for (const { run } of steps.slice(0, 2)) await run()
  for (let round = 0; round < mostRounds; round++) {
    for (const step of steps) if (round === 0 || step.leastMs < 1000) await measure(step)
    if (!growsBy(mostFactor)) break
    if (round >= 5 && growsBy(noNoiseFactor)) break
    // Others take the caches as well, now and then.
    await setTimeout(50 * round)
  }
  const text = steps.map(({ leastMs }) => leastMs.toFixed(2)).join(', ')
  return { isLinear: !growsBy(mostFactor), text: `${text} ms for each doubling` }
}

async function measure(step: { readonly run: () => unknown; leastMs: number }): Promise<void> {
  const before = process.cpuUsage()
  let runs = 0
  let usedMs = 0
  do {
    await step.run()
    runs++
    // Of both: how the two are told apart is a matter of ticks.
    const { user, system } = process.cpuUsage(before)
    usedMs = (user + system) / 1000
  } while (usedMs < measuredMs)
  step.leastMs = Math.min(step.leastMs, usedMs / runs)
}
