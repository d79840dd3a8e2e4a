/** Lets a filter that lives anywhere import `nodefilter/courier-compat`: it gets the running program's own copy. */
import { registerHooks } from 'node:module'

const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

/** The package's subpaths that filters may import, and the files behind them. */
const ownModules: Readonly<Record<string, string>> = {
  'nodefilter/courier-compat': new URL(`../../courier-compat/index.${ending}`, import.meta.url).href,
  'nodefilter/queue-store': new URL(`../../queue-store/index.${ending}`, import.meta.url).href,
  'nodefilter/testing': new URL(`../../courier-compat/testing.${ending}`, import.meta.url).href,
  'nodefilter/filter': new URL(`../../courier-compat/filter.${ending}`, import.meta.url).href,
}

/** Registers the hook for the calling thread. */
export function registerOwnModules(): void {
  registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const url = ownModules[specifier]
      return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true }
    },
  })
}
