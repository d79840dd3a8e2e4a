/**
 * What the reader makes of a message, in types: the one view of a message that filters, doors and stores share.
 *
 * Offsets count octets from the beginning of the data file. Nothing of a body is held in memory: a part knows where it
 * stands, and its content is read from the file when somebody asks.
 */
import type { Readable } from 'node:stream'
import type { HeaderSection } from '../header/section.ts'
import type { Finding } from './findings.ts'

/** How a part's content is encoded, as far as we decode it; `unknown` is handed on as it stands, with a finding. */
export type TransferEncoding = 'none' | 'base64' | 'quoted-printable' | 'uuencode' | 'unknown'

/** A message or a part of one (RFC 2045 2.4). */
export interface Part {
  /** `''` is the message; `1`, `2.1`, ... its parts, counted from 1 in each; the message in a message/rfc822 part is its `1`. */
  readonly path: string
  readonly parent: Part | null
  readonly children: readonly Part[]
  /** `multipart` and `message` have children; a `leaf` has content. One that is not taken apart (limits, encoded) is a leaf. */
  readonly kind: 'leaf' | 'multipart' | 'message'
  readonly header: HeaderSection
  /** In lower case, as it acts: `text/plain` (or `message/rfc822` in a digest) where none, or none that can be read, is given. */
  readonly contentType: string
  /** The parameters of the content type, names in lower case, values decoded (RFC 2231). The first of each name. */
  readonly parameters: ReadonlyMap<string, string>
  /** In lower case, `null` where there is no Content-Disposition. */
  readonly disposition: string | null
  /** The decoded name: that of Content-Disposition, else that of Content-Type. As written: never a path to write to. */
  readonly fileName: string | null
  /** Every name that some reader may show for this part, `fileName` first: what a policy about names looks at. */
  readonly fileNames: readonly string[]
  readonly encoding: TransferEncoding
  /** As written, in lower case, `null` where none is given. */
  readonly charset: string | null
  /** Where its header section begins, its body begins, and its body ends (before the line end of the next boundary). */
  readonly start: number
  readonly bodyStart: number
  readonly end: number
  /** Of a multipart: what stands before its first and after its last boundary, where there is anything. */
  readonly preamble: Range | null
  readonly epilogue: Range | null
}

/** Octets of the data file, `end` not among them. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Counts of octets in the whole message; exact. */
export interface OctetFacts {
  readonly octets: number
  readonly crlf: number
  readonly bareLf: number
  readonly bareCr: number
  readonly nul: number
  readonly hasEightBit: boolean
  readonly hasEightBitHeader: boolean
  readonly isUtf8: boolean
  /** Without its line end. */
  readonly longestLine: number
  /**
   * Where the first two line ends of one kind (CRLF, LF, CR) stand in a row; `null`: nowhere. There the header section ends
   * for whoever looks at nothing else. `bodyStart` of the message is where it ends for us.
   */
  readonly firstEmptyLine: number | null
}

/** A message that was read. */
export interface MessageReading {
  readonly header: HeaderSection
  /** The message itself; `parts` begins with it. */
  readonly root: Part
  /** All parts, in the order of the message: each before its children. */
  readonly parts: readonly Part[]
  /** Those that have content. */
  readonly leaves: readonly Part[]
  readonly octets: number
  /** In the order of the message, at most some hundred; see `Finding`. */
  readonly findings: readonly Finding[]
  /** Some finding is of that weight: readers may differ, or not all was read. Never treat such a message as clean. */
  readonly isAmbiguous: boolean
  readonly isOverLimit: boolean

  /**
   * The content of a part, its transfer encoding undone. Ends after `limits.decodedOctets` (`isCut` of `findingsOf`).
   * Errors: the stream's: the system's, and Error where the file is no longer the one that was read.
   */
  content(part: Part): Readable
  /** The part exactly as it stands, header section and body (`whole`), or its body alone. Errors: as `content`. */
  raw(part: Part, what?: 'whole' | 'body'): Readable
  /**
   * A text part as text: decoded from its character set (one that is unknown, or missing, as UTF-8 where it is that, else
   * latin1), line ends as LF. `maxCharacters` bounds it; the default is a million.
   * Errors: as `content`.
   */
  text(part: Part, options?: { readonly maxCharacters?: number }): Promise<PartText>
  /** The same as a stream of strings, however long it is. */
  textStream(part: Part): Readable
  /** Counts over all octets, made in a pass of their own when first asked for. Errors: as `content`. */
  facts(): Promise<OctetFacts>
}

/** The text of a part. */
export interface PartText {
  readonly text: string
  /** There is more than `maxCharacters`, or than the limits let through. */
  readonly isCut: boolean
  /** What decoding found, such as `bad-base64`, `unknown-charset`. */
  readonly findings: readonly Finding[]
}

/** Bounds of one reading; what is beyond them is a finding of weight `limit`. */
export interface ReadingLimits {
  readonly octets: number
  readonly headerOctets: number
  readonly fieldOctets: number
  readonly fields: number
  readonly lineOctets: number
  readonly depth: number
  readonly parts: number
  readonly encodedWords: number
  readonly parameters: number
  readonly addresses: number
  readonly decodedOctets: number
}
