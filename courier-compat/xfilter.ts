/**
 * XFilter: changes a message in the spool.
 *
 *     const xfilter = new XFilter('my_filter', bodyPath, controlPaths)
 *     xfilter.getMessage().header.add('X-Checked', 'yes')
 *     return xfilter.submit()
 *
 * Nobody's octets change but those of the fields and parts that were edited: not the folding of other fields, not their
 * letter case, not lines that are no fields, and not the octets of other parts.
 * Source: seed README.developers "courier.xfilter"; spec pythonfilter 3.3, its "Successor" lines; spec courier 4.9, 4.10.
 */
import { isAscii } from 'node:buffer'
import { closeSync, fstatSync, lstatSync } from 'node:fs'
import { readControlFile } from './control/file.ts'
import { flagBytes } from './control/records.ts'
import { getControlData, type ControlData } from './control.ts'
import { editHeader, type EditedHeader, type HeaderEdit } from './header/edit.ts'
import { openMessage, readHeaderOf } from './header/file.ts'
import { parseHeaderSection, type HeaderSection } from './header/section.ts'
import { identityOf, isSameFile, type FileIdentity } from './kept-original.ts'
import { writeVersion, type Written } from './message-file.ts'
import type { NewContent, NewPart } from './message-edit/new-part.ts'
import { PartEdits, type TextOptions, type WrapOptions } from './message-edit/part-edits.ts'
import { headerPiece, type Piece } from './message-edit/pieces.ts'
import { rangeOfBytes, readRange, type RangeReader } from './message/range.ts'
import { readMessageBytes } from './message/reader.ts'
import type { MessageReading, Part } from './message/reading.ts'
import { appendToControl, noteEdit, readMessage } from './shared-reading.ts'

/**
 * A message that can be changed: its header section, and its parts.
 *
 * The parts are those of `read`. Edits of parts are done in the order in which they are asked for; await each. One that
 * cannot be done is refused with an EditRefused at once, and nothing of it is done.
 * Errors: EditRefused; RangeError for what cannot be written (a line end in a header value, a type that is none);
 *         TypeError for a part of another message; the system's, and Error where the message was changed since it was
 *         opened.
 */
export interface Message {
  /** Its header section. */
  readonly header: HeaderEdit
  /** The message as it was opened, without the edits: its parts, where they stand, what they contain. Read once. */
  read(): Promise<MessageReading>
  /** The header section of a part. That of the message itself is `header`, or once it is wrapped what went inside. */
  partHeader(part: Part): HeaderEdit
  /** A new part in the place of this one. Of the message itself the fields stay that do not speak of its content. */
  replacePart(part: Part, replacement: NewPart): Promise<void>
  /** New content for a part that keeps its header section, but for what has to be said of the content. */
  replaceContent(part: Part, content: NewContent): Promise<void>
  /**
   * Adds text at the end of a text/plain or text/html part, in HTML before the end of its body. Lines of text that are added
   * one after the other stand in that order.
   */
  appendText(part: Part, text: string, options?: TextOptions): Promise<void>
  /** Adds text at the beginning; what is added later stands above. */
  prependText(part: Part, text: string, options?: TextOptions): Promise<void>
  /** Removes a part of a multipart, which has to keep one. */
  removePart(part: Part): Promise<void>
  /**
   * Makes a multipart/mixed of the message: what it was becomes a part, octet for octet, with the fields that speak of its
   * content. A message that is wrapped already gets the parts into the same multipart, around those that it has.
   */
  wrap(options?: WrapOptions): void
  /** Adds a part at the end: of the multipart/mixed that the message is, else by `wrap`. */
  attach(part: NewPart): Promise<void>
}

/** The message, or one of its control files, cannot be opened, or its header section is beyond all measure. */
export class InitError extends Error {
  override readonly name = 'InitError'
}

/**
 * One filter's edit of one message. What is not submitted is not done.
 *
 * Errors: InitError from the constructor where the message or a control file cannot be opened.
 */
export class XFilter {
  readonly #name: string
  readonly #bodyPath: string
  readonly #controlPaths: readonly string[]
  readonly #from: FileIdentity
  #message: OpenMessage
  #submitted: { readonly message: OpenMessage; readonly revision: number }

  /** `name` is the filter's, for the texts of errors; the paths are those that `doFilter` was given. */
  constructor(name: string, bodyPath: string, controlPaths: readonly string[]) {
    this.#name = name
    this.#bodyPath = bodyPath
    this.#controlPaths = [...controlPaths]
    try {
      if (controlPaths.length === 0) throw new Error('there is no control file')
      for (const path of controlPaths) readControlFile(path)
      const { section, identity } = look(bodyPath)
      this.#from = identity
      this.#message = new OpenMessage(section, fileOctets(bodyPath, identity))
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown)
      throw new InitError(`${name}: ${bodyPath} cannot be edited: ${text}`, { cause: thrown })
    }
    this.#submitted = { message: this.#message, revision: 0 }
  }

  /** The message as it is in the spool, with the edits made through this object so far. */
  getMessage(): Message {
    return this.#message
  }

  /** Another message, of `parseMessage`, to take its place. Errors: TypeError for what is none. */
  setMessage(message: Message): void {
    if (!(message instanceof OpenMessage)) throw new TypeError('setMessage takes what getMessage or parseMessage gave')
    if (message.content === null && message !== this.#submitted.message) {
      throw new TypeError('setMessage takes no message of another XFilter: its body is in another file')
    }
    this.#message = message
  }

  /** What the control files say, read now; see `getControlData`. */
  getControlData(): ControlData {
    return getControlData(this.#controlPaths)
  }

  /**
   * Puts the edited message into the spool. Answers `''`, so that a filter can end with `return xfilter.submit()`.
   *
   * Shape:  nothing was edited: nothing is written. Otherwise the data file is replaced as a whole, the original stays
   *         beside it until the host has settled the message, and Courier is told of 8-bit octets that are new (records
   *         `m` and `8`). `signal` ends it before the replacement: hand it `context.signal`.
   * Errors: Error, its cause the system's, with the data file as it was; also where the message was changed since it was
   *         opened, be it by this object. The signal's reason where it was aborted.
   */
  async submit({ signal = null }: { readonly signal?: AbortSignal | null } = {}): Promise<string> {
    const message = this.#message
    if (message.isPending) throw new Error(`${this.#name}: an edit is not done yet: await it before submit`)
    const { revision } = message
    if (message === this.#submitted.message && revision === this.#submitted.revision) return ''
    const pieces = message.pieces()
    const { content, hasNewEightBitHeader } = message
    // Before the octets are there: a record too many does no harm, one too few breaks the message on its way.
    const beforeRename = ({ hasNewEightBit }: Written): void => {
      const flags = [...(hasNewEightBitHeader ? ['m' as const] : []), ...(hasNewEightBit ? ['8' as const] : [])]
      if (flags.length === 0) return
      for (const path of this.#controlPaths) appendToControl(path, (content) => flagBytes(content, flags))
    }
    try {
      noteEdit(this.#bodyPath)
      await writeVersion({ bodyPath: this.#bodyPath, from: this.#from, pieces, content, beforeRename }, signal)
    } catch (thrown) {
      if (signal?.aborted === true) throw thrown
      const text = thrown instanceof Error ? thrown.message : String(thrown)
      throw new Error(`${this.#name}: the edited message was not written: ${text}`, { cause: thrown })
    }
    this.#submitted = { message, revision }
    return ''
  }
}

/** An XFilter whose `submit` does nothing: for trying what a filter would do. */
export class DummyXFilter extends XFilter {
  override submit(): Promise<string> {
    return Promise.resolve('')
  }
}

/**
 * Makes a message of octets, for `setMessage`.
 *
 * Shape:  CRLF becomes LF, as Courier stores mail. The octets are not always copied: do not write into them afterwards.
 * Errors: RangeError for NUL, which Courier never stores, and for a header section over the limits.
 */
export function parseMessage(bytes: Uint8Array): Message {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (given.includes(0)) throw new RangeError('the message holds NUL')
  const content = given.includes('\r\n')
    ? Buffer.from(given.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
    : given
  const octets: MessageOctets = {
    octets: content.length,
    content,
    read: (start, end) => rangeOfBytes(content, start, end),
    open: () => readMessageBytes(content),
  }
  return new OpenMessage(parseHeaderSection(content), octets)
}

/** Where a message's octets are. */
interface MessageOctets {
  readonly octets: number
  /** All of them, where they are in memory. */
  readonly content: Buffer | null
  readonly read: RangeReader
  readonly open: () => Promise<MessageReading>
}

function fileOctets(path: string, identity: FileIdentity): MessageOctets {
  const open = async (): Promise<MessageReading> => {
    const reading = await readMessage(path)
    if (isSameFile(identity, identityOf(lstatSync(path)))) return reading
    throw new Error(`${path} was changed since it was opened`)
  }
  return { octets: identity.size, content: null, read: (start, end) => readRange(path, identity, start, end), open }
}

class OpenMessage implements Message {
  readonly header: EditedHeader
  /** `null`: that of the data file. */
  readonly content: Buffer | null
  readonly #open: () => Promise<MessageReading>
  readonly #edits: PartEdits
  #reading: Promise<MessageReading> | null = null

  constructor(section: HeaderSection, { octets, content, read, open }: MessageOctets) {
    this.header = editHeader(section)
    this.content = content
    this.#open = open
    const { lineEnd, bodyStart } = section
    this.#edits = new PartEdits({ section, header: this.header, lineEnd, bodyStart: bodyStart ?? octets, octets, read })
  }

  get revision(): number {
    return this.header.revision + this.#edits.revision
  }

  get isPending(): boolean {
    return this.#edits.isPending
  }

  /** What the message had before, Courier has seen itself. */
  get hasNewEightBitHeader(): boolean {
    const isNew = this.content === null ? this.header.hasNew8bit() : !isAscii(this.header.bytes())
    return isNew || this.#edits.hasNewEightBitHeader
  }

  /** The whole message as it is to be written. */
  pieces(): Piece[] {
    return [headerPiece(this.header.bytes()), ...this.#edits.bodyPieces()]
  }

  read(): Promise<MessageReading> {
    this.#reading ??= this.#begin()
    return this.#reading
  }

  async #begin(): Promise<MessageReading> {
    try {
      const reading = await this.#open()
      this.#edits.begin(reading)
      return reading
    } catch (thrown) {
      this.#reading = null
      throw thrown
    }
  }

  partHeader(part: Part): HeaderEdit {
    return this.#edits.partHeader(part)
  }

  replacePart(part: Part, replacement: NewPart): Promise<void> {
    return this.#edits.replacePart(part, replacement)
  }

  replaceContent(part: Part, content: NewContent): Promise<void> {
    return this.#edits.replaceContent(part, content)
  }

  appendText(part: Part, text: string, options: TextOptions = {}): Promise<void> {
    return this.#edits.addText(part, text, options, 'back')
  }

  prependText(part: Part, text: string, options: TextOptions = {}): Promise<void> {
    return this.#edits.addText(part, text, options, 'front')
  }

  removePart(part: Part): Promise<void> {
    return this.#edits.removePart(part)
  }

  wrap(options: WrapOptions = {}): void {
    this.#edits.wrap(options)
  }

  attach(part: NewPart): Promise<void> {
    return this.#edits.attach(part, () => this.read())
  }
}

function look(bodyPath: string): { section: HeaderSection; identity: FileIdentity } {
  const fd = openMessage(bodyPath)
  try {
    return { section: readHeaderOf(fd, bodyPath), identity: identityOf(fstatSync(fd)) }
  } finally {
    closeSync(fd)
  }
}
