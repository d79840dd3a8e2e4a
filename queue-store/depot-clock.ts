/**
 * The depot's clock: that of the machine since it was started, which nobody sets, so that a wrong or corrected wall clock ends no
 * lease early and no delay never. At the first opening after a start it is set to the wall clock, but never back.
 *
 * All processes of the machine read the same. While the machine sleeps it stands, and leases with it.
 */
import { readFileSync } from 'node:fs'
import type { HeadRecord } from './tables.ts'

/** Which start of the machine this is; `null` where the system does not tell. */
export function bootId(path = '/proc/sys/kernel/random/boot_id'): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null
  } catch {
    return null
  }
}

/** Time since the machine was started, in ms. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Sets the clock in a depot's head, where it belongs to another start of the machine. */
export function setClock(head: HeadRecord, boot: string | null, wallMs: number, sinceStartMs: number): void {
  if (boot !== null && head.boot === boot) return
  head.boot = boot
  head.lastMs = Math.max(wallMs, head.lastMs)
  head.offsetMs = head.lastMs - sinceStartMs
}

/** The clock of a head that was set. Without a known start it is the wall clock: then nothing else is common to all processes. */
export function clockOf(head: Pick<HeadRecord, 'boot' | 'offsetMs'>): () => number {
  if (head.boot === null) return () => Date.now()
  const { offsetMs } = head
  return () => Math.floor(machineMs() + offsetMs)
}
