/** Loaded first into a process: `nodefilter/queue-store` is the sources, not what was built last. */
import { registerHooks } from 'node:module'

const source = new URL('../../queue-store/index.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, nextResolve) =>
    specifier === 'nodefilter/queue-store' ? { url: source, shortCircuit: true } : nextResolve(specifier, context),
})
