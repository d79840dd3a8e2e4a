/**
 * New parts around a message: the multipart/mixed that is made of it, or the end of the one that it is.
 *
 * Nothing is written here; see `part-edits.ts`.
 */
import { randomBytes } from 'node:crypto'
import { editHeader, type EditedHeader } from '../header/edit.ts'
import { parseHeaderSection, type HeaderSection } from '../header/section.ts'
import type { FindingKind } from '../message/findings.ts'
import type { RangeReader } from '../message/range.ts'
import type { MessageReading } from '../message/reading.ts'
import { delimiterAfter, delimiterBefore } from './delimiters.ts'
import { buildPart, type BuiltPart, type NewPart } from './new-part.ts'
import { contentNames, setField } from './part-fields.ts'
import { bodyPiece, headerPiece, type Piece } from './pieces.ts'
import type { LineEnd } from './transfer-encode.ts'

/** Parts that are put around what the message was. */
export interface WrapOptions {
  readonly before?: readonly NewPart[]
  readonly after?: readonly NewPart[]
}

/** The message that is edited. */
export interface EditedMessage {
  /** Its header section, as it was and as it is now. */
  readonly section: HeaderSection
  readonly header: EditedHeader
  readonly lineEnd: LineEnd
  readonly bodyStart: number
  readonly octets: number
  readonly read: RangeReader
}

interface Wrap {
  readonly boundary: string
  readonly inner: EditedHeader
  readonly before: BuiltPart[]
  readonly after: BuiltPart[]
}

const lf = 0x0a

/** The multipart that is made of a message, once something is put around it. */
export class Wrapping {
  readonly #message: EditedMessage
  #wrap: Wrap | null = null

  constructor(message: EditedMessage) {
    this.#message = message
  }

  /** The section of what the message was; `null` while it is not wrapped. */
  get inner(): EditedHeader | null {
    return this.#wrap?.inner ?? null
  }

  /** Those that were put around it. */
  get parts(): readonly BuiltPart[] {
    return this.#wrap === null ? [] : [...this.#wrap.before, ...this.#wrap.after]
  }

  /** Errors: as `buildPart`; then nothing is done. */
  add({ before = [], after = [] }: WrapOptions): void {
    const surroundings = { lineEnd: this.#message.lineEnd, forbidden: [] }
    const inFront = before.map((part) => buildPart(part, surroundings))
    const behind = after.map((part) => buildPart(part, surroundings))
    this.#wrap ??= wrapped(this.#message)
    this.#wrap.before.unshift(...inFront)
    this.#wrap.after.push(...behind)
    sayEightBit(this.#message.header, [...inFront, ...behind])
  }

  /** The body with `pieces` as that of what the message was; `blankLine` is what is missing before a body. */
  around(pieces: readonly Piece[], blankLine: string): Piece[] {
    if (this.#wrap === null) {
      return pieces.length === 0 || blankLine === '' ? [...pieces] : [bodyPiece(blankLine), ...pieces]
    }
    const { lineEnd } = this.#message
    const { boundary, inner, before, after } = this.#wrap
    const between = bodyPiece(`${lineEnd}--${boundary}${lineEnd}`)
    const whole: Piece[] = [bodyPiece(`${blankLine}--${boundary}${lineEnd}`)]
    const put = (part: BuiltPart): number => whole.push(headerPiece(part.section), ...part.content, between)
    for (const part of before) put(part)
    whole.push(headerPiece(inner.bytes()))
    for (const piece of pieces) whole.push(piece)
    whole.push(between)
    for (const part of after) put(part)
    whole.pop()
    whole.push(bodyPiece(`${lineEnd}--${boundary}--${lineEnd}`))
    return whole
  }
}

/** The fields that speak of the content go inside, and those of a multipart take their place. */
function wrapped({ header, lineEnd }: EditedMessage): Wrap {
  const names = contentNames(header)
  const encoding = header.get('Content-Transfer-Encoding')
  const moved: Buffer[] = []
  for (const { name, raw } of header.fields) {
    if (!names.has(name.toLowerCase())) continue
    moved.push(raw)
    if (raw.at(-1) !== lf) moved.push(Buffer.from(lineEnd))
  }
  const inner = editHeader(parseHeaderSection(Buffer.concat([...moved, Buffer.from(lineEnd)])))
  for (const name of names) header.remove(name)
  // In base64 and quoted-printable there is no such line, and chance makes none in 128 bits.
  const boundary = `=_${randomBytes(16).toString('hex')}`
  if (header.get('MIME-Version') === null) header.add('MIME-Version', '1.0')
  header.add('Content-Type', `multipart/mixed; boundary="${boundary}"`)
  // As `sayEightBit`.
  if (encoding !== null && isEightBit(encoding)) header.add('Content-Transfer-Encoding', encoding)
  return { boundary, inner, before: [], after: [] }
}

/** A multipart says what its parts need (RFC 2045 6.4). */
export function sayEightBit(header: EditedHeader, parts: readonly BuiltPart[]): void {
  const isNeeded = parts.some(({ fields }) => fields.some(([, value]) => value === '8bit'))
  if (isNeeded && !isEightBit(header.get('Content-Transfer-Encoding') ?? '')) {
    setField(header, 'Content-Transfer-Encoding', '8bit')
  }
}

function isEightBit(encoding: string): boolean {
  return /^(?:8bit|binary)\b/i.test(encoding)
}

/** Findings that leave open where the parts of a multipart are: nothing is put between them. */
const unclear = new Set<FindingKind>([
  ...(['two-boundaries', 'no-boundary', 'odd-boundary', 'boundary-prefix', 'boundary-after-end'] as const),
  ...(['unterminated-multipart', 'encoded-multipart', 'duplicate-field', 'bad-content-type'] as const),
  ...(['duplicate-parameter', 'bad-parameter'] as const),
])

/** Where a part can be put at the end of the multipart/mixed that the message is; `null` where it is none, or unclear. */
export async function endOfMixed(
  { root, findings, isOverLimit }: MessageReading,
  { read, octets }: Pick<EditedMessage, 'read' | 'octets'>,
): Promise<{ readonly start: number; readonly delimiter: string } | null> {
  const [first] = root.children
  const last = root.children.at(-1)
  if (root.contentType !== 'multipart/mixed' || first === undefined || last === undefined) return null
  const isUnclear = findings.some(({ kind, part }) => part === '' && unclear.has(kind))
  if (isUnclear || isOverLimit) return null
  const before = await delimiterBefore(read, first)
  const after = await delimiterAfter(read, last, octets)
  if (before === null || after?.text !== `${before.text}--`) return null
  return { start: after.start, delimiter: before.text }
}
