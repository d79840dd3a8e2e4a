/**
 * The places of a thread's realm where code of one message could leave something for the next: the language's own
 * objects, the globals, and the exports of Node's modules with their classes.
 *
 * What filters and packages define themselves is not among them: a module's variables live as long as its thread.
 */

import { EventEmitter } from 'node:events'
import { memberName, type Place } from './snapshot.ts'

/**
 * The modules whose exports are watched. Each is loaded, so that nothing of it can be changed before it is looked at;
 * the others are seldom used, and cost too much to load into every thread.
 */
const modules = {
  common: ['child_process', 'fs', 'fs/promises', 'net', 'path', 'timers'],
  other: [
    ...['buffer', 'crypto', 'dns', 'http', 'https', 'stream', 'stream/promises', 'timers/promises', 'url', 'util'],
    ...['assert', 'async_hooks', 'dgram', 'diagnostics_channel', 'dns/promises', 'events', 'module', 'os'],
    ...['perf_hooks', 'querystring', 'readline', 'string_decoder', 'tls', 'util/types', 'vm', 'worker_threads', 'zlib'],
  ],
} as const

/** The classes whose values are everywhere. */
const commonClasses = {
  ...{ Object, Function, Array, String, Number, Boolean, Symbol, BigInt, Date, RegExp, Promise, Map, Set, WeakMap },
  ...{ Error, TypeError, RangeError, AggregateError, ArrayBuffer, DataView, Uint8Array, Buffer, EventEmitter },
  ...{ AbortController, AbortSignal, EventTarget, URL, URLSearchParams, TextEncoder, TextDecoder },
}

/** Every place, each once. */
export function findPlaces(): Place[] {
  const found = new Map<object, Place>()
  const add = (object: unknown, name: string, isCommon: boolean): void => {
    if (!isObject(object) || found.has(object)) return
    found.set(object, { object, name, isCommon })
    if (typeof object === 'function') add(dataOf(object, 'prototype'), `${name}.prototype`, isCommon)
  }
  /** An object whose classes are places too. */
  const addAll = (object: unknown, name: string, isCommon: boolean): void => {
    add(object, name, isCommon)
    if (!isObject(object)) return
    for (const key of Reflect.ownKeys(object)) {
      const value = dataOf(object, key)
      if (typeof value === 'function' && isClass(value)) add(value, memberName(name, key), isCommon)
    }
  }

  for (const [name, object] of Object.entries(commonClasses)) add(object, name, true)
  for (const [name, object] of languagePrototypes()) add(object, name, true)
  for (const [name, object] of Object.entries({ JSON, Math, Reflect, console, process })) addAll(object, name, true)
  for (const name of modules.common) addAll(process.getBuiltinModule(name), name, true)
  add(globalThis, 'globalThis', true)
  addAll(globalThis, 'globalThis', false)
  for (const name of ['Atomics', 'Intl', 'WebAssembly']) addAll(dataOf(globalThis, name), name, false)
  for (const name of modules.other) addAll(process.getBuiltinModule(name), name, false)
  for (const name of ['path.posix', 'path.win32', 'assert.strict'] as const) {
    const [module, key] = name.split('.') as ['path' | 'assert', string]
    addAll(dataOf(process.getBuiltinModule(module), key), name, false)
  }
  // What they inherit from, last: most of it has a name of its own by now.
  for (const [object, { name }] of found) add(Reflect.getPrototypeOf(object), `the parent of ${name}`, false)
  return [...found.values()]
}

/** Prototypes that no global leads to. */
function languagePrototypes(): [string, object][] {
  const above = (object: object): object => Reflect.getPrototypeOf(object) ?? object
  return [
    ['the array iterator', above([].values())],
    ['the map iterator', above(new Map().values())],
    ['the set iterator', above(new Set().values())],
    ['the string iterator', above(''[Symbol.iterator]())],
    ['the match iterator', above(''.matchAll(/x/g))],
    ['the iterator helper', above(([].values() as unknown as { map(change: unknown): object }).map(String))],
    ['the async function', above(async () => Promise.resolve())],
    ['the generator function', above(function* () {})],
    ['the async generator function', above(async function* () {})],
  ]
}

/** True for a function that is more than its code: a class, or one that carries other things. */
function isClass(value: object): boolean {
  const prototype = dataOf(value, 'prototype')
  if (isObject(prototype)) {
    if (Reflect.ownKeys(prototype).length > 1) return true
    if (Reflect.getPrototypeOf(prototype) !== Object.prototype) return true
  }
  return Reflect.ownKeys(value).some((key) => !plainKeys.has(key))
}

const plainKeys: ReadonlySet<string | symbol> = new Set(['length', 'name', 'prototype', 'arguments', 'caller'])

/** The value of an own property that is no accessor: reading an accessor could run anything. */
function dataOf(object: object, key: string | symbol): unknown {
  return Reflect.getOwnPropertyDescriptor(object, key)?.value
}

function isObject(value: unknown): value is object {
  return typeof value === 'function' || (typeof value === 'object' && value !== null)
}
