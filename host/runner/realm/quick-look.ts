/**
 * Comparing thousands of values in less than a microsecond.
 *
 * A loop over objects and keys costs some 20 ns a value. Straight-line code in which each object is a constant costs next
 * to nothing: the compiler knows the object's hidden class, takes its values for constants, and drops the comparison
 * until somebody changes the object, which makes the code invalid and has it compiled anew. So the code is made, once a
 * thread. That holds for objects in V8's fast mode only; an object that others inherit from is brought into it.
 */
import { compileFunction } from 'node:vm'
import type { Property, Snapshot } from './snapshot.ts'

/** One comparison. */
export interface QuickItem {
  readonly snapshot: Snapshot
  /** `null`: of the prototype. */
  readonly property: Property | null
}

/** Comparisons in one function: V8 does not optimise functions without bound. */
const itemsPerFunction = 400

/** Makes a function that gives the first of the items that is not as it was; `null` if all are. */
export function compileQuickLook(items: readonly QuickItem[]): () => QuickItem | null {
  for (const object of new Set(items.map(({ snapshot }) => snapshot.object))) makeFast(object)
  const parts: (() => number)[] = []
  for (let from = 0; from < items.length; from += itemsPerFunction) {
    parts[parts.length] = compilePart(items.slice(from, from + itemsPerFunction))
  }
  const { length } = parts
  return () => {
    for (let index = 0; index < length; index++) {
      const found = parts[index]?.() ?? -1
      if (found >= 0) return items[index * itemsPerFunction + found] ?? null
    }
    return null
  }
}

/** An object with a heir that is read from is given a hidden class of its own. */
function makeFast(object: object): void {
  const heir = Object.create(object) as { readonly absent?: unknown }
  for (let round = 0; round < 20; round++) if (heir.absent !== undefined) return
}

/** A function that gives the place of the first item that has changed, or -1. */
function compilePart(items: readonly QuickItem[]): () => number {
  const constants: unknown[] = []
  const names = new Map<unknown, string>()
  const nameOf = (constant: unknown): string => {
    const known = names.get(constant)
    if (known !== undefined) return known
    const name = `c${constants.push(constant)}`
    names.set(constant, name)
    return name
  }
  const getPrototypeOf = nameOf(Reflect.getPrototypeOf)
  const lines = items.map(({ snapshot, property }, index) => {
    const object = nameOf(snapshot.object)
    if (property === null) return `if (${getPrototypeOf}(${object}) !== ${nameOf(snapshot.prototype)}) return ${index}`
    const key = typeof property.key === 'symbol' ? nameOf(property.key) : JSON.stringify(property.key)
    const read = `${object}[${key}]`
    // The one value that does not equal itself.
    if (Number.isNaN(property.value)) return `if (${read} === ${read}) return ${index}`
    return `if (${read} !== ${nameOf(property.value)}) return ${index}`
  })
  const declared = constants.map((_, index) => `const c${index + 1} = constants[${index}]`)
  const source = [...declared, 'return () => {', ...lines, 'return -1', '}'].join('\n')
  const make = compileFunction(source, ['constants'], { filename: 'nodefilter-realm-watch' }) as unknown as (
    constants: readonly unknown[],
  ) => () => number
  return make(constants)
}
