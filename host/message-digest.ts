/**
 * Recognises a message by its content when the mail server brings it again: under another queue id, in other files, and
 * with other fields at its top.
 *
 * Only the ends of the data file are read, so that a message of any size costs the host the same few hundred
 * microseconds; it is done for messages that were lost, and for those that come from a sender of one (poison.ts).
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import type { Files } from './platform/files.ts'

/**
 * How much of the data file is read: `head` to find the fields, of which `fields` count; the body's beginning and its end.
 * Octets.
 */
export const digestLimits = { head: 128 * 1024, fields: 64 * 1024, bodyStart: 64 * 1024, bodyEnd: 64 * 1024 } as const

/**
 * Fields that another attempt to deliver the same message may bring anew or change: traces of the way, results of checks
 * on the way, and signatures made at each attempt. All others stay what they are, and tell messages apart.
 */
const changing =
  /^(received|return-path|delivered-to|authentication-results|received-spf|dkim-signature|domainkey-signature|arc-[a-z-]*|x-(received|original-to|envelope-[a-z-]*|spam[a-z-]*|virus[a-z-]*|google-[a-z-]*|queue-?id|courier[a-z-]*))[ \t]*:/i

export { changing as changesOnTheWay }

/** Reads a part of the data file; what lies beyond its end is left out. */
export type ReadPart = (position: number, length: number) => Buffer

/** A word that is the same for the same message. Pure but for `read`. */
export function digestOf(sender: string, octets: number, read: ReadPart): string {
  const hash = createHash('sha256')
  const add = (value: Uint8Array | string): void => {
    hash.update(`${typeof value === 'string' ? Buffer.byteLength(value) : value.length}:`)
    hash.update(value)
  }
  add(sender)
  const bodyAt = digestFields(read(0, digestLimits.head), add)
  // Without the end of a header section there is no body to measure: what may change would be measured with it.
  add(bodyAt === null ? '' : String(octets - bodyAt))
  if (bodyAt !== null) add(read(bodyAt, digestLimits.bodyStart))
  add(read(Math.max(bodyAt ?? 0, octets - digestLimits.bodyEnd), digestLimits.bodyEnd))
  return hash.digest('base64url')
}

/** Digests the fields that stay. Returns where the body begins, or `null` if that is too far away. */
function digestFields(head: Buffer, add: (value: Uint8Array) => void): number | null {
  let at = 0
  let room: number = digestLimits.fields
  let isLeftOut = false
  while (at < head.length && room > 0) {
    const newline = head.indexOf(10, at)
    const end = newline === -1 ? head.length : newline + 1
    const first = head[at]
    if (first === 10 || (first === 13 && newline === at + 1)) return end
    // A line that begins with a blank goes on with the field above it.
    if (first !== 32 && first !== 9) isLeftOut = changing.test(head.toString('latin1', at, Math.min(end, at + 100)))
    if (!isLeftOut) {
      add(head.subarray(at, Math.min(end, at + room)))
      room -= end - at
    }
    at = end
  }
  return null
}

/**
 * Makes the digest of a message.
 * Errors: those of the file system; Error for what is no regular file any more.
 */
export function digestMessage(bodyPath: string, sender: string, files: Files): string {
  const descriptor = files.openSync(bodyPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = files.fstatSync(descriptor)
    if (!stats.isFile()) throw new Error(`${bodyPath} is not a regular file`)
    return digestOf(sender, stats.size, (position, length) => {
      const content = Buffer.allocUnsafe(Math.max(0, Math.min(length, stats.size - position)))
      let filled = 0
      while (filled < content.length) {
        const count = files.readSync(descriptor, content, filled, content.length - filled, position + filled)
        if (count === 0) break
        filled += count
      }
      return content.subarray(0, filled)
    })
  } finally {
    files.closeSync(descriptor)
  }
}
