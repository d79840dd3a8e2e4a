/**
 * What the decoding of header fields and contents gives, in types: the seam between those who decode and the reader of
 * whole messages.
 *
 * Decoding never refuses: what cannot be decoded stays as it stands, and a problem says so. A problem is the kind of a
 * finding; whoever knows the part and the offset makes the finding of it.
 *
 *   encoded-words.ts   decodeWords(bytes, limits?): DecodedText         RFC 2047, raw UTF-8 (RFC 6532)
 *                      decodedValue(field, limits?): DecodedText        of a header field, for people to read
 *                      countEncodedWords(bytes): number                 of a header section
 *   parameters.ts      readParameters(scanner, limits): ParametersFound RFC 2045, RFC 2231 and what real mail makes of them
 *   content-fields.ts  readContentType(fields, limits): ContentTypeReading
 *                      readDisposition(fields, limits): DispositionReading
 *                      readTransferEncoding(fields): EncodingReading
 *   file-names.ts      fileNamesOf(contentType, disposition): FileNamesReading
 *                      extensionOf(name): string | null, extensionsOf(name): string[]
 *   decoded.ts         contentStream(pieces, encoding, limits, onProblem): Readable          of octets
 *                      textStream(pieces, { encoding, charset }, limits, onProblem): Readable   of strings
 *                      readText(pieces, { encoding, charset }, limits, maxCharacters?): Promise<TextReading>
 *
 * `fields` are all fields of the part's header section: the functions find theirs. `pieces` is an `AsyncIterable<Buffer>`
 * of the body as it stands in the file; `onProblem` is called at most once for each kind.
 */
import type { FindingKind } from './findings.ts'
import type { ReadingLimits, TransferEncoding } from './reading.ts'

/** What bounds the decoding of one field. */
export type FieldLimits = Pick<ReadingLimits, 'encodedWords' | 'parameters'>

/** What bounds the decoding of one content. */
export type ContentLimits = Pick<ReadingLimits, 'decodedOctets'>

/** Told of each kind of problem once. */
export type OnProblem = (kind: FindingKind) => void

/** Undoes the transfer encoding of one content, given in pieces cut anywhere. Nothing is refused. */
export interface OctetDecoder {
  /** At most as much as it is given and some kilobytes; uuencode, whose blanks may be lost, 32 times as much. */
  readonly write: (octets: Buffer) => Buffer
  readonly end: () => Buffer
}

/** A value for people to read. */
export interface DecodedText {
  /** Without CR, LF and NUL: where a word held one, a blank stands, and `hidden-line-end` is among the problems. */
  readonly text: string
  /** Encoded words that were read, those in unknown character sets among them. */
  readonly words: number
  /** Each kind once. */
  readonly problems: readonly FindingKind[]
}

/** The parameters of a field, every reading of them. */
export interface Parameters {
  /** Names in lower case, in order; values decoded. The first of each name, with RFC 2231 before the plain form. */
  readonly values: ReadonlyMap<string, string>
  /** Every different value that some reader may see for a name, `values`' one first. */
  readonly readings: ReadonlyMap<string, readonly string[]>
  /** The same before decoding, one character an octet: what a boundary is compared as. */
  readonly octets: ReadonlyMap<string, readonly string[]>
  readonly problems: readonly FindingKind[]
}

/** The Content-Type fields of one part. */
export interface ContentTypeReading {
  /** In lower case, of the first field; `null` where there is no field, or its value is no type (see `problems`). */
  readonly type: string | null
  /** Every different type that the fields name, `type` first: with two fields, readers differ. */
  readonly types: readonly string[]
  readonly parameters: ReadonlyMap<string, string>
  /**
   * The boundary's octets, without the two hyphens; `null` where there is none, or it is empty. Read whatever the type is.
   */
  readonly boundary: Buffer | null
  /** Every different boundary that some reader may see, `boundary` first; at most eight. */
  readonly boundaries: readonly Buffer[]
  /** As written, in lower case, `null` where none is given. */
  readonly charset: string | null
  /** Every value of `name` that some reader may see. */
  readonly names: readonly string[]
  /**
   * Among them `duplicate-field`, `bad-content-type`, `hidden-multipart`, and where one of `types` is a multipart `two-boundaries`,
   * `no-boundary`, `odd-boundary`.
   */
  readonly problems: readonly FindingKind[]
}

/** The Content-Disposition fields of one part. */
export interface DispositionReading {
  /** In lower case, of the first field; `null` where there is no field. */
  readonly disposition: string | null
  readonly parameters: ReadonlyMap<string, string>
  /** Every value of `filename` that some reader may see. */
  readonly names: readonly string[]
  readonly problems: readonly FindingKind[]
}

/** The Content-Transfer-Encoding fields of one part. */
export interface EncodingReading {
  /** That of the first field; `none` where there is no field. */
  readonly encoding: TransferEncoding
  /** As written, in lower case, without comments; `null` where there is no field. */
  readonly written: string | null
  readonly problems: readonly FindingKind[]
}

/** The names of one part. */
export interface FileNamesReading {
  /** That of Content-Disposition, else that of Content-Type. */
  readonly fileName: string | null
  /** Every different name that some reader may show, `fileName` first. */
  readonly fileNames: readonly string[]
  /** `two-file-names`, `other-file-name`, `bad-file-name`, `path-in-file-name`. */
  readonly problems: readonly FindingKind[]
}

/** What a content is decoded from. */
export interface ContentForm {
  readonly encoding: TransferEncoding
  readonly charset: string | null
}

/** A text, read as far as it was wanted. */
export interface TextReading {
  readonly text: string
  /** There is more than was wanted, or than the limits let through. */
  readonly isCut: boolean
  readonly problems: readonly FindingKind[]
}
