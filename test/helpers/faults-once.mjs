/**
 * A module that hands a fault specification to the first host that finds it, and none to those started after it.
 *
 *     NODEFILTER_FAULTS_FILE=/path node --import 'file:///.../faults-once.mjs' host/main.ts
 */
import { readFileSync, rmSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const path = process.env.NODEFILTER_FAULTS_FILE
if (isMainThread && path !== undefined && process.argv[1]?.endsWith('/host/main.ts') === true) {
  try {
    process.env.NODEFILTER_FAULTS = readFileSync(path, 'utf8')
    rmSync(path)
  } catch {
    // Another host was the first.
  }
}
