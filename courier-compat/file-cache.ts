/**
 * Files that are read again when they change: each use asks the file system whether the file is still the one that was
 * read, so that an administrator's change acts at once, and an unchanged file costs one `stat`.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type BigIntStats } from 'node:fs'

/** What a cache may hold. Units: octets of the files, not of what was made of them. */
export interface FileCacheLimits {
  /** A larger file is an error. */
  readonly fileOctets: number
  /** The files used longest ago leave the cache beyond this, and beyond `files`. */
  readonly totalOctets: number
  readonly files: number
  /** A path that was looked at this short a time ago is not looked at again; 0 where it is not said. */
  readonly trustMs?: number
}

/** Reads files through a cache. */
export interface FileCache<Value> {
  /**
   * What `parse` made of the file; `null` if there is no such file.
   * Errors: the system's, with its code and the path; Error for what is no regular file or too large, and for what
   *         `parse` threw, with the path in front and that as its cause.
   */
  read(path: string): Value | null
}

interface Cached<Value> {
  /** When the file system was last asked, on the monotonic clock. */
  lookedMs: number
  /** `null`: there is no such file. */
  readonly stamp: string | null
  /** False where the file changed so shortly before it was read that a further change could have the same stamp. */
  readonly settled: boolean
  readonly octets: number
  readonly result: { readonly value: Value | null } | { readonly error: unknown }
}

/** File systems stamp times in steps: of a few ms on a local disk, of up to two seconds on foreign ones. */
const stampStepMs = 2000

// A FIFO would block the thread for ever, hence O_NONBLOCK. Links are followed: this is an administrator's folder.
const readOnly = constants.O_RDONLY | constants.O_NONBLOCK

/** Makes a cache whose values `parse` makes; a failure of it is remembered like a value. */
export function openFileCache<Value>(
  parse: (bytes: Buffer) => Value,
  limits: FileCacheLimits,
  nowMs: () => number = Date.now,
): FileCache<Value> {
  // In the order of their use, the oldest first.
  const cache = new Map<string, Cached<Value>>()

  const { trustMs = 0 } = limits

  const load = (path: string): Cached<Value> => {
    const lookedMs = performance.now()
    const file = readWhole(path, limits.fileOctets)
    if (file === null) return { lookedMs, stamp: null, settled: true, octets: 0, result: { value: null } }
    const settled = nowMs() - Number(file.stat.ctimeMs) > stampStepMs
    const common = { lookedMs, stamp: stampOf(file.stat), settled, octets: file.bytes.length }
    try {
      return { ...common, result: { value: parse(file.bytes) } }
    } catch (error) {
      return { ...common, result: { error } }
    }
  }

  const isCurrent = (path: string, cached: Cached<Value>): boolean => {
    const lookedMs = performance.now()
    if (lookedMs - cached.lookedMs < trustMs) return true
    cached.lookedMs = lookedMs
    const stat = statOrNull(path)
    return cached.settled && cached.stamp === (stat === null ? null : stampOf(stat))
  }

  const keep = (path: string, entry: Cached<Value>): void => {
    cache.set(path, entry)
    let octets = 0
    for (const { octets: more } of cache.values()) octets += more
    for (const [oldest, { octets: less }] of cache) {
      if (cache.size === 1 || (octets <= limits.totalOctets && cache.size <= limits.files)) break
      cache.delete(oldest)
      octets -= less
    }
  }

  return {
    read(path) {
      const cached = cache.get(path)
      const isSame = cached !== undefined && isCurrent(path, cached)
      const entry = isSame ? cached : load(path)
      cache.delete(path)
      if (isSame) cache.set(path, entry)
      else keep(path, entry)
      if ('value' in entry.result) return entry.result.value
      const { error } = entry.result
      throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    },
  }
}

function statOrNull(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true })
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function readWhole(path: string, maxOctets: number): { bytes: Buffer; stat: BigIntStats } | null {
  let fd: number
  try {
    fd = openSync(path, readOnly)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
  try {
    const stat = fstatSync(fd, { bigint: true })
    if (!stat.isFile()) throw new Error(`${path} is not a regular file`)
    if (stat.size > BigInt(maxOctets)) {
      throw new Error(`${path} has ${String(stat.size)} octets, more than the limit of ${maxOctets}`)
    }
    const bytes = Buffer.alloc(Number(stat.size))
    let length = 0
    while (length < bytes.length) {
      const count = readSync(fd, bytes, length, bytes.length - length, length)
      if (count === 0) break
      length += count
    }
    return { bytes: bytes.subarray(0, length), stat }
  } finally {
    closeSync(fd)
  }
}

/** No such file, as against one that cannot be reached. */
function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}
