/**
 * Waits for mail: as soon as the system tells of a change in the Maildir, or when it is time to look.
 *
 * Not all file systems tell of changes, and none tells of those made on another machine: so both.
 */
import { watch, type FSWatcher } from 'node:fs'
import { join } from 'node:path'

/** The watch over a Maildir. */
export interface MaildirWatch {
  /** Resolves after a change since the last call, after `pollMs`, or when the signal is aborted. Never rejects. */
  next(pollMs: number, signal: AbortSignal): Promise<void>
  close(): void
}

/** Changes that come so close together are one. */
const settleMs = 50

/** Begins to watch. What cannot be watched is looked at when it is time. */
export function watchMaildir(maildir: string): MaildirWatch {
  let hasChanged = false
  let wake: (() => void) | null = null
  const change = (): void => {
    hasChanged = true
    wake?.()
  }
  const watchers: FSWatcher[] = []
  for (const place of ['new', 'cur']) {
    try {
      const watcher = watch(join(maildir, place), { persistent: false }, change)
      // The folder went, or watches are used up: polling goes on.
      watcher.on('error', () => watcher.close())
      watchers.push(watcher)
    } catch {
      // As above.
    }
  }
  return {
    next: async (pollMs, signal) => {
      await new Promise<void>((resolve) => {
        if (hasChanged || signal.aborted) return resolve()
        const timer = setTimeout(resolve, pollMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
        signal.addEventListener('abort', wake, { once: true })
      })
      if (wake !== null) signal.removeEventListener('abort', wake)
      wake = null
      if (signal.aborted) return
      await new Promise((resolve) => setTimeout(resolve, settleMs))
      hasChanged = false
    },
    close: () => {
      for (const watcher of watchers) watcher.close()
    },
  }
}
