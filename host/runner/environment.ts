/** What a process that runs filters knows of ours. */
import { createHash } from 'node:crypto'
import { delimiter } from 'node:path'
import { modulePathsVariable } from '../../courier-compat/module-config/read.ts'

/** What programs need to find their way, and nothing a site may have put beside it. */
const passedOn = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'prefix',
  'exec_prefix',
  'sysconfdir',
] as const

/**
 * Says of a process which host's runner it came from: `PLACE.HOST.RUNNER`. Whatever a filter starts inherits it, and is ended
 * with its runner.
 */
export const runnerVariable = 'NODEFILTER_RUNNER'

/** What the marks of all runners of this process begin with. */
export function hostMark(linePath: string): string {
  // A process id comes again, together with its start it does not.
  return `${placeWord(linePath)}.${process.pid}-${Math.round(performance.timeOrigin)}.`
}

/** A word for the host that has its threads' socket at `linePath`: no other living host has the same. */
export function placeWord(linePath: string): string {
  return createHash('sha256').update(linePath).digest('hex').slice(0, 12)
}

/** The environment of a runner. `modulePaths` are the files of filter settings in force. */
export function runnerEnvironment(modulePaths: readonly string[]): NodeJS.ProcessEnv {
  const known = passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  return Object.fromEntries([...known, [modulePathsVariable, modulePaths.join(delimiter)]]) as NodeJS.ProcessEnv
}
