/** What a process that runs filters knows of ours. */

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

/** The environment of a runner. `modulePaths` are the files of filter settings in force. */
export function runnerEnvironment(modulePaths: readonly string[]): NodeJS.ProcessEnv {
  const known = passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  return Object.fromEntries([...known, [modulePathsVariable, modulePaths.join(delimiter)]]) as NodeJS.ProcessEnv
}
