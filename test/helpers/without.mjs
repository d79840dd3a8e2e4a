/**
 * A loader hook that takes protections out of the program under test, so that a test can show what it would see
 * without them. The program itself has no switch for that: its source text is changed while it is loaded.
 *
 *     node --import 'file:///.../without.mjs?without=NAME,NAME' host/main.ts    for a whole process and its runners
 *     await importWithout('host/pair.ts', ['NAME'])                             for one module, in this process
 *
 * Errors: the process ends, saying why, if a text to change is not there exactly once: a control that changed nothing
 *         would prove nothing.
 */
import { readFileSync, writeSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { protections } from '../reliability/protections.ts'

const repository = new URL('../../', import.meta.url).href
const forAll = namesIn(import.meta.url)

/** Imports a module of the program with these protections taken out of it and of everything that it imports. */
export function importWithout(file, names) {
  const url = new URL(file, repository)
  url.searchParams.set('without', names.join(','))
  return import(url.href)
}

/** A file's text with these protections taken out of it. Errors: Error for an unknown name or a text that is not there once. */
export function takeOut(file, text, names) {
  for (const name of names) {
    const protection = protections[name]
    if (protection === undefined) throw new Error(`there is no protection "${name}"`)
    if (protection.file !== file) continue
    const count = text.split(protection.find).length - 1
    if (count !== 1) throw new Error(`protection "${name}": its text is ${count} times in ${file}, not once`)
    text = text.replace(protection.find, () => protection.instead)
  }
  return text
}

function namesIn(url) {
  return new URL(url).searchParams.get('without')?.split(',').filter(Boolean) ?? []
}

registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const resolved = nextResolve(specifier, context)
    const names = namesIn(context.parentURL ?? 'file:///')
    if (names.length === 0) return resolved
    // The library is shared with the test, but for what is changed of it, and unless it is what is tested.
    const room = context.parentURL?.startsWith(`${repository}courier-compat/`) ? 'courier-compat/' : 'host/'
    const isChanged = names.some((name) => resolved.url === repository + protections[name]?.file)
    if (!isChanged && !resolved.url.startsWith(repository + room)) return resolved
    const url = new URL(resolved.url)
    url.searchParams.set('without', names.join(','))
    return { ...resolved, url: url.href }
  },
  load: (url, context, nextLoad) => {
    if (!url.startsWith(repository)) return nextLoad(url, context)
    const names = [...forAll, ...namesIn(url)]
    const file = new URL(url).pathname.slice(new URL(repository).pathname.length)
    if (!names.some((name) => protections[name] === undefined || protections[name].file === file))
      return nextLoad(url, context)
    try {
      // From the file itself: other hooks may have handed on octets, or code without its types.
      const source = takeOut(file, readFileSync(new URL(file, repository), 'utf8'), names)
      return { format: 'module-typescript', source, shortCircuit: true }
    } catch (thrown) {
      if (forAll.length === 0) throw thrown
      // In a thread an error would only end the thread.
      writeSync(2, `${thrown.message}\n`)
      process.kill(process.pid, 'SIGKILL')
      throw thrown
    }
  },
})
