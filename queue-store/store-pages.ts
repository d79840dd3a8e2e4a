/**
 * Whether a file of tables has all the pages that its newest state names. LMDB's file may be shorter than its number of pages: pages that a
 * transaction took at the end and gave up again are never written. Where it is, only the trees themselves tell that from a
 * file that was cut off; a page that is named and not there would end the process.
 *
 * Source: the layout of LMDB's pages as the package `lmdb` has them: a header of 24 octets (flags at 18, octets of the pointers
 * at 20), pointers of 2 octets to nodes, counted from the end of the header; a node has 3 words of 2 octets (in a branch the page, in a leaf the size of the data, and flags), the key's
 * size, the key, the data.
 */
import { readSync } from 'node:fs'

export const pageOctets = 4096

const headerOctets = 24
const nodeOctets = 8
const pageFlags = { branch: 1, leaf: 2, overflow: 4 } as const
const nodeFlags = { overflow: 1, table: 2, duplicates: 4 } as const
/** Where the root's page stands in the record of a table. */
const rootAt = 40
const none = 0xffffffffffffffffn
/** A tree of more levels holds more than any disk. */
const mostLevels = 40

/** True if every page that these roots lead to is among the first `pages` of the file. Reads the whole trees. */
export function hasAllPages(file: number, roots: readonly bigint[], pages: number): boolean {
  const waiting = roots.filter((root) => root !== none).map((page) => ({ page: Number(page), level: 0 }))
  const bytes = Buffer.alloc(pageOctets)
  let visited = 0
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { page, level } = next
    // More visits than pages are a circle.
    if (page >= pages || level > mostLevels || ++visited > pages) return false
    if (readSync(file, bytes, 0, pageOctets, page * pageOctets) !== pageOctets) return false
    const flags = bytes.readUInt16LE(18)
    const isBranch = (flags & pageFlags.branch) !== 0
    if (!isBranch && (flags & pageFlags.leaf) === 0) return false
    const nodes = bytes.readUInt16LE(20) / 2
    if (nodes > (pageOctets - headerOctets) / 2) return false
    for (let index = 0; index < nodes; index++) {
      const at = headerOctets + bytes.readUInt16LE(headerOctets + 2 * index)
      if (at + nodeOctets > pageOctets) return false
      const low = bytes.readUInt32LE(at)
      const flagsOrHigh = bytes.readUInt16LE(at + 4)
      if (isBranch) {
        waiting.push({ page: low + flagsOrHigh * 2 ** 32, level: level + 1 })
        continue
      }
      const data = at + nodeOctets + bytes.readUInt16LE(at + 6)
      if ((flagsOrHigh & nodeFlags.overflow) !== 0) {
        if (data + 8 > pageOctets) return false
        const first = Number(bytes.readBigUInt64LE(data))
        if (first + Math.ceil((low + headerOctets) / pageOctets) > pages) return false
      } else if ((flagsOrHigh & nodeFlags.table) !== 0) {
        if (data + rootAt + 8 > pageOctets) return false
        const root = bytes.readBigUInt64LE(data + rootAt)
        if (root !== none) waiting.push({ page: Number(root), level: 0 })
      }
    }
  }
  return true
}
