/**
 * Keeps compiled code in a folder that all processes of the tests share: a host and its runner then start in half the
 * time. Node itself compares each file with what was compiled, so a changed file is compiled again.
 *
 *     node --import 'file:///.../compile-cache.mjs' host/main.ts
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/nodefilter-tests', import.meta.url)))
// Node writes at the end of a process or thread, which most of ours do not live to see.
setTimeout(flushCompileCache, 1000).unref()
