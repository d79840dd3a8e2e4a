/**
 * Can another user get at a file? Answered from owners and modes, naming the first thing in the way.
 *
 * Pure: what is on the disk is asked through a function. Access lists are not seen: a caller who can should try for real
 * before it believes an obstacle.
 */
import { dirname } from 'node:path'

/** The user in question. */
export interface Identity {
  readonly user: string
  readonly uid: number
  readonly gid: number
}

/** Owner and permission bits of a path, or `null` where there is nothing. */
export type Modes = { readonly uid: number; readonly gid: number; readonly mode: number } | null

/** What must be possible: `search` is for folders. */
export type Access = 'read' | 'write' | 'execute' | 'search'

/** The first path at which access ends. */
export interface Obstacle {
  readonly path: string
  readonly missing: Access | 'presence'
}

/** Walks from `/` down to `path`, which must be absolute and normal, and gives the first obstacle. */
export function findObstacle(
  path: string,
  wanted: readonly Access[],
  who: Identity,
  modesOf: (path: string) => Modes,
): Obstacle | null {
  for (const folder of parentsOf(path)) {
    const obstacle = check(folder, 'search', who, modesOf(folder))
    if (obstacle !== null) return obstacle
  }
  const modes = modesOf(path)
  for (const access of wanted) {
    const obstacle = check(path, access, who, modes)
    if (obstacle !== null) return obstacle
  }
  return null
}

/** Says what is in the way and what to do about it. */
export function explainObstacle(what: string, path: string, obstacle: Obstacle, user: string): string {
  const told = describeObstacle(what, path, obstacle, user)
  const cure = obstacleCure(obstacle)
  if (cure === null) return told
  return `${told}.\n  Cure: ${cure}, or install it where every user can read it (not below a home folder)`
}

/** Says what is in the way, without a full stop. */
export function describeObstacle(what: string, path: string, obstacle: Obstacle, user: string): string {
  if (obstacle.missing === 'presence') return `${what} ${path}: there is no ${obstacle.path}`
  const kind = obstacle.path === path ? obstacle.path : `its parent folder ${obstacle.path}`
  const verb = { read: 'read', write: 'write', execute: 'execute', search: 'enter' }[obstacle.missing]
  return `the user ${user}, who runs the filters, cannot use ${what} ${path}: it may not ${verb} ${kind}`
}

/** The command that lets every user pass the obstacle; `null` where no such command exists, or should. */
export function obstacleCure({ path, missing }: Obstacle): string | null {
  if (missing === 'presence' || missing === 'write') return null
  return `chmod o+${missing === 'read' ? 'r' : 'x'} ${path}`
}

function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let folder = dirname(path); folder !== parents[0]; folder = dirname(folder)) parents.unshift(folder)
  return parents
}

function check(path: string, access: Access, who: Identity, modes: Modes): Obstacle | null {
  if (modes === null) return { path, missing: 'presence' }
  const bit = access === 'read' ? 4 : access === 'write' ? 2 : 1
  const shift = modes.uid === who.uid ? 6 : modes.gid === who.gid ? 3 : 0
  return ((modes.mode >> shift) & bit) !== 0 ? null : { path, missing: access }
}
