/**
 * The memory that a worker thread shares with its runner: where the thread is, readable while the thread is blocked.
 *
 * Each thread has four 32-bit words. `beat` grows with every turn of the thread's event loop; `job` and `filter` say
 * whose code is being called this instant (0: nobody's, the thread is between calls or waits); `thread` is its id.
 */

const words = 4
const beat = 0
const job = 1
const filter = 2
const thread = 3

/** What the runner reads of one thread. `job` is 0 while no filter's synchronous code runs. */
export interface Pulse {
  readonly beat: number
  readonly job: number
  readonly filter: number
  readonly threadId: number
}

/** Memory for `threads` threads. */
export function createPulses(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * words * Int32Array.BYTES_PER_ELEMENT)
}

/** The thread's side: it alone writes its words. */
export interface PulseWriter {
  beat(): void
  /** `jobNumber` is the message's small number, never 0; `index` the filter's place in the list. */
  enter(jobNumber: number, index: number): void
  leave(): void
}

/** Opens the words of one slot for writing and announces the thread's id there. */
export function openPulse(memory: SharedArrayBuffer, slot: number, threadId: number): PulseWriter {
  const view = new Int32Array(memory)
  const at = slot * words
  Atomics.store(view, at + job, 0)
  Atomics.store(view, at + thread, threadId)
  return {
    beat: () => {
      Atomics.add(view, at + beat, 1)
    },
    enter: (jobNumber, index) => {
      Atomics.store(view, at + filter, index)
      Atomics.store(view, at + job, jobNumber)
    },
    leave: () => {
      Atomics.store(view, at + job, 0)
    },
  }
}

/** Reads the words of one slot. */
export function readPulse(memory: SharedArrayBuffer, slot: number): Pulse {
  const view = new Int32Array(memory)
  const at = slot * words
  return {
    beat: Atomics.load(view, at + beat),
    job: Atomics.load(view, at + job),
    filter: Atomics.load(view, at + filter),
    threadId: Atomics.load(view, at + thread),
  }
}

/** How often a thread shows that its event loop turns. */
export const beatIntervalMs = 50

/** Forgets the thread of a slot, so that its old id is never taken for the next thread's. */
export function clearPulse(memory: SharedArrayBuffer, slot: number): void {
  const view = new Int32Array(memory)
  for (let word = 0; word < words; word++) Atomics.store(view, slot * words + word, 0)
}
