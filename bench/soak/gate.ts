/** A gate that everybody passes who does something, so that there are moments in which nobody does. */
import { until } from '../../test/helpers/until.ts'

/** The gate. */
export interface Gate {
  /** Waits while the gate is shut, then runs the step. */
  through(step: () => Promise<void>): Promise<void>
  /** Shuts it, and waits until the last step is over. Errors: Error if that takes longer than `limitMs`. */
  shut(limitMs: number): Promise<void>
  open(): void
}

/** Makes a gate that is open. */
export function createGate(): Gate {
  let opened = Promise.withResolvers<null>()
  opened.resolve(null)
  let under = 0
  return {
    through: async (step) => {
      await opened.promise
      under++
      try {
        await step()
      } finally {
        under--
      }
    },
    shut: async (limitMs) => {
      opened = Promise.withResolvers()
      await until('all that is under way to end', () => under === 0, limitMs)
    },
    open: () => opened.resolve(null),
  }
}
