/**
 * Decodes quoted-printable as it comes.
 *
 * What is no sequence stands as it is (RFC 2045 6.7, note 1) and is told. Blanks at the end of a line are left out (rule 3);
 * a run longer than any line stays.
 * Pure: no clock, socket, file or logger.
 */
import type { OctetDecoder, OnProblem } from './content-types.ts'
import { hexDigit } from './escapes.ts'

const lf = 0x0a
const cr = 0x0d
const blank = 0x20
const tab = 0x09
const equals = 0x3d

/** Blanks that are held back until it is known whether a line ends after them. */
const maxHeldOctets = 4096

/** A decoder of one content. It tells `bad-quoted-printable`. */
export function quotedPrintableDecoder(onProblem: OnProblem): OctetDecoder {
  /** Blanks, and perhaps one CR at their end, that may belong to a line end. */
  const held = Buffer.allocUnsafe(maxHeldOctets + 1)
  let heldOctets = 0
  let holdsCr = false
  /** Before `held` stands an `=` that may be a soft line end; the first digit after it; -1 if there is none. */
  let isAfterEquals = false
  let firstDigit = -1

  return {
    write(octets) {
      const decoded = Buffer.allocUnsafe(octets.length + held.length + 2)
      let length = 0
      /** What was held is text after all. */
      const release = (): void => {
        if (isAfterEquals) {
          onProblem('bad-quoted-printable')
          decoded[length++] = equals
          if (firstDigit !== -1) decoded[length++] = firstDigit
          isAfterEquals = false
          firstDigit = -1
        }
        if (heldOctets === 0) return
        held.copy(decoded, length, 0, heldOctets)
        length += heldOctets
        heldOctets = 0
        holdsCr = false
      }
      for (let at = 0; at < octets.length; at++) {
        if (!isAfterEquals && heldOctets === 0) {
          const end = endOfPlain(octets, at)
          octets.copy(decoded, length, at, end)
          length += end - at
          at = end
          if (at === octets.length) break
        }
        const octet = octets[at] ?? 0
        if (isAfterEquals && heldOctets === 0 && hexDigit(octet) !== -1) {
          if (firstDigit === -1) firstDigit = octet
          else {
            decoded[length++] = (hexDigit(firstDigit) << 4) | hexDigit(octet)
            isAfterEquals = false
            firstDigit = -1
          }
        } else if (octet === lf && firstDigit === -1) {
          if (isAfterEquals) isAfterEquals = false
          else {
            if (holdsCr) decoded[length++] = cr
            decoded[length++] = lf
          }
          heldOctets = 0
          holdsCr = false
        } else if (octet === blank || octet === tab || octet === cr) {
          if (holdsCr || firstDigit !== -1 || heldOctets === maxHeldOctets) release()
          held[heldOctets++] = octet
          holdsCr = octet === cr
        } else {
          release()
          if (octet === equals) isAfterEquals = true
          else decoded[length++] = octet
        }
      }
      return decoded.subarray(0, length)
    },
    end() {
      if (firstDigit !== -1) {
        onProblem('bad-quoted-printable')
        return Buffer.from([equals, firstDigit])
      }
      return holdsCr && !isAfterEquals ? Buffer.from([cr]) : Buffer.alloc(0)
    },
  }
}

/** Where octets end that stand for themselves, blanks between them included: most of a text goes through at once. */
function endOfPlain(octets: Buffer, from: number): number {
  let at = from
  for (;;) {
    const octet = octets[at] ?? equals
    if (octet === equals || octet === lf || octet === cr || octet === tab) return at
    if (octet === blank && (octets[at + 1] ?? 0) <= blank) return at
    at++
  }
}
