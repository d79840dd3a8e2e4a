/**
 * New parts: from what a filter says of them to the octets of a part.
 *
 * Source: RFC 2045 5 and 6, RFC 2046 5.2.1 (what a message/rfc822 may be encoded as), RFC 2183.
 */
import { isAscii } from 'node:buffer'
import { fieldBytes, type NewValue } from '../header/value.ts'
import { encodeText } from '../message/charset.ts'
import { rangeOfBytes } from '../message/range.ts'
import { parameter } from './parameters.ts'
import type { Piece } from './pieces.ts'
import { encodeTransfer, needsOf, type LineEnd } from './transfer-encode.ts'

/** Octets that are made when they are needed, and not held in memory: a stream, or any async iterable. */
export type ContentStream = () => AsyncIterable<Uint8Array | string>

/** How content goes out. */
export type NewEncoding = '7bit' | '8bit' | 'quoted-printable' | 'base64'

/** Content for a part. */
export interface NewContent {
  /**
   * Text; octets; or a function that opens a stream of octets, which is called when the message is written.
   * Line ends of text are LF, CRLF or CR, and become what they have to be.
   */
  readonly content: string | Uint8Array | ContentStream
  /** With its parameters, if it needs any. Default `text/plain` for text, else `application/octet-stream`. */
  readonly contentType?: string
  /** Of content that is text. Default UTF-8. */
  readonly charset?: string
  /**
   * Default: text that is plain ASCII as it is, other text quoted-printable or base64, whichever is shorter; octets and
   * streams base64; a message or a multipart, which may not be encoded, as it is.
   */
  readonly encoding?: NewEncoding
}

/** A part. */
export interface NewPart extends NewContent {
  readonly disposition?: 'inline' | 'attachment'
  /** The name that readers show. Makes it an attachment unless `disposition` says otherwise. */
  readonly fileName?: string
  /** More fields, such as Content-ID. */
  readonly fields?: readonly (readonly [name: string, value: NewValue])[]
}

/** Where a part goes. */
export interface PartSurroundings {
  readonly lineEnd: LineEnd
  /** What no line of it may begin with. */
  readonly forbidden: readonly string[]
}

/** A part that is ready to be written. */
export interface BuiltPart {
  readonly fields: readonly (readonly [name: string, value: NewValue])[]
  /** The octets of a header section of these fields, with the empty line after it. */
  readonly section: Buffer
  readonly content: readonly Piece[]
}

interface Content {
  readonly octets: Uint8Array | null
  readonly open: () => AsyncIterable<Uint8Array>
}

/**
 * Makes a part.
 *
 * Errors: RangeError for what cannot be written: a type that is none, text beyond its character set, an encoding that the
 *         content cannot have, control characters in a name. What is wrong with a stream shows when it is written.
 */
export function buildPart(part: NewPart, surroundings: PartSurroundings): BuiltPart {
  const { contentType, encoding, content } = buildContent(part, surroundings)
  const disposition = part.disposition ?? (part.fileName === undefined ? null : 'attachment')
  const name = part.fileName === undefined ? '' : parameter('filename', part.fileName)
  const fields: BuiltPart['fields'] = [
    ['Content-Type', contentType],
    ['Content-Transfer-Encoding', encoding],
    ...(disposition === null ? [] : [['Content-Disposition', disposition + name] as const]),
    ...(part.fields ?? []),
  ]
  const { lineEnd } = surroundings
  const lines = fields.map((field) => fieldBytes(...field, lineEnd))
  return { fields, section: Buffer.concat([...lines, Buffer.from(lineEnd, 'latin1')]), content }
}

/** Makes content, and says what its fields have to say. Errors: as `buildPart`. */
export function buildContent(
  given: NewContent,
  { lineEnd, forbidden }: PartSurroundings,
): { readonly contentType: string; readonly encoding: NewEncoding; readonly content: readonly Piece[] } {
  const contentType = typeOf(given)
  const [type = ''] = contentType.split(';')
  const isText = /^text\//i.test(type)
  const isComposite = /^(?:message|multipart)\//i.test(type)
  const { octets, open } = contentOf(given, contentType)
  const encoding = given.encoding ?? encodingFor(octets, isText, isComposite, forbidden)
  const isPlain = encoding === '7bit' || encoding === '8bit'
  if (isComposite && !isPlain) throw new RangeError(`${type.trim()} may not be encoded as ${encoding}`)
  if (isPlain && octets !== null) {
    const needs = needsOf(octets, forbidden)
    if (!needs.isPlain || (encoding === '7bit' && !needs.isAscii)) {
      throw new RangeError(`this content cannot stand in a message as ${encoding}`)
    }
  }
  const transfer = isPlain ? 'identity' : encoding
  const options = { lineEnd, isText: isText || isPlain, forbidden }
  const make = (): AsyncIterable<Uint8Array> => {
    const from = isText && encoding === 'base64' && typeof given.content === 'string' ? withCrlf(open()) : open()
    return encodeTransfer(transfer, encoding === '7bit' ? onlyAscii(from) : from, options)
  }
  return { contentType, encoding, content: [{ kind: 'made', range: null, make }] }
}

function typeOf({ content, contentType, charset }: NewContent): string {
  const given = contentType ?? (typeof content === 'string' ? 'text/plain' : 'application/octet-stream')
  if (!/^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+[ \t]*(?:;|$)/.test(given)) {
    throw new RangeError(`${JSON.stringify(given)} is no content type`)
  }
  const isText = typeof content === 'string' && /^text\//i.test(given)
  const wanted = charset ?? (isText && charsetIn(given) === null ? 'utf-8' : null)
  return wanted === null ? given : given.replace(/[; \t]+$/, '') + parameter('charset', wanted)
}

function charsetIn(contentType: string): string | null {
  return /;[ \t]*charset="?([^";\s]+)/i.exec(contentType)?.[1] ?? null
}

function contentOf({ content, charset }: NewContent, contentType: string): Content {
  if (typeof content === 'function') return { octets: null, open: () => octetsOf(content) }
  let octets: Uint8Array
  if (typeof content === 'string') {
    if (!content.isWellFormed()) throw new RangeError('the text holds half of a surrogate pair')
    const wanted = charset ?? charsetIn(contentType) ?? 'utf-8'
    const written = encodeText(content.replaceAll(/\r\n?/g, '\n'), wanted)
    if (written === null) throw new RangeError(`the text cannot be written in ${wanted}`)
    octets = written
  } else octets = content
  return {
    octets,
    open: () => rangeOfBytes(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength), 0, octets.length),
  }
}

function encodingFor(
  octets: Uint8Array | null,
  isText: boolean,
  isComposite: boolean,
  forbidden: readonly string[],
): NewEncoding {
  if (isComposite) return octets !== null && isAscii(octets) ? '7bit' : '8bit'
  if (octets === null || !isText) return 'base64'
  const needs = needsOf(octets, forbidden)
  if (needs.isAscii && needs.isPlain) return '7bit'
  let odd = 0
  for (const octet of octets) if (octet > 0x7e || octet === 0x3d || octet < 0x09) odd++
  // An octet is three in the one, and a third more in the other.
  return odd * 6 > octets.length ? 'base64' : 'quoted-printable'
}

async function* octetsOf(content: ContentStream): AsyncGenerator<Uint8Array> {
  for await (const piece of content()) yield typeof piece === 'string' ? Buffer.from(piece) : piece
}

/** Text in base64 has CRLF line ends, whatever the message has (RFC 2045 6.8). The text has LF alone. */
async function* withCrlf(text: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of text) {
    yield Buffer.from(Buffer.from(piece).toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
  }
}

async function* onlyAscii(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    if (!isAscii(piece)) throw new RangeError('this content cannot stand in a message as 7bit')
    yield piece
  }
}
