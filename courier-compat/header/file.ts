/**
 * Reads the header section of a data file, and nothing of its body: a message of 50 MB costs what one of 1 KB costs.
 *
 * Synchronous, like everything that touches the small files of the spool (docs/adr/0005): most sections are in the first
 * piece, which the page cache still has.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { findHeaderEnd, headerLimits, parseHeaderSection } from './section.ts'
import type { HeaderLimits, HeaderSection } from './section.ts'
import { identityOf, type FileIdentity } from '../kept-original.ts'

/** Holds nearly every real section; the next pieces double. */
const firstOctets = 8192

/** The first piece of every message: memory of this size is dear to get and dear to give back. */
const scratch = Buffer.allocUnsafeSlow(firstOctets)

// A symbolic link could lead out of the spool; a FIFO would block the thread for ever, hence O_NONBLOCK.
const guarded = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * The header section of the message in this file, as it is at this moment.
 *
 * Shape:  never reads beyond the section by more than a piece, nor beyond `limits.sectionOctets`: a longer section has
 *         `overLimit` set, and the lines that are within.
 * Errors: the system's, with its code and the path; Error for what is no regular file.
 */
export function readHeaderFile(bodyPath: string, limits: HeaderLimits = headerLimits): HeaderSection {
  return readHeaderAndIdentity(bodyPath, limits).section
}

/** As `readHeaderFile`, with the identity of the file that was read. */
export function readHeaderAndIdentity(
  bodyPath: string,
  limits: HeaderLimits = headerLimits,
): { readonly section: HeaderSection; readonly identity: FileIdentity } {
  const fd = openMessage(bodyPath)
  try {
    const stats = fstatSync(fd)
    return { section: readHeaderFrom(fd, stats, bodyPath, limits), identity: identityOf(stats) }
  } finally {
    closeSync(fd)
  }
}

/** Opens a data file for reading, and neither a link nor, for ever, a FIFO. Errors: the system's. */
export function openMessage(bodyPath: string): number {
  return openSync(bodyPath, guarded)
}

/** As `readHeaderFile`, of a file that is open; `path` is for errors. */
export function readHeaderOf(fd: number, path: string, limits: HeaderLimits = headerLimits): HeaderSection {
  return readHeaderFrom(fd, fstatSync(fd), path, limits)
}

function readHeaderFrom(fd: number, stats: Stats, path: string, limits: HeaderLimits): HeaderSection {
  if (!stats.isFile()) throw new Error(`message ${path} is not a regular file`)
  // The empty line of a section of exactly the limit lies beyond it, and so does the octet that shows it is too long.
  const most = limits.sectionOctets + 2
  let bytes = scratch.subarray(0, Math.min(firstOctets, most))
  let length = 0
  for (;;) {
    const count = readSync(fd, bytes, length, bytes.length - length, length)
    const seen = length
    length += count
    const read = bytes.subarray(0, length)
    const end = findHeaderEnd(read, seen)
    const isWhole = end !== null || count === 0 || length === most
    // Out of the piece that the next message is read into.
    if (isWhole) return parseHeaderSection(Buffer.from(end === null ? read : read.subarray(0, end.bodyStart)), limits)
    if (length === bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(bytes.length * 2, most))
      bytes.copy(larger, 0, 0, length)
      bytes = larger
    }
  }
}
