/**
 * Opens control files: reads one whole, appends to one in a single write. Nothing else is ever done to them: Courier
 * names a message after its control file's inode, and its owner may be another user than ours.
 *
 * Source: spec courier 4.1 (owner, mode), 4.9 (why not by rename, why the final LF), 4.10.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'

/** A hundred recipients take 5 kB; nothing that Courier writes comes near this. */
export const maxControlOctets = 16 * 1024 * 1024

// A symbolic link could lead out of the spool; a FIFO would block the thread for ever, hence O_NONBLOCK.
const guarded = constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * The bytes of one control file.
 * Errors: the system's, with its code and the path; Error for what is no regular file or is over `maxControlOctets`.
 */
export function readControlFile(path: string): Buffer {
  return withFile(path, constants.O_RDONLY, (fd) => contentOf(fd, path))
}

/**
 * Appends to a control file what `make` answers to its present content, in one write; `null` appends nothing.
 * Errors: as `readControlFile`, and Error where the disk took only a part.
 */
export function appendToControlFile(path: string, make: (content: Buffer) => Buffer | null): void {
  withFile(path, constants.O_RDWR | constants.O_APPEND, (fd) => {
    const bytes = make(contentOf(fd, path))
    if (bytes === null) return
    const written = writeSync(fd, bytes)
    // Not mended here: the caller's failure refuses the message, or the host cuts the file back to its noted size.
    if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} octets went into ${path}`)
  })
}

function withFile<Result>(path: string, flags: number, use: (fd: number) => Result): Result {
  const fd = openSync(path, flags | guarded)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

function contentOf(fd: number, path: string): Buffer {
  const stat = fstatSync(fd)
  if (!stat.isFile()) throw new Error(`control file ${path} is not a regular file`)
  // What is appended here would go into a file of another name.
  if (stat.nlink !== 1) throw new Error(`control file ${path} has ${stat.nlink} names`)
  if (stat.size > maxControlOctets) {
    throw new Error(`control file ${path} has ${stat.size} octets, more than the limit of ${maxControlOctets}`)
  }
  return readOctets(fd, stat.size)
}

/** The first octets of a file that is open, as many as it has up to `octets`. Errors: the system's. */
export function readOctets(fd: number, octets: number): Buffer {
  const content = Buffer.alloc(octets)
  let length = 0
  while (length < content.length) {
    const count = readSync(fd, content, length, content.length - length, length)
    if (count === 0) break
    length += count
  }
  return content.subarray(0, length)
}
