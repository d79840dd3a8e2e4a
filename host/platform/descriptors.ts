/**
 * How many connections fit into the descriptors that a process may have. Where they are used up, Node takes connections
 * and closes them without a word to anybody, files cannot be opened and no runner can be started; so they never are.
 * Source: spec reliability 4, "Sockets and descriptors".
 */
import type { Files } from './files.ts'

/** Kept for what is no connection of a door. Units: descriptors. */
export const descriptorReserve = {
  /**
   * Event loop, log, lock and sockets of the host (40), connections to its control socket and its metrics (32), the pipes
   * of four runners and of one that is being started (24).
   */
  host: 96,
  /** For each thread: its line, and that of the thread which takes its place in a reload. */
  perThread: 2,
} as const

/** Fewer would be no service; a process that has no room even for these has none for its own work. */
const fewest = 8

/** The most descriptors that this process may have open at once; `null` where the system does not tell, or sets no limit. */
export function descriptorLimit(files: Files): number | null {
  try {
    const soft = /^Max open files +([0-9]+) /m.exec(files.readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === undefined ? null : Number(soft)
  } catch {
    return null
  }
}

/** Of the connections that are `wanted`, how many leave enough descriptors for everything else. Pure. */
export function connectionsWithin(limit: number | null, wanted: number, threads: number): number {
  if (limit === null) return wanted
  const room = limit - descriptorReserve.host - descriptorReserve.perThread * threads
  return Math.min(wanted, Math.max(fewest, room))
}
