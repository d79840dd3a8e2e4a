/**
 * Wakes those who wait for a message: in this process at once, in others by a change of a small file that they watch.
 *
 * A bell may ring without reason, and where files cannot be watched nobody hears it in another process: who waits looks again
 * now and then.
 */
import { closeSync, constants, openSync, watch, writeSync, type FSWatcher } from 'node:fs'

/** A bell. */
export interface Bell {
  readonly ring: () => void
  /** Calls at each ring, until the function given back is called. */
  readonly listen: (call: () => void) => () => void
  readonly close: () => void
}

/** Opens the bell at a path; the file is made with this mode where it is missing. */
export function openBell(path: string, mode: number): Bell {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode)
  const listeners = new Set<() => void>()
  let watcher: FSWatcher | null = null
  const wake = (): void => {
    for (const call of Array.from(listeners)) call()
  }
  const unwatch = (): void => {
    watcher?.close()
    watcher = null
  }
  return {
    ring: () => {
      wake()
      try {
        writeSync(file, '.', 0)
      } catch {
        // A full disk: the others find the message when they look again.
      }
    },
    listen: (call) => {
      listeners.add(call)
      if (watcher === null) {
        try {
          watcher = watch(path, { persistent: false }, wake)
          watcher.on('error', unwatch)
        } catch {
          // No watches are left on this machine: looking now and then is what remains.
        }
      }
      return () => {
        listeners.delete(call)
        if (listeners.size === 0) unwatch()
      }
    },
    close: () => {
      listeners.clear()
      unwatch()
      closeSync(file)
    },
  }
}
