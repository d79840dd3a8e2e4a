/** The environment of a thread, which is a copy of its own: who writes to it is noticed when it is written to. */
import { memberName } from './snapshot.ts'
import type { Look } from './standing.ts'

/** Reading it all takes too long for every look: the quick one asks only whether something was written. */
export interface EnvironmentWatch {
  readonly look: Look
  readonly deepLook: Look
}

/** Puts a noticing face in front of `process.env`. */
export function watchEnvironment(): EnvironmentWatch {
  const { get, set, ownKeys, defineProperty, deleteProperty } = Reflect
  const real = process.env
  const was = new Map<string, string | undefined>()
  for (const name of Object.keys(real)) was.set(name, real[name])
  const known = [...was.keys()]
  const values = [...was.values()]
  let isWritten = false
  process.env = new Proxy(real, {
    set: (target, name, value) => {
      isWritten = true
      return set(target, name, value)
    },
    defineProperty: (target, name, descriptor) => {
      isWritten = true
      return defineProperty(target, name, descriptor)
    },
    deleteProperty: (target, name) => {
      isWritten = true
      return deleteProperty(target, name)
    },
  })

  const indexOf = (name: string | symbol): number => {
    for (let index = 0; index < known.length; index++) if (known[index] === name) return index
    return -1
  }
  const deepLook = (): string | null => {
    const names = ownKeys(real)
    for (let index = 0; index < names.length; index++) {
      const name = names[index]
      if (name !== undefined && indexOf(name) === -1) return `${memberName('process.env', name)} was set`
    }
    for (let index = 0; index < known.length; index++) {
      const name = known[index] ?? ''
      const now: unknown = get(real, name)
      if (now !== values[index]) {
        return `${memberName('process.env', name)} was ${now === undefined ? 'removed' : 'changed'}`
      }
    }
    isWritten = false
    return null
  }
  return { look: () => (isWritten ? deepLook() : null), deepLook }
}
