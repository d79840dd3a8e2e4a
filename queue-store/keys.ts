/**
 * Keys of the depot's tables: numbers and digests of fixed length, one after the other, so that the order of octets is the order
 * meant.
 *
 * Shape:  numbers are unsigned, most significant octet first; a queue takes 4 octets, an id, a position or a time in ms 8.
 * Pure.
 */
import { hash } from 'node:crypto'

/** The largest number in a key: what a double holds exactly. At a million a second it lasts for 285 years. */
export const maxNumber = Number.MAX_SAFE_INTEGER

/** A number in 8 octets. */
export function numberKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(8)
  writeNumber(key, number, 0)
  return key
}

/** The number at a place of a key. */
export function numberIn(key: Buffer, at = 0): number {
  return key.readUInt32BE(at) * 2 ** 32 + key.readUInt32BE(at + 4)
}

/** The number of a queue, in 4 octets. */
export function queueKey(queue: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(queue)
  return key
}

/** A queue, and numbers in it. */
export function inQueue(queue: number, ...numbers: readonly number[]): Buffer {
  const key = Buffer.allocUnsafe(4 + 8 * numbers.length)
  key.writeUInt32BE(queue)
  for (const [index, number] of numbers.entries()) writeNumber(key, number, 4 + 8 * index)
  return key
}

/** A queue and a digest in it, and a number after it. */
export function inQueueBy(queue: number, digest: Buffer, ...numbers: readonly number[]): Buffer {
  return Buffer.concat([queueKey(queue), digest, ...numbers.map(numberKey)])
}

/** All keys that begin with this one: from it, up to before the next that does not. */
export function startingWith(prefix: Buffer): { readonly from: Buffer; readonly before: Buffer } {
  const before = Buffer.from(prefix)
  for (let at = before.length - 1; at >= 0; at--) {
    const octet = before[at] ?? 0
    if (octet < 0xff) {
      before[at] = octet + 1
      return { from: prefix, before: before.subarray(0, at + 1) }
    }
  }
  return { from: prefix, before: Buffer.alloc(prefix.length + 1, 0xff) }
}

/** What stands for a text of any length in a key: equal for equal texts, and never by accident for others. */
export function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

/** The number that an id given from outside names; `null` where it is no id. */
export function idNumber(id: string): number | null {
  if (!/^[1-9][0-9]{0,15}$/.test(id)) return null
  const number = Number(id)
  return Number.isSafeInteger(number) ? number : null
}

function writeNumber(key: Buffer, number: number, at: number): void {
  const whole = Math.min(maxNumber, Math.max(0, Math.floor(number)))
  key.writeUInt32BE(Math.floor(whole / 2 ** 32), at)
  key.writeUInt32BE(whole % 2 ** 32, at + 4)
}
