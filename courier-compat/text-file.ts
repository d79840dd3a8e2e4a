/** Reads a text file of configuration whole, without trusting what the path leads to. */
import { isUtf8 } from 'node:buffer'
import { constants, closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * The text of a regular file.
 *
 * Shape:  UTF-8; a byte-order mark at the beginning is not part of the text.
 * Errors: as `node:fs`; and one without `code` for what is no regular file, is longer than `maxOctets`, or is not UTF-8,
 *         which names the line.
 */
export function readTextFile(path: string, maxOctets: number): string {
  // O_NONBLOCK: opening a FIFO would else wait for its writer, and with it the whole process.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error('it is no regular file')
    const octets = Buffer.alloc(maxOctets + 1)
    let length = 0
    while (length < octets.length) {
      const read = readSync(descriptor, octets, length, octets.length - length, null)
      if (read === 0) break
      length += read
    }
    if (length > maxOctets) throw new Error(`it is longer than ${maxOctets} octets`)
    return decoded(octets.subarray(0, length))
  } finally {
    closeSync(descriptor)
  }
}

function decoded(octets: Buffer): string {
  if (isUtf8(octets)) return new TextDecoder().decode(octets)
  for (let line = 1, at = 0; ; line++) {
    const end = octets.indexOf(0x0a, at)
    if (end < 0 || !isUtf8(octets.subarray(at, end))) throw new Error(`it is not UTF-8 in line ${line}`)
    at = end + 1
  }
}

/** The system's code of an error, `ENOENT` for instance, or `null`. */
export function codeOf(error: unknown): string | null {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' ? code : null
}
