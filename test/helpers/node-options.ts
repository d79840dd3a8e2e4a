/** The options with which Node runs the program under test. */
import type { Test } from 'tap'

const compileCache = new URL('./compile-cache.mjs', import.meta.url).href
const withoutHook = new URL('./without.mjs', import.meta.url)

/**
 * For a process of the program. `without` are protections to take out of it: names in test/reliability/protections.ts;
 * `preload` are modules of this folder that all its processes and threads load first.
 */
export function nodeOptions(without: readonly string[] = [], preload: readonly string[] = []): string[] {
  const urls = [compileCache, ...preload.map((file) => new URL(file, import.meta.url).href)]
  const options = urls.flatMap((url) => ['--import', url])
  if (without.length === 0) return options
  const hook = new URL(withoutHook)
  hook.searchParams.set('without', without.join(','))
  return [...options, '--import', hook.href]
}

/** Until the test ends, the runners that this process starts itself have these options, and not the test runner's own. */
export function giveRunners(t: Test, options: readonly string[]): void {
  const own = process.execArgv
  process.execArgv = [...options]
  t.teardown(() => void (process.execArgv = own))
}
