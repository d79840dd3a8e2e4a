/**
 * Recognises a message that the mail server delivers once more: what is added to queues is then added once.
 *
 * All of it is read, in pieces; the fields that every attempt to deliver brings anew are left out.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { changesOnTheWay } from '../message-digest.ts'

/** Fields of which one at least tells a message from another with the same text. */
const telling = /^(message-id|date)[ \t]*:/i

/** Beginnings of lines are looked at as far as a field's name may go. */
const nameOctets = 128

/**
 * A word that is the same for the same message; `null` for one that has neither Message-ID nor Date: nothing tells it from
 * another one with the same text, and none must be lost. Errors: those of the stream.
 */
export async function identityOf(content: AsyncIterable<Uint8Array> | Uint8Array): Promise<string | null> {
  const hash = createHash('sha256')
  const fields = createFields(hash)
  if (content instanceof Uint8Array) fields.take(content)
  else for await (const piece of content) fields.take(piece)
  return fields.isTold() ? hash.digest('base64url') : null
}

/**
 * Opens a message's file for reading, without waiting: what is no regular file is refused. The octets themselves of a file of
 * up to `wholeOctets`, for which a stream would cost more than all else.
 * Errors: those of the file system; Error for what is no regular file.
 */
export function openMessage(path: string, wholeOctets: number): Readable | Uint8Array {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let isHandedOn = false
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error(`${path} is not a regular file`)
    if (stats.size <= wholeOctets) return readFileSync(descriptor)
    isHandedOn = true
    return createReadStream(path, { fd: descriptor, highWaterMark: 256 * 1024 })
  } finally {
    if (!isHandedOn) closeSync(descriptor)
  }
}

interface Fields {
  take(piece: Uint8Array): void
  isTold(): boolean
}

/** Feeds the hash with the fields that stay, and with all of the body. */
function createFields(hash: Hash): Fields {
  /** The beginning of a line of which not enough has come to know its name. */
  let begin = Buffer.alloc(0)
  let isBody = false
  let isInLine = false
  let isLeftOut = false
  let isTold = false

  /** Whether the line that begins so ends the fields. */
  const judge = (line: Buffer): boolean => {
    const first = line[0]
    if (first === 10 || (first === 13 && line[1] === 10)) return true
    // A line that begins with a blank goes on with the field above it.
    if (first === 32 || first === 9) return false
    const name = line.toString('latin1')
    isLeftOut = changesOnTheWay.test(name)
    if (telling.test(name)) isTold = true
    return false
  }

  /** What follows the fields, if they end in this piece. */
  const takeFields = (piece: Buffer): Buffer | null => {
    let at = 0
    while (at < piece.length) {
      if (!isInLine) {
        const newline = piece.indexOf(10, at)
        const end = newline === -1 ? piece.length : newline + 1
        if (newline === -1 && end - at < nameOctets) {
          begin = Buffer.from(piece.subarray(at))
          return null
        }
        if (judge(piece.subarray(at, Math.min(end, at + nameOctets)))) return piece.subarray(at)
        isInLine = true
      }
      const newline = piece.indexOf(10, at)
      const end = newline === -1 ? piece.length : newline + 1
      if (!isLeftOut) hash.update(piece.subarray(at, end))
      at = end
      if (newline !== -1) isInLine = false
    }
    return null
  }

  return {
    take: (piece) => {
      const octets = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
      if (isBody) {
        hash.update(octets)
        return
      }
      const whole = begin.length === 0 ? octets : Buffer.concat([begin, octets])
      begin = Buffer.alloc(0)
      const rest = takeFields(whole)
      isBody = rest !== null
      if (rest !== null) hash.update(rest)
    },
    isTold: () => {
      if (begin.length > 0) hash.update(begin)
      begin = Buffer.alloc(0)
      return isTold
    },
  }
}
