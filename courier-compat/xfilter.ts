/**
 * XFilter: changes a message in the spool.
 *
 *     const xfilter = new XFilter('my_filter', bodyPath, controlPaths)
 *     xfilter.getMessage().header.add('X-Checked', 'yes')
 *     return xfilter.submit()
 *
 * Nobody's octets change but those of the fields that were edited: not the folding of the others, not their letter case,
 * not lines that are no fields, and not the body.
 * Source: seed README.developers "courier.xfilter"; spec pythonfilter 3.3, its "Successor" lines; spec courier 4.9, 4.10.
 */
import { closeSync, fstatSync } from 'node:fs'
import { readControlFile } from './control-file.ts'
import { flagBytes } from './control-records.ts'
import { getControlData, type ControlData } from './control.ts'
import { editHeader, type EditedHeader, type HeaderEdit } from './header-edit.ts'
import { openMessage, readHeaderOf } from './header-file.ts'
import { parseHeaderSection, type HeaderSection } from './header-section.ts'
import { identityOf, type FileIdentity } from './kept-original.ts'
import { writeVersion } from './message-file.ts'
import { appendToControl, noteEdit } from './shared-reading.ts'

/** A message that can be changed. */
export interface Message {
  /** Its header section. */
  readonly header: HeaderEdit
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
  readonly #bodyStart: number
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
      this.#bodyStart = section.bodyStart ?? identity.size
      this.#message = new OpenMessage(section, null)
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
    if (message.body === null && message !== this.#submitted.message) {
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
    const { revision } = message.header
    if (message === this.#submitted.message && revision === this.#submitted.revision) return ''
    const head = message.header.bytes()
    const flags = message.newFlags()
    // Before the octets are there: a record too many does no harm, one too few breaks the message on its way.
    const beforeRename = (): void => {
      if (flags.length === 0) return
      for (const path of this.#controlPaths) appendToControl(path, (content) => flagBytes(content, flags))
    }
    try {
      const body = message.body ?? this.#bodyStart
      noteEdit(this.#bodyPath)
      await writeVersion({ bodyPath: this.#bodyPath, from: this.#from, head, body, beforeRename }, signal)
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
  const section = parseHeaderSection(content)
  return new OpenMessage(section, content.subarray(section.bodyStart ?? content.length))
}

class OpenMessage implements Message {
  readonly header: EditedHeader
  /** `null`: the body of the data file. */
  readonly body: Buffer | null

  constructor(section: HeaderSection, body: Buffer | null) {
    this.header = editHeader(section)
    this.body = body
  }

  /** The records that new octets need. What the message had before, Courier has seen itself. */
  newFlags(): ('8' | 'm')[] {
    const isOdd = (octet: number): boolean => octet > 0x7f
    const inHeader = this.body === null ? this.header.hasNew8bit() : this.header.bytes().some(isOdd)
    return [...(inHeader ? ['m' as const] : []), ...(this.body?.some(isOdd) === true ? ['8' as const] : [])]
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
