/** The decoder of each transfer encoding. */
import { base64Decoder } from './base64-decoder.ts'
import type { OctetDecoder, OnProblem } from './content-types.ts'
import { quotedPrintableDecoder } from './quoted-printable-decoder.ts'
import type { TransferEncoding } from './reading.ts'
import { uuencodeDecoder } from './uuencode-decoder.ts'

/** A decoder of one content; what is not encoded, or as nobody knows, goes through as it stands. */
export function transferDecoder(encoding: TransferEncoding, onProblem: OnProblem): OctetDecoder {
  switch (encoding) {
    case 'base64':
      return base64Decoder(onProblem)
    case 'quoted-printable':
      return quotedPrintableDecoder(onProblem)
    case 'uuencode':
      return uuencodeDecoder(onProblem)
    case 'none':
    case 'unknown':
      return { write: (octets) => octets, end: () => Buffer.alloc(0) }
  }
}
