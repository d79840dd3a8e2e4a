/**
 * Where Courier's configuration and programs are on this machine, found without waiting: filters ask from within
 * `doFilter`.
 *
 * Source: spec courier 1.2 (environment of a filter) and 5.1 (`courier-config`).
 */
import { execFileSync } from 'node:child_process'
import { isAbsolute, join } from 'node:path'

/** Starts a program and gives what it wrote to standard output; `null` if it cannot be started, fails, or takes long. */
export type ProgramRunner = (file: string, args: readonly string[], path: string) => string | null

/** Each is found when it is first asked for. */
export interface CourierFolders {
  sysconfdir(): string
  sbindir(): string
}

// Both programs print a line or two and take some 2 ms. The host takes a thread away that blocks for 2 s.
const limitMs = 1000

/** Starts the program with nothing in its environment but `PATH`. */
export const runProgram: ProgramRunner = (file, args, path) => {
  try {
    return execFileSync(file, [...args], {
      ...{ env: { PATH: path }, timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 },
      ...{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    })
  } catch {
    return null
  }
}

/**
 * Finds Courier's folders: what Courier itself put into the environment of its filters, else what `courier-config` says,
 * else where packages install it.
 *
 * The environment comes first, since it names the Courier that asks; `courier-config` is whichever is found in `PATH`.
 */
export function findCourierFolders(env: NodeJS.ProcessEnv, run: ProgramRunner = runProgram): CourierFolders {
  const prefix = absolute(env['prefix']) ?? '/usr'
  let asked: ReadonlyMap<string, string> | null = null
  const configured = (key: string): string | null => {
    asked ??= parseCourierConfig(run('courier-config', [], searchPath(env)) ?? '')
    return absolute(asked.get(key))
  }
  const remembered = (find: () => string) => {
    let folder: string | null = null
    return () => (folder ??= find())
  }
  return {
    sysconfdir: remembered(
      () =>
        absolute(env['sysconfdir']) ??
        configured('sysconfdir') ??
        (prefix === '/usr' ? '/etc/courier' : join(prefix, 'etc')),
    ),
    sbindir: remembered(() => configured('sbindir') ?? join(prefix, 'sbin')),
  }
}

/** Reads what `courier-config` prints: `key=value` lines, parted at the first `=`, one pair of double quotes removed. */
export function parseCourierConfig(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).replace(/^"(.*)"$/, '$1'))
  }
  return values
}

/** The PATH in which Courier's programs are looked for: a build from source is below /usr/lib/courier. */
export function searchPath(env: NodeJS.ProcessEnv): string {
  const prefix = absolute(env['prefix'])
  const folders = [...(prefix === null ? [] : [join(prefix, 'bin')]), ...(env['PATH'] ?? '').split(':')]
  return [...folders.filter(isAbsolute), '/usr/bin', '/bin', '/usr/local/bin', '/usr/lib/courier/bin'].join(':')
}

function absolute(path: string | undefined): string | null {
  return path !== undefined && isAbsolute(path) ? path : null
}
