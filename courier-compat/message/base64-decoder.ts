/**
 * Decodes base64 as it comes, whatever stands in it.
 *
 * Octets that are none are passed over, as RFC 2045 6.8 wants it, and what follows the padding is decoded too: a reader that
 * goes on sees more than one that stops, and policy has to see what the most willing reader sees. Both are told.
 * Pure: no clock, socket, file or logger.
 */
import type { OctetDecoder, OnProblem } from './content-types.ts'

const equals = 0x3d
/** In the table: not base64. 64 is a blank or a line end, 128 anything else; both have a bit that no value has. */
const skipped = 64
const odd = 128
const values = table()

/** A decoder of one content. It tells `bad-base64`. */
export function base64Decoder(onProblem: OnProblem): OctetDecoder {
  /** The values of the quantum that has begun, and how many. */
  let bits = 0
  let count = 0
  /** `=` after which one more must come, and whether a quantum was padded. */
  let missingPads = 0
  let isPadded = false

  return {
    write(octets) {
      const decoded = Buffer.allocUnsafe(Math.ceil((octets.length + 4) / 4) * 3)
      let length = 0
      const leftOver = (): void => {
        if (count >= 2) decoded[length++] = (bits >> (count === 2 ? 4 : 10)) & 0xff
        if (count === 3) decoded[length++] = (bits >> 2) & 0xff
        bits = 0
        count = 0
      }
      for (let at = 0; at < octets.length;) {
        if (count === 0 && !isPadded && at + 4 <= octets.length) {
          const first = values[octets[at] ?? 0] ?? odd
          const second = values[octets[at + 1] ?? 0] ?? odd
          const third = values[octets[at + 2] ?? 0] ?? odd
          const fourth = values[octets[at + 3] ?? 0] ?? odd
          if ((first | second | third | fourth) < skipped) {
            decoded[length] = (first << 2) | (second >> 4)
            decoded[length + 1] = ((second & 0xf) << 4) | (third >> 2)
            decoded[length + 2] = ((third & 0x3) << 6) | fourth
            length += 3
            at += 4
            continue
          }
        }
        const octet = octets[at++] ?? 0
        const value = values[octet] ?? odd
        if (value === skipped) continue
        if (octet === equals) {
          if (count >= 2) {
            missingPads = 3 - count
            leftOver()
          } else if (missingPads > 0) missingPads--
          else onProblem('bad-base64')
          isPadded = true
          continue
        }
        if (value === odd) {
          onProblem('bad-base64')
          continue
        }
        if (isPadded) onProblem('bad-base64')
        isPadded = false
        missingPads = 0
        bits = (bits << 6) | value
        if (++count === 4) {
          decoded[length++] = (bits >> 16) & 0xff
          decoded[length++] = (bits >> 8) & 0xff
          decoded[length++] = bits & 0xff
          bits = 0
          count = 0
        }
      }
      return decoded.subarray(0, length)
    },
    end() {
      if (count === 1) onProblem('bad-base64')
      if (count < 2) return Buffer.alloc(0)
      const decoded = [(bits >> (count === 2 ? 4 : 10)) & 0xff]
      if (count === 3) decoded.push((bits >> 2) & 0xff)
      return Buffer.from(decoded)
    },
  }
}

function table(): Uint8Array {
  const made = new Uint8Array(256).fill(odd)
  for (const octet of Buffer.from(' \t\r\n')) made[octet] = skipped
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  for (const [value, octet] of Buffer.from(alphabet).entries()) made[octet] = value
  return made
}
