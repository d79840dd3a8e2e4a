/**
 * Looks keys up in a GDBM file that is in memory.
 *
 * Nothing in the file is believed: every offset and size is checked against the file's end, each bucket against its own
 * count, and all work is bounded by the file's size, so that a damaged file gives an error in good time, never a wrong
 * answer.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.7.
 */
import { broken } from './database-error.ts'
import { gdbmHash } from './hash.ts'
import { readGdbmLayout, uint32, uint64, type GdbmLayout } from './layout.ts'

/** An opened file image. What it hands out are views of the image, not copies: do not write into them. */
export interface GdbmImage {
  /** The value of a key (text stands for its UTF-8), or `null`. Errors: DatabaseError where the file is damaged. */
  lookup(key: Uint8Array | string): Buffer | null
  /** Every key with its value, in the file's order. Errors: as `lookup`. */
  entries(): Generator<readonly [key: Buffer, value: Buffer]>
}

const emptyHash = 0xffffffff

interface Element {
  readonly hash: number
  /** Where the first octets of the key are repeated. */
  readonly keyStartAt: number
  readonly dataAt: number
  readonly keyOctets: number
  readonly valueOctets: number
}

/** Opens a file image. Errors: DatabaseError for a damaged header, a Berkeley DB file, and anything else. */
export function openGdbm(file: Buffer): GdbmImage {
  const layout = readGdbmLayout(file)
  // Each bucket is checked once; every address in the directory has been checked when it is in here.
  const checked = new Set<number>()

  const bucketAt = (index: number): number => {
    const at = bucketAddress(file, layout, index)
    if (checked.has(at)) return at
    checkBucket(file, layout, at)
    checked.add(at)
    return at
  }

  const find = (key: Buffer, hash: number): Buffer | null => {
    const bucket = bucketAt(hash >>> (31 - layout.dirBits))
    for (let step = 0; step < layout.bucketElements; step++) {
      const element = elementAt(file, layout, bucket, (hash + step) % layout.bucketElements)
      if (element.hash === emptyHash) return null
      if (element.hash !== hash || element.keyOctets !== key.length) continue
      const [foundKey, value] = contentOf(file, element)
      if (foundKey.equals(key)) return value
    }
    return null
  }

  return {
    lookup(key) {
      const bytes = typeof key === 'string' ? Buffer.from(key) : Buffer.from(key.buffer, key.byteOffset, key.byteLength)
      const found = find(bytes, gdbmHash(bytes, true))
      if (found !== null || bytes.every((byte) => byte < 0x80)) return found
      return find(bytes, gdbmHash(bytes, false))
    },

    *entries() {
      const buckets = new Set<number>()
      for (let index = 0; index < 2 ** layout.dirBits; index++) {
        const at = bucketAt(index)
        buckets.add(at)
        if (buckets.size * layout.bucketOctets > file.length) throw broken('its buckets overlap')
      }
      let octets = 0
      for (const bucket of buckets) {
        for (let index = 0; index < layout.bucketElements; index++) {
          const element = elementAt(file, layout, bucket, index)
          if (element.hash === emptyHash) continue
          octets += element.keyOctets + element.valueOctets
          if (octets > file.length) throw broken('its entries overlap')
          const [key, value] = contentOf(file, element)
          if (gdbmHash(key, true) !== element.hash && gdbmHash(key, false) !== element.hash) {
            throw broken(`another key is at ${element.dataAt} than was stored there`)
          }
          yield [key, value]
        }
      }
    },
  }
}

function bucketAddress(file: Buffer, layout: GdbmLayout, index: number): number {
  const { dirAt, offsetOctets, littleEndian, bucketOctets } = layout
  const entryAt = dirAt + index * offsetOctets
  const at = offsetOctets === 8 ? uint64(file, entryAt, littleEndian) : uint32(file, entryAt, littleEndian)
  if (at + bucketOctets > file.length) throw broken(`a bucket lies beyond its end, at ${at}`)
  return at
}

/** A hole in the file reads as zeros, which would look like a bucket without the entry that is asked for. */
function checkBucket(file: Buffer, layout: GdbmLayout, at: number): void {
  const { tableAt, countAt, elementOctets, bucketElements, littleEndian } = layout
  let used = 0
  for (let index = 0; index < bucketElements; index++) {
    if (uint32(file, at + tableAt + index * elementOctets, littleEndian) !== emptyHash) used += 1
  }
  const count = uint32(file, at + countAt, littleEndian)
  if (used !== count) throw broken(`the bucket at ${at} counts ${count} entries and has ${used}`)
}

function elementAt(file: Buffer, layout: GdbmLayout, bucket: number, index: number): Element {
  const { tableAt, elementOctets, offsetOctets, littleEndian } = layout
  const at = bucket + tableAt + index * elementOctets
  const pointerAt = at + 8
  const sizesAt = pointerAt + offsetOctets
  return {
    hash: uint32(file, at, littleEndian),
    keyStartAt: at + 4,
    dataAt: offsetOctets === 8 ? uint64(file, pointerAt, littleEndian) : uint32(file, pointerAt, littleEndian),
    keyOctets: uint32(file, sizesAt, littleEndian),
    valueOctets: uint32(file, sizesAt + 4, littleEndian),
  }
}

function contentOf(file: Buffer, element: Element): [key: Buffer, value: Buffer] {
  const { keyStartAt, dataAt, keyOctets, valueOctets } = element
  const valueAt = dataAt + keyOctets
  const end = valueAt + valueOctets
  if (end > file.length) throw broken(`an entry lies beyond its end, at ${dataAt}`)
  const key = file.subarray(dataAt, valueAt)
  const keyStart = file.subarray(keyStartAt, keyStartAt + Math.min(keyOctets, 4))
  if (!keyStart.equals(key.subarray(0, 4))) throw broken(`another key is at ${dataAt} than was stored there`)
  return [key, file.subarray(valueAt, end)]
}
