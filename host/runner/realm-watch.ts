/**
 * Whether a thread's realm is still what it was when its filters were loaded: what code of one message changed there
 * would steer the next one.
 *
 * `look` is for every batch of messages, `deepLook` for whenever there is time; `paceLooks` joins them.
 */
import { watchEnvironment } from './realm/environment.ts'
import { findPlaces } from './realm/places.ts'
import { compileQuickLook, type QuickItem } from './realm/quick-look.ts'
import {
  compareSnapshot,
  describeChange,
  takeSnapshot,
  type Place,
  type Property,
  type Snapshot,
} from './realm/snapshot.ts'
import { watchExitCode, watchListeners, watchSettings } from './realm/standing.ts'

/** The watch of one thread. Each look gives a sentence that names what is not as it was, or `null`; it never throws. */
export interface RealmWatch {
  /**
   * For every batch. Sees: values that were replaced, changed or removed, and replaced prototypes, in all places
   * (realm/places.ts); any new property of `Object.prototype`; new enumerable properties of the globals and of the
   * prototypes that most values have, and those that the language itself would come upon (`then`, `toJSON`, ...); the
   * environment, `process.exitCode`, the listeners of `process`.
   */
  look(): string | null
  /** Sees also: every new property of every place, accessors, attributes, frozen objects, settings behind functions. */
  deepLook(): string | null
}

/** Places whose new properties any code may come upon, since common values inherit them. */
const shared: ReadonlySet<string> = new Set(
  ['Function', 'Array', 'String', 'Number', 'Boolean', 'Promise', 'Map', 'Set', 'RegExp', 'Date', 'Error', 'Buffer']
    .concat('Uint8Array')
    .map((name) => `${name}.prototype`),
)

/** Classes of which others are derived: a new property would stand before an inherited one. */
const derived: ReadonlySet<string> = new Set(
  ['EventEmitter', 'stream.Readable', 'stream.Writable', 'stream.Duplex', 'stream.Transform', 'net.Socket']
    .concat('http.ClientRequest', 'http.IncomingMessage', 'http.ServerResponse', 'fs.ReadStream', 'fs.WriteStream')
    .concat('child_process.ChildProcess')
    .map((name) => `${name}.prototype`),
)

/** What the language and Node look for in any value. */
const soughtKeys = [
  ...['then', 'toJSON', 'get', 'set', 'value'],
  ...[Symbol.toPrimitive, Symbol.isConcatSpreadable, Symbol.iterator, Symbol.asyncIterator, Symbol.toStringTag],
  ...[Symbol.hasInstance, Symbol.species, Symbol.match, Symbol.replace, Symbol.search, Symbol.split],
  ...[Symbol.for('nodejs.util.inspect.custom'), Symbol.for('nodejs.util.promisify.custom')],
] as const

/** What may be put before something that is inherited, or looked for. */
const absentKeys: Readonly<Record<string, readonly string[]>> = {
  Error: ['prepareStackTrace'],
  process: ['emit', 'on', 'once', 'addListener', 'removeListener'],
}

/** Properties of `process`: listeners are looked at by themselves, and the last makes what it gives each time anew. */
const freeOfProcess: ReadonlySet<string | symbol> = new Set(['_events', '_eventsCount', 'allowedNodeEnvironmentFlags'])

const none: ReadonlySet<string | symbol> = new Set()

/** Takes the realm as it is now for what it has to be. To be called when all filters are loaded and initialised. */
export function watchRealm(): RealmWatch {
  const { ownKeys } = Reflect
  const { keys, prototype: root } = Object
  const everything = globalThis
  const environment = watchEnvironment()
  const settings = watchSettings()
  const exitCode = watchExitCode()
  const listeners = watchListeners()
  const snapshots = findPlaces().map((place) => takeSnapshot(place, place.object === process ? freeOfProcess : none))
  const quick = compileQuickLook(snapshots.flatMap(quickItems))
  const counted = snapshots.filter(({ name }) => shared.has(name) || derived.has(name))
  const counts = counted.map(({ object }) => keys(object).length)
  let rootCount = ownKeys(root).length
  let globalCount = keys(everything).length

  const search = (): string | null => {
    for (let index = 0; index < snapshots.length; index++) {
      const snapshot = snapshots[index]
      const found = snapshot === undefined ? null : compareSnapshot(snapshot, isLate)
      if (found !== null) return found
    }
    // What was added, Node added itself.
    rootCount = ownKeys(root).length
    globalCount = keys(everything).length
    for (let index = 0; index < counted.length; index++) {
      counts[index] = keys(counted[index]?.object ?? root).length
    }
    return null
  }
  const isLarger = (): boolean => {
    if (ownKeys(root).length !== rootCount || keys(everything).length !== globalCount) return true
    for (let index = 0; index < counted.length; index++) {
      const place = counted[index]
      if (place !== undefined && keys(place.object).length !== counts[index]) return true
    }
    return false
  }
  const look = (): string | null => {
    const item = quick()
    if (item !== null) return search() ?? describeItem(item)
    return (isLarger() ? search() : null) ?? environment.look() ?? exitCode() ?? listeners()
  }
  return {
    look: () => safely(look),
    deepLook: () => safely(() => look() ?? search() ?? environment.deepLook() ?? settings()),
  }
}

/** The share of a thread's time that goes into deep looks, and how much may be saved up for a busy moment. */
const deepTime = { share: 0.01, maxSavedMs: 25, maxCostMs: 1 } as const

/**
 * One look for after every batch of messages: deep where that takes at most a hundredth of the thread's time, which is
 * after every batch unless the thread is very busy.
 */
export function paceLooks(watch: RealmWatch, monotonicMs: () => number): () => string | null {
  const { min } = Math
  let savedMs: number = deepTime.maxSavedMs
  let lastMs = monotonicMs()
  return () => {
    const beganMs = monotonicMs()
    savedMs = min(deepTime.maxSavedMs, savedMs + (beganMs - lastMs) * deepTime.share)
    lastMs = beganMs
    if (savedMs < 0) return watch.look()
    const found = watch.deepLook()
    // One that takes longer was interrupted, or is among a thread's first: the rest is not its cost.
    savedMs -= min(deepTime.maxCostMs, monotonicMs() - beganMs)
    return found
  }
}

/** What a quick look compares: plain values that somebody could have changed. */
function quickItems(snapshot: Snapshot): QuickItem[] {
  if (!snapshot.isCommon) return []
  // Reading a prototype costs more than reading a value.
  const items: QuickItem[] = shared.has(snapshot.name) ? [{ snapshot, property: null }] : []
  const isFunction = typeof snapshot.object === 'function'
  for (const property of snapshot.properties) {
    const { key, getter, setter, writable, configurable, isFree } = property
    if (isFree || getter !== null || setter !== undefined || !(writable || configurable)) continue
    if (isFunction && (key === 'name' || key === 'length')) continue
    items.push({ snapshot, property })
  }
  for (const key of shared.has(snapshot.name) ? soughtKeys : (absentKeys[snapshot.name] ?? [])) {
    if (Object.hasOwn(snapshot.object, key)) continue
    const nothing = {
      value: (snapshot.object as Record<string | symbol, unknown>)[key],
      getter: null,
      setter: undefined,
      writable: true,
      enumerable: true,
    }
    items.push({ snapshot, property: { ...nothing, key, configurable: true, isFree: false } satisfies Property })
  }
  return items
}

function describeItem({ snapshot, property }: QuickItem): string {
  return property === null ? `the prototype of ${snapshot.name} was replaced` : describeChange(snapshot.name, property)
}

/** What Node, or a package in a filter's name, adds when it is first used. */
function isLate({ name, object }: Place, key: string | symbol): boolean {
  // The connections that `fetch` shares.
  if (name === 'globalThis') return typeof key === 'symbol' && (key.description ?? '').startsWith('undici.')
  if (name !== 'Error' || key !== 'prepareStackTrace') return false
  // Packages set it for a moment, and then back to what it was: to nothing.
  return (object as { readonly prepareStackTrace?: unknown }).prepareStackTrace === undefined
}

/** A look at a realm that was made a ruin of may itself fail. */
function safely(look: () => string | null): string | null {
  try {
    return look()
  } catch {
    return 'the thread can no longer be looked over'
  }
}
