/** The start-up contract of a courierfilter: what its descriptors 0 and 3 mean. Source: spec courier 1.2, 1.3, 1.9. */
import { closeSync, fstatSync } from 'node:fs'

/** True if a descriptor is a pipe that was handed to us; anything else there is our own or none. */
function isPipe(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFIFO()
  } catch {
    return false
  }
}

/**
 * Tells Courier that the filter is ready: it waits until every copy of descriptor 3 is closed.
 * Where nothing was handed down, descriptor 3 is Node's own event queue, whose closing would end the process.
 */
export function signalReady(): void {
  if (isPipe(3)) closeSync(3)
}

/** Calls `stop` when standard input ends, which is how Courier stops a filter. Only a pipe says so by its end. */
export function onStandardInputEnd(stop: () => void): void {
  if (!isPipe(0)) return
  process.stdin.on('end', stop)
  process.stdin.on('error', stop)
  // Nothing is ever written there; what is, is not for us.
  process.stdin.resume()
}
