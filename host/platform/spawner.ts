/** How processes are started, handed in so that tests can put another program in a runner's place. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'

/** A runner's process: its pid, its end, and the pipe that carries the control frames (descriptor 3 in the child). */
export type Spawner = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) => ChildProcess

/**
 * Starts a process in a group of its own, so that it can be killed with all its children, with nothing on standard
 * input, both outputs piped to us, and a two-way control pipe as descriptor 3. No other descriptor is inherited.
 */
export const systemSpawner: Spawner = (program, args, env) => {
  const open = inheritedDescriptors()
  const nowhere = open.length === 0 ? 'ignore' : openSync('/dev/null', 'r')
  try {
    // Where an 'ignore' stands the child keeps what it inherits.
    const others = Array.from({ length: Math.max(3, ...open) - 3 }, (_, index) =>
      open.includes(index + 4) ? nowhere : 'ignore',
    )
    return spawn(program, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...others] })
  } finally {
    if (nowhere !== 'ignore') closeSync(nowhere)
  }
}

const closeOnExec = 0o2000000

/**
 * Descriptors beyond 3 that a child would have: Node opens none like that, but LMDB so opens the file of the store, for writing.
 * None where the system does not tell.
 */
function inheritedDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd')
      .map(Number)
      .filter((descriptor) => descriptor > 3 && isInherited(descriptor))
  } catch {
    return []
  }
}

function isInherited(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0
  } catch {
    // That of the list itself is gone by now.
    return false
  }
}
