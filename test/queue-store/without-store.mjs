/**
 * A loader hook that takes protections out of queue-store, for the negative controls of its tests:
 *
 *     node --import 'file:///.../without-store.mjs?without=NAME,NAME' test/queue-store/depot-child.ts ...
 *
 * Errors: the process ends, saying why, if a text to change is not there exactly once: a control that changed nothing would
 *         prove nothing.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { storeProtections } from './protections-store.ts'

const repository = new URL('../../', import.meta.url).href
const taken = (new URL(import.meta.url).searchParams.get('without') ?? '').split(',').filter(Boolean)
for (const name of taken) if (storeProtections[name] === undefined) throw new Error(`there is no protection "${name}"`)

registerHooks({
  load: (url, context, nextLoad) => {
    const file = url.startsWith(repository) ? url.slice(repository.length) : ''
    const names = taken.filter((name) => storeProtections[name].file === file)
    if (names.length === 0) return nextLoad(url, context)
    let source = readFileSync(new URL(url), 'utf8')
    for (const name of names) {
      const { find, instead } = storeProtections[name]
      const count = source.split(find).length - 1
      if (count !== 1) throw new Error(`protection "${name}": its text is ${count} times in ${file}, not once`)
      source = source.replace(find, () => instead)
    }
    return { format: 'module-typescript', source, shortCircuit: true }
  },
})
