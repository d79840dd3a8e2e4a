/**
 * Writes GDBM files for tests, in every variant that the reader must know.
 *
 * Shape:  header block, directory, data, buckets. All buckets have as many bits as the directory, so each directory entry
 *         has its own bucket. libgdbm reads the ones in its own variant (seen with Perl's GDBM_File).
 * Source: spec courier 5.7.
 */
import { writeFileSync } from 'node:fs'
import { gdbmHash } from '../../courier-compat/gdbm/hash.ts'

export interface GdbmShape {
  /** Default `0x13579acf`. */
  readonly magic?: number
  readonly bigEndian?: boolean
  /** `wide`: 8-octet offsets; `unpadded`: the same as 32-bit x86 lays them out; `narrow`: 4-octet offsets. */
  readonly variant?: 'wide' | 'unpadded' | 'narrow'
  readonly signedBytes?: boolean
  readonly blockOctets?: number
  /** The directory's least size. Default: the least that libgdbm accepts, a block. */
  readonly dirBits?: number
}

export type GdbmEntries = Iterable<readonly [key: string | Buffer, value: string | Buffer]>

/** The bytes of a GDBM file with these entries. */
export function gdbmBytes(entries: GdbmEntries, shape: GdbmShape = {}): Buffer {
  const { magic = 0x13579acf, bigEndian = false, variant = 'wide', signedBytes = true, blockOctets = 512 } = shape
  const offsetOctets = variant === 'narrow' ? 4 : 8
  const tableAt = { wide: 112, unpadded: 84, narrow: 60 }[variant]
  const elementOctets = offsetOctets + 16
  const elements = Math.floor((blockOctets - tableAt - elementOctets) / elementOctets) + 1
  const all = [...entries].map(([key, value]) => {
    const bytes = Buffer.from(key)
    return { key: bytes, value: Buffer.from(value), hash: gdbmHash(bytes, signedBytes) }
  })
  let dirBits = shape.dirBits ?? Math.ceil(Math.log2(blockOctets / offsetOctets))
  const bucketsFor = (bits: number) => Map.groupBy(all, ({ hash }) => hash >>> (31 - bits))
  while ([...bucketsFor(dirBits).values()].some((ofOne) => ofOne.length >= elements)) dirBits += 1

  const dataOctets = all.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
  const blocks = (octets: number) => Math.ceil(octets / blockOctets) * blockOctets
  const dirAt = blockOctets
  const firstDataAt = dirAt + blocks(2 ** dirBits * offsetOctets)
  const bucketsAt = firstDataAt + blocks(dataOctets)
  const file = Buffer.alloc(bucketsAt + 2 ** dirBits * blockOctets)
  const put32 = (value: number, at: number) =>
    bigEndian ? file.writeUInt32BE(value >>> 0, at) : file.writeUInt32LE(value >>> 0, at)
  const putOffset = (value: number, at: number) => {
    if (offsetOctets === 4) put32(value, at)
    else if (bigEndian) file.writeBigUInt64BE(BigInt(value), at)
    else file.writeBigUInt64LE(BigInt(value), at)
  }

  put32(magic, 0)
  put32(blockOctets, 4)
  putOffset(dirAt, 8)
  const rest = [2 ** dirBits * offsetOctets, dirBits, blockOctets, elements]
  for (const [index, value] of rest.entries()) put32(value, 8 + offsetOctets + 4 * index)
  putOffset(file.length, 24 + offsetOctets)
  // The free list is empty; its size is what fits into the rest of the block.
  const isNumsync = magic === 0x13579ad1 || magic === 0x13579ad0
  const freeAt = 24 + 2 * offsetOctets + (isNumsync ? 32 : 0)
  put32(Math.floor((blockOctets - freeAt - 16) / (2 * offsetOctets)), freeAt)

  let dataAt = firstDataAt
  const buckets = bucketsFor(dirBits)
  for (let index = 0; index < 2 ** dirBits; index++) {
    const at = bucketsAt + index * blockOctets
    putOffset(at, dirAt + index * offsetOctets)
    put32(dirBits, at + tableAt - 8)
    put32(buckets.get(index)?.length ?? 0, at + tableAt - 4)
    for (let element = 0; element < elements; element++) put32(-1, at + tableAt + element * elementOctets)
    const taken = new Set<number>()
    for (const { key, value, hash } of buckets.get(index) ?? []) {
      let element = hash % elements
      while (taken.has(element)) element = (element + 1) % elements
      taken.add(element)
      const elementAt = at + tableAt + element * elementOctets
      put32(hash, elementAt)
      key.copy(file, elementAt + 4, 0, 4)
      putOffset(dataAt, elementAt + 8)
      put32(key.length, elementAt + 8 + offsetOctets)
      put32(value.length, elementAt + 12 + offsetOctets)
      dataAt += key.copy(file, dataAt)
      dataAt += value.copy(file, dataAt)
    }
  }
  return file
}

/** Writes such a file. */
export function writeGdbm(path: string, entries: GdbmEntries, shape?: GdbmShape): void {
  writeFileSync(path, gdbmBytes(entries, shape))
}
