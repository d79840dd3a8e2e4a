/** What code of a message can change without touching any object that it could be found in: settings, listeners. */
import dns from 'node:dns'
import { EventEmitter } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import stream from 'node:stream'

/** A sentence that names what is not as it was, or `null`. */
export type Look = () => string | null

/** Settings behind functions and accessors. */
export function watchSettings(): Look {
  const settings: readonly (readonly [name: string, read: () => unknown])[] = [
    ['the default limit of listeners', () => EventEmitter.defaultMaxListeners],
    ['the order of DNS results', () => dns.getDefaultResultOrder()],
    ['the automatic choice of the address family', () => net.getDefaultAutoSelectFamily()],
    ['the time limit of an attempt to connect', () => net.getDefaultAutoSelectFamilyAttemptTimeout()],
    ["streams' limit of buffered octets", () => stream.getDefaultHighWaterMark(false)],
    ["streams' limit of buffered objects", () => stream.getDefaultHighWaterMark(true)],
    ['process.stdout.write', () => (process.stdout as { readonly write: unknown }).write],
    ['process.stderr.write', () => (process.stderr as { readonly write: unknown }).write],
    ...([http, https] as const).flatMap((module, index) => {
      const name = index === 0 ? 'http.globalAgent' : 'https.globalAgent'
      const options = ['maxSockets', 'maxFreeSockets', 'maxTotalSockets', 'keepAlive', 'keepAliveMsecs'] as const
      const read = (option: string): unknown => (module.globalAgent as unknown as Record<string, unknown>)[option]
      return [
        [name, () => module.globalAgent] as const,
        ...options.map((option) => [`${name}.${option}`, () => read(option)] as const),
      ]
    }),
  ]
  const values = settings.map(([, read]) => read())
  return () => {
    for (let index = 0; index < settings.length; index++) {
      const setting = settings[index]
      if (setting !== undefined && setting[1]() !== values[index]) return `${setting[0]} was changed`
    }
    return null
  }
}

/** `process.exitCode`, which would be the thread's. */
export function watchExitCode(): Look {
  const was = process.exitCode
  const { exitCode } = Object.getOwnPropertyDescriptors(process)
  const read = exitCode.get?.bind(process) ?? (() => process.exitCode)
  return () => (read() === was ? null : 'process.exitCode was set')
}

/** The listeners of `process`. */
export function watchListeners(): Look {
  const { ownKeys } = Reflect
  const { isArray } = Array
  const asText = String
  const emitter = process as unknown as { readonly _events: Record<string | symbol, unknown> }
  const count = (listeners: unknown): number =>
    listeners === undefined ? 0 : isArray(listeners) ? listeners.length : 1
  const at = (listeners: unknown, index: number): unknown =>
    isArray(listeners) ? (listeners as readonly unknown[])[index] : index === 0 ? listeners : undefined

  const names = ownKeys(emitter._events)
  const before = names.map((name) => {
    const listeners = emitter._events[name]
    return isArray(listeners) ? (listeners as readonly unknown[]).slice() : listeners
  })
  const size = (process as unknown as { readonly _eventsCount: number })._eventsCount
  const change = (name: string | symbol, was: unknown, now: unknown): string => {
    const [less, more] = [count(was), count(now)]
    const what =
      more > less ? 'a listener was added to' : more < less ? 'a listener was taken from' : 'the listeners of'
    return `${what} process${more === less ? ' were replaced' : ''}, for "${asText(name)}"`
  }
  return () => {
    const now = emitter._events
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? ''
      const was = before[index]
      const listeners = now[name]
      if (listeners === was) continue
      const length = count(was)
      if (count(listeners) !== length) return change(name, was, listeners)
      for (let place = 0; place < length; place++) {
        if (at(listeners, place) !== at(was, place)) return change(name, was, listeners)
      }
    }
    if ((process as unknown as { readonly _eventsCount: number })._eventsCount === size) return null
    const all = ownKeys(now)
    for (let index = 0; index < all.length; index++) {
      const name = all[index] ?? ''
      let isKnown = false
      for (let place = 0; place < names.length; place++) if (names[place] === name) isKnown = true
      if (!isKnown) return change(name, undefined, now[name])
    }
    return null
  }
}
