/**
 * What is kept of a message beside its octets: the record of an entry, as a value and as JSON.
 *
 * Pure: no clock, socket, file or logger.
 */
import { isMessageFile } from './names.ts'

/** A recipient that the message was kept from. Texts as `control/text.ts` writes them. */
export interface KeptRecipient {
  readonly address: string
  readonly original: string
  /** NOTIFY flags (RFC 3461): a subset of `SFD`, or `N`, or `''`. */
  readonly dsn: string
}

/** The record. */
export interface EntryRecord {
  readonly id: string
  /** Another one for each entry, so that a token is good for this one alone. */
  readonly nonce: string
  /** When it was kept. Units: ms since the epoch. */
  readonly atMs: number
  readonly reason: string
  /** The mail server's id of the message (control record `M`), or `''`. */
  readonly queueId: string
  /** `''` is the null sender. */
  readonly sender: string
  /** RFC 3461 ENVID and RET as in the control file, or `''`. */
  readonly envelopeId: string
  readonly dsnFormat: string
  readonly recipients: readonly KeptRecipient[]
  /** Of the header section, decoded, cut, on one line; for people. */
  readonly from: string
  readonly subject: string
  readonly message: {
    /** Its name in the folder. */
    readonly file: string
    readonly octets: number
    readonly sha256: string
    readonly bodySha256: string
    /** The same for the same message when it comes again (see `copy.ts`). */
    readonly likeness: string
  }
  /** The control files as they were, octet for octet. */
  readonly controls: readonly Buffer[]
}

/** What a list tells of an entry. */
export type EntrySummary = Omit<EntryRecord, 'nonce' | 'controls' | 'envelopeId' | 'dsnFormat' | 'message'> & {
  readonly octets: number
}

/** No record comes near; a longer one is not read. */
export const maxRecordOctets = 16 * 1024 * 1024
/** Of all control files together. */
export const maxControlsOctets = 8 * 1024 * 1024

const format = 1

/** The record as JSON. */
export function formatEntry({ atMs, controls, ...rest }: EntryRecord): Buffer {
  const time = new Date(atMs).toISOString()
  const base64 = controls.map((control) => control.toString('base64'))
  return Buffer.from(`${JSON.stringify({ format, time, ...rest, controls: base64 }, null, 1)}\n`)
}

/** Reads a record. Errors: Error where it is none, or of another entry. */
export function parseEntry(content: Buffer, id: string): EntryRecord {
  const value = fieldsOf(JSON.parse(content.toString('utf8')))
  if (value['format'] !== format) throw new Error(`entry ${id} is of another format`)
  if (value['id'] !== id) throw new Error(`entry ${id} holds the record of another`)
  const message = fieldsOf(value['message'])
  const file = textIn(message, 'file')
  // It is opened: a name of something else would be shown, or sent, in its place.
  if (!isMessageFile(file, id)) throw new Error(`entry ${id} names a message that is not its own`)
  return {
    ...{ id, nonce: textIn(value, 'nonce'), atMs: timeIn(value), ...commonIn(value) },
    ...{ envelopeId: textIn(value, 'envelopeId'), dsnFormat: textIn(value, 'dsnFormat') },
    message: {
      ...{ file, octets: countIn(message, 'octets') },
      ...{ sha256: textIn(message, 'sha256'), bodySha256: textIn(message, 'bodySha256') },
      likeness: textIn(message, 'likeness'),
    },
    controls: listIn(value, 'controls').map((control) => Buffer.from(String(control), 'base64')),
  }
}

/** The summary of a record. */
export function summaryOf(record: EntryRecord): EntrySummary {
  const { id, atMs, reason, queueId, sender, recipients, from, subject, message } = record
  return { id, atMs, reason, queueId, sender, recipients, from, subject, octets: message.octets }
}

/** A summary as a line of the index. */
export function formatSummary({ atMs, ...rest }: EntrySummary): string {
  return JSON.stringify({ time: new Date(atMs).toISOString(), ...rest })
}

/** Reads a line of the index; `null` for what is none. */
export function parseSummary(line: string): EntrySummary | null {
  try {
    const value = fieldsOf(JSON.parse(line))
    return { id: textIn(value, 'id'), atMs: timeIn(value), ...commonIn(value), octets: countIn(value, 'octets') }
  } catch {
    return null
  }
}

type Fields = Readonly<Record<string, unknown>>

function commonIn(
  value: Fields,
): Pick<EntrySummary, 'reason' | 'queueId' | 'sender' | 'recipients' | 'from' | 'subject'> {
  const recipients = listIn(value, 'recipients').map((recipient) => {
    const fields = fieldsOf(recipient)
    return { address: textIn(fields, 'address'), original: textIn(fields, 'original'), dsn: textIn(fields, 'dsn') }
  })
  return {
    ...{ reason: textIn(value, 'reason'), queueId: textIn(value, 'queueId'), sender: textIn(value, 'sender') },
    ...{ recipients, from: textIn(value, 'from'), subject: textIn(value, 'subject') },
  }
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new Error('the record is damaged')
  return value as Fields
}

function textIn(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new Error(`the record is damaged: ${name}`)
  return value
}

function countIn(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new Error(`the record is damaged: ${name}`)
  }
  return value
}

function listIn(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name]
  if (!Array.isArray(value)) throw new Error(`the record is damaged: ${name}`)
  return value
}

function timeIn(fields: Fields): number {
  const ms = Date.parse(textIn(fields, 'time'))
  if (Number.isNaN(ms)) throw new Error('the record is damaged: time')
  return ms
}
