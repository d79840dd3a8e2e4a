/**
 * How often somebody writes, as the queue library's old methods count it. Pure.
 *
 * Shape: times are milliseconds since the epoch, 6 octets each, in the order in which they were recorded.
 * Source: spec postoffice 7.
 */

/** So many are remembered of one sender: the limit of a value, and far more than decide about anybody. */
export const rememberedTimes = 128

const timeOctets = 6
const minuteMs = 60_000

/** The recorded times. */
export function readTimes(octets: Uint8Array): number[] {
  const view = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
  return Array.from({ length: Math.floor(view.length / timeOctets) }, (_, at) =>
    view.readUIntBE(at * timeOctets, timeOctets),
  )
}

/** The times with one more, the oldest record forgotten where there are too many. */
export function withTime(octets: Uint8Array | null, atMs: number): Buffer {
  const last = Buffer.allocUnsafe(timeOctets)
  last.writeUIntBE(atMs, 0, timeOctets)
  return Buffer.concat([octets ?? Buffer.alloc(0), last]).subarray(-rememberedTimes * timeOctets)
}

/** Messages a minute since the last one: 0 without one, infinite for the same instant, negative for one that came later. */
export function instantaneousFrequency(times: readonly number[], nowMs: number): number {
  const last = times.at(-1)
  return last === undefined ? 0 : minuteMs / (nowMs - last)
}

/** Messages a minute in the interval before now, its begin included, now not. */
export function averageFrequency(times: readonly number[], nowMs: number, intervalMs: number): number {
  const count = times.filter((timeMs) => timeMs >= nowMs - intervalMs && timeMs < nowMs).length
  return (count * minuteMs) / intervalMs
}
