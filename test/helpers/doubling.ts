/**
 * Time that grows with the length of its input, and no faster: a doubling takes at most 2.5 times as long, in the mean of
 * five. The mean counts, for where what is made no longer fits into a cache, or outlives a collection of garbage, one
 * doubling costs three times and the next ones two again: a step, and no growth of the work. What grows by the square comes
 * to four.
 *
 * Measured is the time of the processor, since other tests run beside; of each length the least of what was measured counts,
 * and what is against the rule is measured anew, so that a collection of garbage does not decide.
 */
import { setTimeout } from 'node:timers/promises'
import { cpuMsSince } from './cpu-time.ts'

/** A series as it was measured. Units: milliseconds. */
export interface Doubling {
  readonly isLinear: boolean
  /** What each length took, for the message of a test. */
  readonly text: string
}

const lengths = [1, 2, 4, 8, 16, 32]
const mostFactor = 2.5
/** After some rounds this is no noise. */
const noNoiseFactor = 3.2
/** One round would do for what grows, but not for what does not: a short length that others disturbed hides the growth. */
const leastRounds = 4
const mostRounds = 20

/** A measurement is made of as many runs as take so long: what collects garbage falls on all of them alike. */
const measuredMs = 12

/** Runs `work(count)` and five doublings of it. */
export async function timeOfDoublings(work: (count: number) => () => unknown, count: number): Promise<Doubling> {
  const steps = lengths.map((factor) => ({ run: work(count * factor), leastMs: Infinity }))
  const meanFactor = (): number => ((steps.at(-1)?.leastMs ?? 0) / (steps[0]?.leastMs ?? 0)) ** (1 / (steps.length - 1))
  // Compiled by then.
  for (const { run } of steps.slice(0, 4)) await run()
  for (let round = 0; round < mostRounds; round++) {
    for (const step of steps) if (round === 0 || step.leastMs < 1000) await measure(step)
    if (round + 1 >= leastRounds && meanFactor() <= mostFactor) break
    if (round >= 5 && meanFactor() > noNoiseFactor) break
    // Others take the caches as well, now and then.
    await setTimeout(50 * round)
  }
  const text = steps.map(({ leastMs }) => leastMs.toFixed(2)).join(', ')
  return { isLinear: meanFactor() <= mostFactor, text: `${text} ms for each doubling` }
}

async function measure(step: { readonly run: () => unknown; leastMs: number }): Promise<void> {
  const before = process.cpuUsage()
  let runs = 0
  let usedMs = 0
  do {
    await step.run()
    runs++
    usedMs = cpuMsSince(before)
  } while (usedMs < measuredMs)
  step.leastMs = Math.min(step.leastMs, usedMs / runs)
}
