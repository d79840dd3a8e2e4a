/** What a process that runs filters knows of ours. */

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

/** The environment of a runner. */
export function runnerEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}
