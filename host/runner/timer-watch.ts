/**
 * Left-over timers: which timers were begun in the course of one message, and are still set when its chain has settled.
 *
 * A timer belongs to the message in whose course (also after an `await`) a filter's own code began it. Timers begun
 * while filters are loaded or initialised, or in callbacks of such timers and of sockets opened then, belong to no
 * message. Nor do those that Node's own code or a package begins on a filter's behalf (a pool's idle limit, undici's
 * inner clock): they are that library's housekeeping, and a thread would be replaced after every message that used it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import timersPromises from 'node:timers/promises'
import { getCallSites, promisify } from 'node:util'
import { packageFolderOf, plainPath } from './timer-place.ts'

/** The timers of one message. */
export interface MessageTimers {
  /** Runs the message's chain; what it begins, also later, is booked here. */
  during<T>(run: () => T): T
  /** How many are still set, now that the chain has settled. What the message begins from now on shows as `late`. */
  leftOver(): number
  /** Where the first of those that are left over was begun, as `FILE:LINE`; `null` if none is. */
  where(): string | null
  /** Takes back those that are left over. */
  clear(): void
}

/** The watch of one thread. */
export interface TimerWatch {
  /** Opens the account of one message. */
  open(): MessageTimers
  /** Where, as `FILE:LINE`, code of a message began a timer after its chain had settled; `null` if none did so far. */
  late(): string | null
  /** Names the files of the filters: a package that is a filter is no library. */
  ownFiles(paths: readonly string[]): void
}

/** A timer as Node makes it, or what stands for a promise of one. `_destroyed`: it has fired for good, or was cleared. */
interface Held {
  readonly timer: { readonly _destroyed: boolean }
  readonly place: string
  readonly clear: () => void
}

/** A message with more than these keeps no record of timers that are over. */
const pruneFrom = 64

type SetTimer = (callback: (...args: unknown[]) => void, ...rest: unknown[]) => NodeJS.Timeout | NodeJS.Immediate
type Wait = (...args: unknown[]) => Promise<unknown>
type Ticks = (...args: unknown[]) => NodeJS.AsyncIterator<unknown>

/**
 * Puts watching functions in the place of `setTimeout`, `setInterval` and `setImmediate` (global, `node:timers`,
 * `node:timers/promises`) of this thread. To be called once, before any filter's module is loaded.
 */
export function installTimerWatch(): TimerWatch {
  const storage = new AsyncLocalStorage<Account>()
  const { clearTimeout, clearImmediate } = globalThis
  const ownPackages = new Set<string>()
  let late: string | null = null

  /** Where the caller of the watching function stands; `null` if it is a library. The frame before it is that function. */
  const placeOfCaller = (): string | null => {
    const frame = getCallSites(3)[2]
    const path = plainPath(frame?.scriptName ?? '')
    if (path.startsWith('node:')) return null
    const folder = packageFolderOf(path)
    if (folder !== null && !ownPackages.has(folder)) return null
    return `${path === '' ? 'code without a file' : path}:${frame?.lineNumber ?? 0}`
  }

  class Account implements MessageTimers {
    #held: Held[] | null = null
    #pruneAt = pruneFrom
    #isOver = false

    during<T>(run: () => T): T {
      return storage.run(this, run)
    }

    hold(held: Held): void {
      if (this.#isOver) late ??= held.place
      const all = (this.#held ??= [])
      all[all.length] = held
      if (all.length < this.#pruneAt) return
      this.#held = all.filter(isSet)
      this.#pruneAt = Math.max(pruneFrom, this.#held.length * 2)
    }

    leftOver(): number {
      this.#isOver = true
      return this.#held === null ? 0 : (this.#held = this.#held.filter(isSet)).length
    }

    where(): string | null {
      return this.#held?.find(isSet)?.place ?? null
    }

    clear(): void {
      for (const held of this.#held ?? []) held.clear()
    }
  }

  const watched = <F>(name: string, original: F, clear: (timer: never) => void): F => {
    const watching: SetTimer = (callback, ...rest) => {
      const timer = (original as SetTimer)(callback, ...rest)
      const account = storage.getStore()
      if (account === undefined) return timer
      const place = placeOfCaller()
      if (place !== null) {
        account.hold({ timer: timer as unknown as Held['timer'], place, clear: () => clear(timer as never) })
      }
      return timer
    }
    return named(name, watching as F)
  }
  /** Books a promise until it has settled. It is not taken back: nobody may be left to hear that it was aborted. */
  const watchedPromise = <F>(name: string, original: F): F => {
    const watching: Wait = (...args) => {
      const promise = (original as Wait)(...args)
      const account = storage.getStore()
      if (account === undefined) return promise
      const place = placeOfCaller()
      if (place === null) return promise
      const timer = { _destroyed: false }
      account.hold({ timer, place, clear: () => undefined })
      return promise.finally(() => (timer._destroyed = true))
    }
    return named(name, watching as F)
  }
  const watchedTicks = <F>(name: string, original: F): F => {
    const watching: Ticks = (...args) => {
      const ticks = (original as Ticks)(...args)
      const account = storage.getStore()
      const place = account === undefined ? null : placeOfCaller()
      return account === undefined || place === null ? ticks : bookTicks(ticks, account, place)
    }
    return named(name, watching as F)
  }

  const promised = {
    setTimeout: watchedPromise('setTimeout', timersPromises.setTimeout),
    setImmediate: watchedPromise('setImmediate', timersPromises.setImmediate),
    setInterval: watchedTicks('setInterval', timersPromises.setInterval),
  }
  const { scheduler } = timersPromises
  const wait = watchedPromise('wait', scheduler.wait.bind(scheduler))
  const replacing = {
    setTimeout: watched('setTimeout', globalThis.setTimeout, clearTimeout),
    setInterval: watched('setInterval', globalThis.setInterval, clearTimeout),
    setImmediate: watched('setImmediate', globalThis.setImmediate, clearImmediate),
  }
  // What `promisify` makes of them.
  for (const name of ['setTimeout', 'setImmediate'] as const) {
    Object.defineProperty(replacing[name], promisify.custom, { enumerable: true, get: () => promised[name] })
  }
  Object.assign(globalThis, replacing)
  Object.assign(timers, replacing)
  Object.assign(timersPromises, promised)
  Object.assign(scheduler, { wait })
  syncBuiltinESMExports()

  return {
    open: () => new Account(),
    late: () => late,
    ownFiles: (paths) => {
      for (const path of paths) {
        const folder = packageFolderOf(path)
        if (folder !== null) ownPackages.add(folder)
      }
    },
  }
}

function isSet({ timer }: Held): boolean {
  return !timer._destroyed
}

/** Gives a function the name of the one whose place it takes: names are shown in stacks. */
function named<F>(name: string, watching: F): F {
  Object.defineProperty(watching, 'name', { value: name })
  return watching
}

/** Books an interval from its first tick that is asked for until it is left. */
async function* bookTicks(
  ticks: NodeJS.AsyncIterator<unknown>,
  account: { hold(held: Held): void },
  place: string,
): NodeJS.AsyncIterator<unknown> {
  const timer = { _destroyed: false }
  account.hold({ timer, place, clear: () => undefined })
  try {
    yield* ticks
  } finally {
    timer._destroyed = true
  }
}
