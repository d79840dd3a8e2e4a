/**
 * The header of a GDBM file: which of the format's variants it is, and where its parts are.
 *
 * A file has the byte order and the widths of the machine that wrote it, and its magic number does not tell all of
 * them: what remains open is decided by the relation between the size of a bucket and the number of its elements.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.7.
 */
import { broken, DatabaseError } from './database-error.ts'

/** A checked header: every number in it fits the file. Offsets and sizes in octets. */
export interface GdbmLayout {
  readonly littleEndian: boolean
  /** Width of file offsets: 4 or 8. */
  readonly offsetOctets: number
  readonly dirAt: number
  readonly dirBits: number
  readonly bucketOctets: number
  readonly bucketElements: number
  /** Where, in a bucket, the number of used elements stands, and the first element. */
  readonly countAt: number
  readonly tableAt: number
  readonly elementOctets: number
}

interface Variant {
  readonly offsetOctets: 4 | 8
  readonly tableAt: number
}

// A bucket begins with a list of free space: a count, then six times size and offset, padded as C does it. Then come
// two 4-byte numbers, then the elements.
const wide: Variant = { offsetOctets: 8, tableAt: 112 }
const wideUnpadded: Variant = { offsetOctets: 8, tableAt: 84 }
const narrow: Variant = { offsetOctets: 4, tableAt: 60 }

const variantsByMagic: ReadonlyMap<number, readonly Variant[]> = new Map([
  [0x13579acf, [wide, wideUnpadded]],
  [0x13579ad1, [wide, wideUnpadded]],
  [0x13579acd, [narrow]],
  [0x13579ad0, [narrow]],
  [0x13579ace, [wide, wideUnpadded, narrow]],
])

const berkeleyMagics: ReadonlyMap<number, string> = new Map([
  [0x00061561, 'hash'],
  [0x00053162, 'btree'],
])

/**
 * Reads the header of a file image.
 * Errors: DatabaseError for a file that is cut off or damaged, a Berkeley DB file, and anything else.
 */
export function readGdbmLayout(file: Buffer): GdbmLayout {
  if (file.length === 0) throw broken('it is empty, without even a header')
  if (file.length >= 4) {
    for (const littleEndian of [true, false]) {
      const variants = variantsByMagic.get(uint32(file, 0, littleEndian))
      if (variants !== undefined) return layoutOf(file, littleEndian, variants)
    }
  }
  throw foreign(file)
}

function layoutOf(file: Buffer, littleEndian: boolean, variants: readonly Variant[]): GdbmLayout {
  // The longer of the two headers; a file of either width has at least a block of 512 octets.
  if (file.length < 40) throw broken('the header is incomplete')
  for (const variant of variants) {
    const layout = layoutAs(file, littleEndian, variant)
    if (layout !== null) return layout
  }
  throw broken('the numbers in the header do not fit together')
}

/** The header read as this variant; `null` if it makes no sense as such. */
function layoutAs(file: Buffer, littleEndian: boolean, { offsetOctets, tableAt }: Variant): GdbmLayout | null {
  const number = (at: number) => uint32(file, at, littleEndian)
  const isWide = offsetOctets === 8
  const dirAt = isWide ? uint64(file, 8, littleEndian) : number(8)
  const [dirOctets, dirBits, bucketOctets, bucketElements] = isWide
    ? [number(16), number(20), number(24), number(28)]
    : [number(12), number(16), number(20), number(24)]
  const elementOctets = offsetOctets + 16
  if (dirBits > 30 || dirOctets !== offsetOctets * 2 ** dirBits) return null
  if (bucketElements !== Math.floor((bucketOctets - tableAt - elementOctets) / elementOctets) + 1) return null
  if (bucketElements < 1) return null
  if (dirAt + dirOctets > file.length) throw broken(`its directory lies beyond its end, at ${dirAt}`)
  if (bucketOctets > file.length) throw broken(`its buckets of ${bucketOctets} octets are larger than it`)
  return {
    ...{ littleEndian, offsetOctets, dirAt, dirBits, bucketOctets, bucketElements },
    ...{ countAt: tableAt - 4, tableAt, elementOctets },
  }
}

function foreign(file: Buffer): DatabaseError {
  const kind = file.length < 16 ? undefined : (berkeleyKind(file, true) ?? berkeleyKind(file, false))
  if (kind === undefined) {
    return new DatabaseError('DATABASE_UNKNOWN', 'this is neither a GDBM file nor another database that we know')
  }
  return new DatabaseError(
    'DATABASE_BERKELEY',
    `this is a Berkeley DB file (${kind}), which cannot be read here. Courier was built --with-db=db: install one built ` +
      '--with-db=gdbm, then run makealiases, makehosteddomains, makeacceptmailfor and makesmtpaccess again',
  )
}

function berkeleyKind(file: Buffer, littleEndian: boolean): string | undefined {
  return berkeleyMagics.get(uint32(file, 12, littleEndian))
}

/** An unsigned 32-bit number. Errors: RangeError outside the file; callers have checked. */
export function uint32(file: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian ? file.readUInt32LE(at) : file.readUInt32BE(at)
}

/** An unsigned 64-bit number. What is over 2^53 loses digits, and is beyond the end of any file all the same. */
export function uint64(file: Buffer, at: number, littleEndian: boolean): number {
  return Number(littleEndian ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at))
}
