/** How processes are started, handed in so that tests can put another program in a runner's place. */
import { spawn, type ChildProcess } from 'node:child_process'

/** A runner's process: its pid, its end, and the pipe that carries the control frames (descriptor 3 in the child). */
export type Spawner = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) => ChildProcess

/**
 * Starts a process in a group of its own, so that it can be killed with all its children, with nothing on standard
 * input, both outputs piped to us, and a two-way control pipe as descriptor 3. No other descriptor is inherited.
 */
export const systemSpawner: Spawner = (program, args, env) =>
  spawn(program, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
