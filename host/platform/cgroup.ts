/**
 * A control group for each runner, where the machine permits it: the kernel then holds the limit of memory exactly, and
 * ends all that a runner's filters started, however they hide.
 *
 * As root under version 1 this works at once. Under version 2 a group can limit the memory of those below it only while no
 * process is in it: so where the host has a group for itself (a service with `Delegate=yes`), it moves into one of its own
 * below. Everywhere else nothing is done and nothing is missing: the host's own watch holds the limit (runner.ts).
 * Source: kernel.org, admin-guide/cgroup-v2 and cgroup-v1/memory.
 */
import fs from 'node:fs'
import { findOwnGroups, groupMembers, keyedNumber } from './cgroup-paths.ts'
import type { Clock } from './clock.ts'

/** What may be done here. */
export interface Cgroups {
  /** Whether a group can limit its memory, and whether the kernel ends all processes of a group at one word. */
  readonly limitsMemory: boolean
  readonly killsAll: boolean
  /** A new group, or `null` where it cannot be made after all. */
  create(name: string, maxMemoryOctets: number): Cgroup | null
}

/** One group; its files may be in two hierarchies. */
export interface Cgroup {
  /** Moves a process there with all its threads. False if that failed; it then is where it was. */
  add(pid: number): boolean
  /** Ends every process in it. */
  kill(): void
  /** How many processes the kernel ended for want of memory. */
  outOfMemory(): number
  /** Ends what is left and removes the group, trying again for a while. Never rejects. */
  remove(): Promise<void>
}

/** Group names begin so; then comes the place, then the runner. */
const prefix = 'nodefilter-'

/** The host's own group, where it had to move. */
const ownName = 'nodefilter-host'

/** A group whose last process has just ended is busy for a moment. */
const removal: { readonly tries: number; readonly againMs: number } = { tries: 50, againMs: 20 }

/**
 * Looks what may be done, and ends and removes the groups that an earlier host left at the same place. `place` is a word
 * that no other living host uses. `null` where groups cannot be made.
 */
export function openCgroups(place: string, clock: Clock): Cgroups | null {
  const own = findOwnGroups(read('/proc/self/cgroup'), read('/proc/self/mountinfo'))
  // The own group may be one that an earlier life of this process image moved to.
  const top = own.unified?.endsWith(`/${ownName}`) === true ? own.unified.slice(0, -ownName.length - 1) : own.unified
  const parents = [top, own.memory].filter((folder) => folder !== null)
  const stem = `${prefix}${place}-`
  for (const parent of parents) {
    for (const name of list(parent)) {
      if (name.startsWith(stem)) void openGroup([`${parent}/${name}`], clock).remove()
      // Other hosts' groups too, but the kernel removes only those with nobody in them.
      else if (name.startsWith(prefix) && name !== ownName) removeFolder(`${parent}/${name}`)
    }
  }
  if (top !== null) shareMemory(top)
  const trial = parents.flatMap((parent) => makeFolder(`${parent}/${stem}trial`))
  const can = (file: string): boolean => trial.some((folder) => fs.existsSync(`${folder}/${file}`))
  const abilities = {
    limitsMemory: can('memory.max') || can('memory.limit_in_bytes'),
    killsAll: can('cgroup.kill'),
  }
  for (const folder of trial) removeFolder(folder)
  if (!abilities.limitsMemory && !abilities.killsAll) return null
  return {
    ...abilities,
    create: (name, maxMemoryOctets) => {
      const folders = parents.flatMap((parent) => makeFolder(`${parent}/${stem}${name}`))
      for (const folder of folders) limitMemory(folder, maxMemoryOctets)
      return folders.length === 0 ? null : openGroup(folders, clock)
    },
  }
}

function openGroup(folders: readonly string[], clock: Clock): Cgroup {
  const kill = (): void => {
    for (const folder of folders) {
      if (write(`${folder}/cgroup.kill`, '1')) continue
      for (const pid of groupMembers(read(`${folder}/cgroup.procs`))) killProcess(pid)
    }
  }
  return {
    add: (pid) => folders.map((folder) => write(`${folder}/cgroup.procs`, String(pid))).some(Boolean),
    kill,
    outOfMemory: () =>
      folders.reduce(
        (sum, folder) =>
          sum +
          keyedNumber(read(`${folder}/memory.events`), 'oom_kill') +
          keyedNumber(read(`${folder}/memory.oom_control`), 'oom_kill'),
        0,
      ),
    remove: async () => {
      for (let tried = 0; tried < removal.tries; tried++) {
        kill()
        if (folders.map(removeFolder).every(Boolean)) return
        await new Promise<void>((resolve) => void clock.after(removal.againMs, resolve))
      }
    },
  }
}

/** Version 2: memory is limited below a group only if the group says so, and holds no process itself. */
function shareMemory(top: string): void {
  const shares = (): boolean => read(`${top}/cgroup.subtree_control`).split(/\s/).includes('memory')
  if (shares() || !read(`${top}/cgroup.controllers`).split(/\s/).includes('memory')) return
  if (write(`${top}/cgroup.subtree_control`, '+memory')) return
  const members = groupMembers(read(`${top}/cgroup.procs`))
  if (members.length !== 1 || members[0] !== process.pid) return
  const [home] = makeFolder(`${top}/${ownName}`)
  if (home === undefined || !write(`${home}/cgroup.procs`, String(process.pid))) return
  if (write(`${top}/cgroup.subtree_control`, '+memory')) return
  write(`${top}/cgroup.procs`, String(process.pid))
  removeFolder(home)
}

/** The limit, and none of it in the swap space. Only one of the two kinds of files is there. */
function limitMemory(folder: string, octets: number): void {
  const value = String(octets)
  if (fs.existsSync(`${folder}/memory.max`)) {
    write(`${folder}/memory.max`, value)
    write(`${folder}/memory.swap.max`, '0')
  } else if (fs.existsSync(`${folder}/memory.limit_in_bytes`)) {
    write(`${folder}/memory.limit_in_bytes`, value)
    write(`${folder}/memory.memsw.limit_in_bytes`, value)
  }
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** No file is made: a group's folder holds what the kernel put there. */
function write(path: string, value: string): boolean {
  let descriptor: number | null = null
  try {
    descriptor = fs.openSync(path, fs.constants.O_WRONLY)
    fs.writeSync(descriptor, value)
    return true
  } catch {
    return false
  } finally {
    if (descriptor !== null) fs.closeSync(descriptor)
  }
}

function list(path: string): string[] {
  try {
    return fs.readdirSync(path)
  } catch {
    return []
  }
}

/** The folder's path in a list, empty where it cannot be made. */
function makeFolder(path: string): string[] {
  try {
    fs.mkdirSync(path)
    return [path]
  } catch {
    return fs.existsSync(path) ? [path] : []
  }
}

/** True once it is not there. */
function removeFolder(path: string): boolean {
  try {
    fs.rmdirSync(path)
    return true
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
