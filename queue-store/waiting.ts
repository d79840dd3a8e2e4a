/** Waiting for a message: until the bell rings, something is due, it is time to look again, or the wait is over. */
import type { Core } from './core.ts'

/** A wait that hears from now on, so that nothing rings unheard between a look and the wait. */
export interface Wait {
  /** Resolves at a ring since the wait was made, after `limitMs`, or when a signal is aborted. */
  readonly over: (limitMs: number, signal: AbortSignal | null) => Promise<void>
  readonly end: () => void
}

/** Begins to hear. */
export function startWait({ bell, pollMs, closing }: Core): Wait {
  let hasRung = false
  let wake: (() => void) | null = null
  const end = bell.listen(() => {
    hasRung = true
    wake?.()
  })
  return {
    over: (limitMs, signal) =>
      new Promise((resolve) => {
        if (hasRung || closing.aborted || signal?.aborted === true) {
          resolve()
          return
        }
        const timer = setTimeout(() => wake?.(), Math.max(1, Math.min(limitMs, pollMs)))
        wake = () => {
          wake = null
          clearTimeout(timer)
          closing.removeEventListener('abort', abort)
          signal?.removeEventListener('abort', abort)
          resolve()
        }
        const abort = (): void => wake?.()
        closing.addEventListener('abort', abort)
        signal?.addEventListener('abort', abort)
      }),
    end,
  }
}
