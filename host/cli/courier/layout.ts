/**
 * Where Courier keeps its things on this machine.
 *
 * Source: spec courier 1.1 and 5.1 (`courier-config`).
 */
import { isAbsolute, join } from 'node:path'
import { parseCourierConfig, searchPath } from '../../../courier-compat/config/layout.ts'
import { parseCourierVersion } from '../../../courier-compat/config/version.ts'
import { runCommand, type CommandRunner } from './run-command.ts'

/** Courier's folders, and the user that mail belongs to. */
export interface CourierLayout {
  readonly prefix: string
  readonly sbindir: string
  readonly libexecdir: string
  readonly sysconfdir: string
  readonly localstatedir: string
  /** Where `courierfilter.pid` is. */
  readonly piddir: string
  /** Names: the numbers that `courier-config` prints are those of the machine Courier was built on. */
  readonly mailUser: string
  readonly mailGroup: string
  /** For instance `1.0.16`; `null` where `courier --version` did not say. */
  readonly version: string | null
  /** False: no `courier-config` answered, and the values are the environment's or Debian's. */
  readonly found: boolean
}

/** What `findCourier` may be told. */
export interface FindCourierOptions {
  /** The path of `courier-config`; `null`: wherever it usually is. */
  readonly configProgram?: string | null
  /** Courier gives its filters `sysconfdir` and `prefix` in their environment. */
  readonly env?: NodeJS.ProcessEnv
  readonly run?: CommandRunner
}

// Both programs print a line or two and take some 2 ms; the limit is for a hanging file system.
const limitMs = 3000

/** Finds Courier. Never rejects: without a `courier-config` the answer is a guess, and says so in `found`. */
export async function findCourier(options: FindCourierOptions = {}): Promise<CourierLayout> {
  const { configProgram = null, env = process.env, run = runCommand } = options
  const cleanEnv = { PATH: searchPath(env) }
  const answer = await run(configProgram ?? 'courier-config', [], { env: cleanEnv, limitMs })
  const guess = guessLayout(env)
  const layout = answer.status === 0 ? layoutFrom(parseCourierConfig(answer.stdout), guess) : guess
  if (!layout.found) return layout
  const version = await run(join(layout.sbindir, 'courier'), ['--version'], { env: cleanEnv, limitMs })
  return { ...layout, version: parseCourierVersion(version.stdout) }
}

/** What is known without `courier-config`: what Courier hands to a filter, else its own build defaults, else Debian's. */
export function guessLayout(env: NodeJS.ProcessEnv): CourierLayout {
  const prefix = absolute(env['prefix']) ?? '/usr'
  const sysconfdir = absolute(env['sysconfdir'])
  const common = { prefix, mailUser: 'courier', mailGroup: 'courier', version: null, found: false }
  if (prefix === '/usr') {
    return {
      ...common,
      sbindir: '/usr/sbin',
      libexecdir: '/usr/lib/courier',
      sysconfdir: sysconfdir ?? '/etc/courier',
      localstatedir: '/var/lib/courier',
      piddir: '/run/courier',
    }
  }
  return {
    ...common,
    sbindir: join(prefix, 'sbin'),
    libexecdir: join(prefix, 'libexec'),
    sysconfdir: sysconfdir ?? join(prefix, 'etc'),
    localstatedir: join(prefix, 'var'),
    piddir: join(prefix, 'var/tmp'),
  }
}

function layoutFrom(values: ReadonlyMap<string, string>, guess: CourierLayout): CourierLayout {
  const folder = (key: 'prefix' | 'sbindir' | 'libexecdir' | 'sysconfdir' | 'localstatedir'): string =>
    absolute(values.get(key)) ?? guess[key]
  const localstatedir = folder('localstatedir')
  const piddir = /'--with-piddir=([^']+)'/.exec(values.get('configure_args') ?? '')?.[1]
  return {
    prefix: folder('prefix'),
    sbindir: folder('sbindir'),
    libexecdir: folder('libexecdir'),
    sysconfdir: folder('sysconfdir'),
    localstatedir,
    piddir: absolute(piddir) ?? join(localstatedir, 'tmp'),
    mailUser: values.get('mailuser') ?? guess.mailUser,
    mailGroup: values.get('mailgroup') ?? guess.mailGroup,
    version: null,
    found: values.has('localstatedir'),
  }
}

function absolute(path: string | undefined): string | null {
  return path !== undefined && isAbsolute(path) ? path : null
}
