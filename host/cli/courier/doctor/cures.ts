/** The commands that mend more than one finding. Pure. */
import { defaultStateDirectory } from '../../../state-folder.ts'
import { shellQuote } from '../launcher.ts'
import { filterPaths } from '../plan.ts'
import type { DoctorFacts } from './facts.ts'

/** Makes the launcher anew with the folders that it has now, and enables it where it is not. */
export function enableAgain({ name, given }: DoctorFacts): string {
  const { configDirectory, stateDirectory } = given
  const options = [
    ...(name === 'nodefilter' ? [] : ['--name', name]),
    ...(configDirectory === null ? [] : ['-c', configDirectory]),
    ...(stateDirectory === null ? [] : ['--state-dir', stateDirectory]),
  ]
  return ['nodefilter', 'courier', 'enable', ...options].map(shellQuote).join(' ')
}

/** Tells the host that runs: `reload` or `restart`. */
export function tellHost(what: 'reload' | 'restart', { state }: DoctorFacts): string {
  const place = state.path === defaultStateDirectory ? [] : ['--state-dir', state.path]
  return ['nodefilter', what, ...place].map(shellQuote).join(' ')
}

/** Makes Courier start its filters anew; meanwhile mail is deferred, none passes unfiltered. */
export function restartFilters(facts: DoctorFacts): string[] {
  const { courierfilter } = filterPaths(facts.layout, facts.name)
  return [`${shellQuote(courierfilter)} stop`, `${shellQuote(courierfilter)} start`]
}

/** `chmod`, `chown` and the like, with a path that may hold anything. */
export function onPath(command: string, path: string): string {
  return `${command} ${shellQuote(path)}`
}

/** A mode as `chmod` takes it. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
