/**
 * What one object was like: its properties as they are defined, its prototype, whether it could be extended. And the
 * comparison with what it is like later, which must not be misled by what was changed: it uses functions kept from
 * before, arrays by their indexes, and of descriptors only what they hold themselves.
 */

const { ownKeys, getOwnPropertyDescriptor, getPrototypeOf, isExtensible } = Reflect
const { hasOwn, is } = Object
const asText = String

/** One object, and what it is called. */
export interface Place {
  readonly object: object
  readonly name: string
  /** Most filters use it: its values are looked at after every batch of messages. */
  readonly isCommon: boolean
}

/** One property. */
export interface Property {
  readonly key: string | symbol
  /** For an accessor: `null`, and what it is made of. */
  value: unknown
  getter: (() => unknown) | null
  setter: unknown
  writable: boolean
  readonly enumerable: boolean
  readonly configurable: boolean
  /** Changes by itself: it only has to be there. */
  readonly isFree: boolean
}

/** An object as it was. */
export interface Snapshot extends Place {
  readonly prototype: object | null
  readonly isExtensible: boolean
  readonly properties: Property[]
}

/** Tells of a property that appeared whether Node itself adds it when it is first needed. */
export type IsLate = (place: Place, key: string | symbol) => boolean

/** Takes one. `free` are properties that change by themselves. */
export function takeSnapshot(place: Place, free: ReadonlySet<string | symbol>): Snapshot {
  const { object } = place
  const properties: Property[] = []
  for (const key of ownKeys(object)) {
    const property = readProperty(object, key, free.has(key))
    if (property !== null) properties[properties.length] = property
  }
  return { ...place, prototype: getPrototypeOf(object), isExtensible: isExtensible(object), properties }
}

/** Compares an object with what it was like. Gives a sentence that names the first difference, or `null`. */
export function compareSnapshot(snapshot: Snapshot, isLate: IsLate): string | null {
  const { object, name, properties } = snapshot
  if (getPrototypeOf(object) !== snapshot.prototype) return `the prototype of ${name} was replaced`
  if (isExtensible(object) !== snapshot.isExtensible) return `${name} was frozen, sealed or closed to new properties`
  const keys = ownKeys(object)
  for (let index = 0; index < properties.length; index++) {
    const property = properties[index]
    if (property === undefined) continue
    const now = getOwnPropertyDescriptor(object, property.key)
    if (now === undefined) return `${memberName(name, property.key)} was removed`
    if (!property.isFree && !isSame(property, now, object)) return describeChange(name, property)
  }
  if (keys.length === properties.length) return null
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]
    if (key === undefined || hasKey(properties, key)) continue
    if (!isLate(snapshot, key)) return `${name} has a new property ${quoted(key)}`
    // From now on it is as constant as the others.
    const property = readProperty(object, key, false)
    if (property !== null) properties[properties.length] = property
  }
  return null
}

/** What to say of a property that is not what it was. */
export function describeChange(name: string, { key, value, getter }: Property): string {
  const isPart = getter !== null || typeof value === 'function' || (typeof value === 'object' && value !== null)
  return `${memberName(name, key)} was ${isPart ? 'replaced' : 'changed'}`
}

function isSame(was: Property, now: PropertyDescriptor, object: object): boolean {
  if (now.enumerable !== was.enumerable || now.configurable !== was.configurable) return false
  if (was.getter === null && was.setter === undefined) {
    return now.get === undefined && is(now.value, was.value) && now.writable === was.writable
  }
  if (hasOwn(now, 'get')) return (now.get ?? null) === was.getter && now.set === was.setter
  return isUnfolded(was, now, object)
}

/** Some accessors of Node put the value that they load in their own place, once they are read. */
function isUnfolded(was: Property, now: PropertyDescriptor, object: object): boolean {
  if (was.getter === null) return false
  try {
    const value = apply(was.getter, object, [])
    if (value === undefined || !is(value, now.value)) return false
  } catch {
    return false
  }
  was.value = now.value
  was.getter = null
  was.setter = undefined
  was.writable = now.writable === true
  return true
}

const { apply } = Reflect

function readProperty(object: object, key: string | symbol, isFree: boolean): Property | null {
  const found = getOwnPropertyDescriptor(object, key)
  if (found === undefined) return null
  return {
    key,
    value: hasOwn(found, 'value') ? found.value : null,
    getter: hasOwn(found, 'get') ? (found.get ?? null) : null,
    setter: hasOwn(found, 'set') ? found.set : undefined,
    writable: hasOwn(found, 'writable') && found.writable === true,
    enumerable: found.enumerable === true,
    configurable: found.configurable === true,
    isFree,
  }
}

function hasKey(properties: readonly Property[], key: string | symbol): boolean {
  for (let index = 0; index < properties.length; index++) if (properties[index]?.key === key) return true
  return false
}

/** A property as one writes it: `fs.readFile`, `Array.prototype[Symbol.iterator]`. */
export function memberName(name: string, key: string | symbol): string {
  if (typeof key === 'symbol') return `${name}[${quoted(key)}]`
  return name === 'globalThis' ? key : `${name}.${key}`
}

function quoted(key: string | symbol): string {
  return typeof key === 'symbol' ? asText(key) : `"${key}"`
}
