/**
 * The hash that GDBM files are laid out by.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.7.
 */

/**
 * Hashes a key.
 *
 * Shape: 31 bits, never negative. `signedBytes` says how the machine that wrote the file saw bytes from 0x80 on: C's
 *        `char` is signed on x86, unsigned on ARM Linux. For ASCII keys both give the same.
 */
export function gdbmHash(key: Uint8Array, signedBytes: boolean): number {
  let value = Math.imul(0x238f13af, key.length)
  for (const [index, byte] of key.entries()) {
    const digit = signedBytes && byte >= 0x80 ? byte - 0x100 : byte
    value = (value + (digit << ((index * 5) % 24))) & 0x7fffffff
  }
  return (Math.imul(1103515243, value) + 12345) & 0x7fffffff
}
