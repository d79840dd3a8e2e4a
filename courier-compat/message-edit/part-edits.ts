/**
 * The edits of one message's parts, as they are made: which part is in hand for what, and what comes of all of them.
 *
 * Nothing is written here. Each edit becomes splices of the message as it was read; what no splice touches is copied.
 */
import { isAscii } from 'node:buffer'
import { editHeader, type EditedHeader, type HeaderEdit } from '../header/edit.ts'
import type { MessageReading, Part } from '../message/reading.ts'
import { delimiterAfter, delimiterBefore, lacksLineEnd } from './delimiters.ts'
import { buildContent, buildPart, type BuiltPart, type NewContent, type NewPart } from './new-part.ts'
import { contentNames, guarded, isEncrypted, missingBlankLine, setCharset, setField } from './part-fields.ts'
import { bodyPiece, headerPiece, spliced, type Piece, type Splice } from './pieces.ts'
import { EditRefused, MalformedContent } from './refusal.ts'
import { planText, textFor, type Additions } from './text-plan.ts'
import type { LineEnd } from './transfer-encode.ts'
import { endOfMixed, sayEightBit, Wrapping, type EditedMessage, type WrapOptions } from './wrapping.ts'

export type { EditedMessage, WrapOptions } from './wrapping.ts'

/** How text is added to a part. */
export interface TextOptions {
  /** What is added to a text/html part instead, as it stands. Without it the text is, so that it shows as it reads. */
  readonly html?: string
}

/** What a part is in hand for. */
interface Claim {
  readonly kind: 'text' | 'content' | 'whole' | 'removed'
  readonly splices: readonly Splice[]
  readonly additions: Additions
}

const noAdditions: Additions = { front: [], back: [] }

/** The edits of one message; see `Message` for what each of them does. */
export class PartEdits {
  readonly #message: EditedMessage
  #reading: MessageReading | null = null
  readonly #parts = new Map<string, Part>()
  readonly #claims = new Map<Part, Claim>()
  readonly #headers = new Map<Part, EditedHeader>()
  /** Parts that were put at the end of the multipart that the message is. */
  readonly #attached: Splice[] = []
  /** New parts, those of the wrap aside. */
  readonly #newParts: BuiltPart[] = []
  readonly #wrapping: Wrapping
  #changes = 0
  #pending = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(message: EditedMessage) {
    this.#message = message
    this.#wrapping = new Wrapping(message)
  }

  /** Grows with each edit. */
  get revision(): number {
    let revision = this.#changes + (this.#wrapping.inner?.revision ?? 0)
    for (const header of this.#headers.values()) revision += header.revision
    return revision
  }

  /** An edit was begun and is not done. */
  get isPending(): boolean {
    return this.#pending > 0
  }

  /** A field that is new has octets beyond ASCII; those of the message's own section aside. */
  get hasNewEightBitHeader(): boolean {
    if (this.#wrapping.inner?.hasNew8bit() === true) return true
    for (const header of this.#headers.values()) if (header.hasNew8bit()) return true
    return this.#builtParts().some(({ section }) => !isAscii(section))
  }

  /** From now on the parts of this reading can be edited. Errors: Error where it is one of another message. */
  begin(reading: MessageReading): void {
    const { bodyStart, octets } = this.#message
    if (reading.octets !== octets || reading.root.bodyStart !== bodyStart) {
      throw new Error('the message was changed since it was opened')
    }
    this.#reading = reading
    for (const part of reading.parts) this.#parts.set(part.path, part)
  }

  partHeader(part: Part): HeaderEdit {
    const own = this.#own(part)
    if (own.parent === null && this.#wrapping.inner === null) return this.#message.header
    this.#check(own)
    return guarded(this.#headerOf(own), () => this.#check(own))
  }

  replacePart(part: Part, given: NewPart): Promise<void> {
    return this.#edit(part, async (own) => {
      this.#claim(own, 'whole')
      const surroundings = this.#surroundings(own)
      const built = buildPart(given, surroundings)
      if (own.parent?.kind === 'multipart') {
        const pieces = [headerPiece(built.section), ...built.content]
        const after = await this.#endOf(own)
        this.#newParts.push(built)
        this.#put(own, 'whole', [{ start: own.start, end: own.end, pieces: [...pieces, ...after] }])
        return
      }
      // Of a message only what is said of its content goes.
      const content = await this.#contentOf(own, built.content)
      const header = this.#headerOf(own)
      for (const name of contentNames(header)) header.remove(name)
      for (const [name, value] of built.fields) header.add(name, value)
      this.#sayMime(own)
      this.#put(own, 'whole', content)
    })
  }

  replaceContent(part: Part, given: NewContent): Promise<void> {
    return this.#edit(part, async (own) => {
      if (own.kind !== 'leaf' || own.contentType.startsWith('multipart/')) throw new EditRefused('not-a-leaf', own.path)
      if (isEncrypted(own.contentType)) throw new EditRefused('encrypted', own.path)
      this.#claim(own, 'content')
      const header = this.#headerOf(own)
      const isSameType = given.contentType === undefined
      const { contentType, encoding, content } = buildContent(
        isSameType ? { ...given, contentType: own.contentType } : given,
        this.#surroundings(own),
      )
      const splices = await this.#contentOf(own, content)
      const charset = /; charset=([^;]+)$/.exec(contentType)?.[1]
      if (!isSameType) setField(header, 'Content-Type', contentType)
      else if (charset !== undefined) setCharset(header, own, charset)
      setField(header, 'Content-Transfer-Encoding', encoding)
      // They told of the old content.
      for (const name of ['Content-MD5', 'Content-Length']) header.remove(name)
      this.#sayMime(own)
      this.#put(own, 'content', splices)
    })
  }

  addText(part: Part, text: string, { html }: TextOptions, where: keyof Additions): Promise<void> {
    return this.#edit(part, async (own) => {
      if (isEncrypted(own.contentType)) throw new EditRefused('encrypted', own.path)
      if (own.contentType !== 'text/plain' && own.contentType !== 'text/html') {
        throw new EditRefused('not-text', own.path, own.contentType)
      }
      const before = this.#claim(own, 'text')
      const lines = textFor(own, text, html ?? null)
      const additions: Additions =
        where === 'front'
          ? { front: [lines, ...before.front], back: before.back }
          : { front: before.front, back: [...before.back, lines] }
      const range = { start: own.bodyStart, end: own.end }
      const written = own.header.fields.find(({ name }) => name.toLowerCase() === 'content-transfer-encoding')?.value
      const allowsEightBit = /^\s*(?:8bit|binary)\b/i.test(written ?? '')
      const { read } = this.#message
      const plan = await planText({ part: own, range, allowsEightBit, read, ...this.#surroundings(own) }, additions)
      const splices = await this.#contentOf(own, null, plan.splices)
      const header = this.#headerOf(own)
      if (plan.charset !== null) setCharset(header, own, plan.charset)
      if (plan.encoding !== null) setField(header, 'Content-Transfer-Encoding', plan.encoding)
      if (plan.charset !== null || plan.encoding !== null) this.#sayMime(own)
      this.#put(own, 'text', splices, additions)
    })
  }

  removePart(part: Part): Promise<void> {
    return this.#edit(part, async (own) => {
      const { parent } = own
      if (parent?.kind !== 'multipart') throw new EditRefused('message', own.path)
      this.#claim(own, 'removed')
      const isLeft = parent.children.some((child) => child !== own && this.#claims.get(child)?.kind !== 'removed')
      if (!isLeft) throw new EditRefused('last-part', own.path)
      const { read, octets } = this.#message
      const before = await delimiterBefore(read, own)
      if (before === null) throw new EditRefused('malformed', own.path, 'no boundary before it')
      const after = await delimiterAfter(read, own, Math.min(octets, parent.end))
      this.#put(own, 'removed', [{ start: before.start, end: after?.start ?? own.end, pieces: [] }])
    })
  }

  wrap(options: WrapOptions): void {
    this.#wrapping.add(options)
    this.#changes++
  }

  /** `read` has to have begun when it is done. */
  async attach(given: NewPart, read: () => Promise<unknown>): Promise<void> {
    await this.#alone(async () => {
      await read()
      const end = this.#wrapping.inner === null ? await this.#endOfMixed() : null
      if (end === null) {
        this.wrap({ after: [given] })
        return
      }
      const { lineEnd } = this.#message
      const built = buildPart(given, { lineEnd, forbidden: [end.delimiter] })
      const pieces: Piece[] = [
        bodyPiece(end.delimiter + lineEnd),
        headerPiece(built.section),
        ...built.content,
        bodyPiece(lineEnd),
      ]
      this.#newParts.push(built)
      sayEightBit(this.#message.header, [built])
      this.#attached.push({ start: end.start, end: end.start, pieces })
      this.#changes++
    })
  }

  /** The body as it is to be written. Errors: RangeError where edits overlap, which `#claim` prevents. */
  bodyPieces(): Piece[] {
    const { section, header, bodyStart, octets, lineEnd } = this.#message
    const splices: Splice[] = [...this.#attached]
    for (const [part, edited] of this.#headers) {
      if (edited.revision === 0) continue
      splices.push({ start: part.start, end: part.bodyStart, pieces: [headerPiece(edited.bytes())] })
    }
    for (const claim of this.#claims.values()) for (const splice of claim.splices) splices.push(splice)
    const pieces = spliced({ start: bodyStart, end: octets }, splices)
    const blankLine = missingBlankLine(header, section.separator, lineEnd)
    return this.#wrapping.around(pieces, blankLine)
  }

  /** One edit after the other, in the order in which they were asked for. */
  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#pending++
    const run = this.#last.then(work)
    this.#last = run.catch(() => undefined)
    try {
      return await run
    } finally {
      this.#pending--
    }
  }

  #edit(part: Part, work: (own: Part) => Promise<void>): Promise<void> {
    return this.#alone(async () => {
      const own = this.#own(part)
      try {
        await work(own)
      } catch (thrown) {
        if (!(thrown instanceof MalformedContent)) throw thrown
        throw new EditRefused('malformed', own.path, thrown.message)
      }
    })
  }

  /** A part of the same place in another reading of the message is as good. */
  #own(part: Part): Part {
    if (this.#reading === null) throw new TypeError('parts can be edited after `await message.read()`')
    const own = this.#parts.get(part.path)
    const isSame = own?.start === part.start && own.bodyStart === part.bodyStart && own.end === part.end
    if (own === undefined || !isSame) throw new TypeError(`part ${part.path} is none of this message as it was opened`)
    return own
  }

  /** Errors: EditRefused where nothing can be done within this part. */
  #check(own: Part): void {
    for (let at: Part | null = own; at !== null; at = at.parent) {
      const kind = this.#claims.get(at)?.kind
      if (kind === 'removed' || kind === 'whole') throw new EditRefused('overlap', own.path)
      if (at === own) continue
      if (at.contentType === 'multipart/signed') throw new EditRefused('signed', own.path)
      if (at.contentType === 'multipart/encrypted') throw new EditRefused('encrypted', own.path)
    }
  }

  /** Answers what was added to the part so far. Errors: EditRefused where another edit has it in hand. */
  #claim(own: Part, kind: Claim['kind']): Additions {
    this.#check(own)
    const claim = this.#claims.get(own)
    if (claim !== undefined && (kind !== 'text' || claim.kind !== 'text')) throw new EditRefused('overlap', own.path)
    if (kind === 'removed' || kind === 'whole') {
      const isBelow = (part: Part): boolean => {
        for (let at = part.parent; at !== null; at = at.parent) if (at === own) return true
        return false
      }
      for (const part of this.#claims.keys()) if (isBelow(part)) throw new EditRefused('overlap', own.path)
      for (const [part, { revision }] of this.#headers) {
        if (revision > 0 && (part === own || isBelow(part))) throw new EditRefused('overlap', own.path)
      }
      if (own.parent === null && this.#attached.length > 0) throw new EditRefused('overlap', own.path)
    }
    return claim?.additions ?? noAdditions
  }

  #put(own: Part, kind: Claim['kind'], splices: readonly Splice[], additions: Additions = noAdditions): void {
    this.#claims.set(own, { kind, splices, additions })
    this.#changes++
  }

  #headerOf(own: Part): EditedHeader {
    if (own.parent === null) return this.#wrapping.inner ?? this.#message.header
    const known = this.#headers.get(own)
    if (known !== undefined) return known
    if (own.header.overLimit !== null) throw new EditRefused('malformed', own.path, 'a header section over the limit')
    const header = editHeader(own.header)
    this.#headers.set(own, header)
    return header
  }

  #surroundings(own: Part): { lineEnd: LineEnd; forbidden: string[] } {
    const { lines, separator, lineEnd } = own.header
    const forbidden: string[] = []
    for (let at = own.parent; at !== null; at = at.parent) {
      const boundary = at.kind === 'multipart' ? at.parameters.get('boundary') : undefined
      if (boundary !== undefined && boundary !== '') forbidden.push(`--${boundary}`)
    }
    const isKnown = lines.length > 0 || separator.length > 0
    return { lineEnd: isKnown ? lineEnd : this.#message.lineEnd, forbidden }
  }

  /** Splices for a part's content, with the empty line before it and the line end after it where they are missing. */
  async #contentOf(own: Part, content: readonly Piece[] | null, splices: readonly Splice[] = []): Promise<Splice[]> {
    const { bodyStart: start, end } = own
    const { lineEnd } = this.#surroundings(own)
    // That of the message itself depends on whether it is wrapped in the end.
    const before = own.parent === null ? '' : missingBlankLine(this.#headerOf(own), own.header.separator, lineEnd)
    const after = await this.#endOf(own)
    return [
      ...(before === '' ? [] : [{ start, end: start, pieces: [bodyPiece(before)] }]),
      ...(content === null ? splices : [{ start, end, pieces: content }]),
      ...(after.length === 0 ? [] : [{ start: end, end, pieces: after }]),
    ]
  }

  async #endOf(own: Part): Promise<Piece[]> {
    const { read, octets } = this.#message
    return (await lacksLineEnd(read, own, octets)) ? [bodyPiece(this.#surroundings(own).lineEnd)] : []
  }

  /** What is said of the content of a message counts only in one that says that it is MIME. */
  #sayMime(own: Part): void {
    if (own.parent !== null && own.parent.kind !== 'message') return
    const header = own.parent === null ? this.#message.header : this.#headerOf(own)
    if (header.get('MIME-Version') === null) header.add('MIME-Version', '1.0')
  }

  #builtParts(): BuiltPart[] {
    return [...this.#newParts, ...this.#wrapping.parts]
  }

  /** See `endOfMixed`. */
  async #endOfMixed(): ReturnType<typeof endOfMixed> {
    const reading = this.#reading
    if (reading === null || this.#claims.has(reading.root)) return null
    return endOfMixed(reading, this.#message)
  }
}
