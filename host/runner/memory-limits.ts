/** How much memory a runner may use, where the settings leave that open. Pure; all sizes are octets. */

const mebi = 1024 * 1024

/** What a process and one of its threads take before there is a message, with room for filters of the usual size. */
const base = { process: 64 * mebi, thread: 48 * mebi } as const

/** Beyond the heaps: Buffers, what filters start, and what is used while it is given back. */
const beside = { process: 256 * mebi, thread: 64 * mebi } as const

/** What settings say; `null` is open. */
export interface MemorySettings {
  readonly threads: number
  readonly maxHeap: number
  readonly maxMemory: number | null
  readonly recycleMemory: number | null
}

/**
 * `maxOctets` ends a runner, `recycleOctets` replaces it in peace, and is always below.
 * Shape: by default a runner is ended when it uses more than all its heaps and a good deal beside them, and replaced when
 *        three quarters of one heap are used, since a leak in one thread would otherwise come to the end of its heap first.
 */
export function memoryLimits(
  { threads, maxHeap, maxMemory, recycleMemory }: MemorySettings,
  machineOctets: number,
): { readonly maxOctets: number; readonly recycleOctets: number } {
  const wanted = beside.process + threads * (maxHeap + beside.thread)
  const maxOctets = Math.floor(maxMemory ?? Math.max(256 * mebi, Math.min(wanted, machineOctets * 0.75)))
  const usual = base.process + threads * base.thread + maxHeap * 0.75
  return { maxOctets, recycleOctets: Math.floor(Math.min(recycleMemory ?? usual, maxOctets * 0.9)) }
}
