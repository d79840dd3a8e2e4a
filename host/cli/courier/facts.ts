/** What `nodefilter courier` looks at on the machine before it plans. Reads only. */
import { lstatSync, readFileSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isLauncher } from './launcher.ts'
import type { CourierLayout } from './layout.ts'
import { filterPaths, type FilterFacts, type Ownership } from './plan.ts'
import { explainObstacle, findObstacle, type Access, type Identity, type Modes, type Obstacle } from './reach.ts'
import type { CommandRunner } from './run-command.ts'

/** Looks at one filter's launcher, link and socket, and at the daemon. */
export function readFilterFacts(layout: CourierLayout, name: string): FilterFacts {
  const paths = filterPaths(layout, name)
  return {
    name,
    layout,
    launcher: launcherOwnership(paths.launcher),
    link: linkOwnership(paths.link, paths.launcher),
    socketExists: exists(paths.socket),
    daemonRuns: daemonRuns(paths.pidFile),
    filterFolderExists: exists(join(layout.libexecdir, 'filters')),
  }
}

/** The mail user's numbers, or `null` where there is no such user. */
export async function findIdentity(user: string, run: CommandRunner, env: NodeJS.ProcessEnv): Promise<Identity | null> {
  const numbers: number[] = []
  for (const option of ['-u', '-g']) {
    const { status, stdout } = await run('id', [option, user], { env, limitMs: 3000 })
    if (status !== 0 || !/^[0-9]+\n?$/.test(stdout)) return null
    numbers.push(Number(stdout))
  }
  const [uid, gid] = numbers
  return uid === undefined || gid === undefined ? null : { user, uid, gid }
}

/** A thing that the mail user must get at. */
export interface Needed {
  readonly what: string
  readonly path: string
  readonly wanted: readonly Access[]
}

/** A needed path that the mail user cannot get at; `way` is the path itself, or where its links lead. */
export interface Obstructed extends Needed {
  readonly way: string
  readonly obstacle: Obstacle
}

/**
 * Finds the needed paths that something keeps the user from.
 * Shape: where `probe` is given, an obstacle counts only if the probe cannot get there either: access lists open ways
 *        that the modes do not show.
 */
export async function findObstacles(
  needed: readonly Needed[],
  who: Identity,
  probe: ((needed: Needed) => Promise<boolean>) | null,
): Promise<Obstructed[]> {
  const found: Obstructed[] = []
  for (const need of needed) {
    const ways = new Set([need.path, realPath(need.path)])
    for (const way of ways) {
      const obstacle = findObstacle(way, need.wanted, who, modesOf)
      if (obstacle === null || (probe !== null && (await probe(need)))) continue
      found.push({ ...need, way, obstacle })
      break
    }
  }
  return found
}

/** As `findObstacles`, each told with its cure. */
export async function readObstacles(...args: Parameters<typeof findObstacles>): Promise<string[]> {
  const found = await findObstacles(...args)
  return found.map(({ what, way, obstacle }) => explainObstacle(what, way, obstacle, args[1].user))
}

/** The regular files of a folder, or none where it cannot be read. */
export function filesIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name))
  } catch {
    return []
  }
}

/** The owner of a path, or `null` where there is nothing or it cannot be seen. */
export function ownerOf(path: string): number | null {
  return modesOf(path)?.uid ?? null
}

/** The first line of a file, without its line end; `null` where it cannot be read. */
export function firstLine(path: string): string | null {
  return readText(path)?.split('\n', 1)[0] ?? null
}

/** True where there is something of that name that can be seen, be it a link that leads nowhere. */
export function exists(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}

function launcherOwnership(path: string): Ownership {
  if (!exists(path)) return 'absent'
  return isLauncher(readText(path) ?? '') ? 'ours' : 'foreign'
}

function linkOwnership(link: string, launcher: string): Ownership {
  // A caller without root cannot look into Courier's folder, and only a dry run gets this far.
  if (modesOf(join(link, '..')) === null) return 'absent'
  try {
    return readlinkSync(link) === launcher ? 'ours' : 'foreign'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EINVAL' ? 'foreign' : 'absent'
  }
}

function daemonRuns(pidFile: string): boolean {
  const pid = Number(readText(pidFile)?.trim() ?? '')
  if (!Number.isInteger(pid) || pid <= 1) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A file's text; `null` where it cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function modesOf(path: string): Modes {
  try {
    return statSync(path)
  } catch {
    return null
  }
}
