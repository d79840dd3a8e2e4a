/**
 * Writes notices: bounces as delivery status notifications, notices of a quarantine as plain mail.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 14; RFC 3464 (delivery status), RFC 6522 (multipart/report), RFC 6533 (addresses in UTF-8), RFC 3834
 *         (Auto-Submitted), [MS-OXCMAIL] 2.1.3.2.20 (X-Auto-Response-Suppress), RFC 5322 3.3 (dates), RFC 2045 6.7, 6.8.
 */
import { canonical, formatAddress, needsUtf8, parseAddress, type Address } from '../../courier-compat/addresses.ts'
import { fieldsNamed, parseHeaderSection } from '../../courier-compat/header/section.ts'
import { fieldBytes } from '../../courier-compat/header/value.ts'
import { needsOf, quotedPrintable } from '../../courier-compat/message-edit/transfer-encode.ts'
import { oneLine } from '../../courier-compat/quarantine/plain-text.ts'
import type { Original } from './original.ts'
import { markField } from './seal.ts'
import type { NoticeFacts, NoticeTexts } from './texts.ts'

/** What is written about. */
export type NoticeKind = 'bounce' | 'quarantine'

/** One notice. */
export interface NoticeOrder {
  readonly kind: NoticeKind
  readonly from: { readonly name: string | null; readonly address: Address }
  readonly to: Address
  readonly original: Original
  readonly texts: NoticeTexts
  /** For a bounce; `null`: that of the texts. */
  readonly reason: string | null
  /** For a bounce: RFC 3463, of class 5. */
  readonly status: string
  /** Our name, as others know it. */
  readonly host: string
  readonly nowMs: number
  /** When the message came. */
  readonly arrivedMs: number
  readonly id: string
  /** The value of `markField`. */
  readonly mark: string
}

const lineEnd = '\r\n'
/** More lines of a reason are no reason. */
const maxReasonLines = 50
const maxRecipients = 50

/** The whole message, with CRLF. Errors: RangeError for a status that is none of a failure. */
export function composeNotice(order: NoticeOrder): Buffer {
  const { kind, texts, original, reason, nowMs, id, host } = order
  const facts: NoticeFacts = {
    to: original.to,
    date: original.date ?? dateText(nowMs),
    reason: linesOf(reason ?? texts.defaultReason),
    host,
  }
  if (kind === 'quarantine') {
    return Buffer.concat([
      fieldsOf(order, texts.quarantineSubject(facts)),
      textPart(texts.quarantineText(facts), texts.language),
    ])
  }
  // Nobody but us can know the id beforehand: no line of the message is this boundary.
  const boundary = `=_${id}`
  const parts = [
    textPart(texts.bounceText(facts), texts.language),
    statusPart(order, facts.reason),
    headerPart(original.returned),
  ]
  return Buffer.concat([
    fieldsOf(order, texts.bounceSubject(facts)),
    field('Content-Type', `multipart/report; report-type=delivery-status; boundary="${boundary}"`),
    ...parts.flatMap((part) => [Buffer.from(`${lineEnd}--${boundary}${lineEnd}`), part]),
    Buffer.from(`${lineEnd}--${boundary}--${lineEnd}`),
  ])
}

/**
 * A message that the application wrote, made a notice: the mark is added, and of From, To, Date, Message-ID, Auto-Submitted what is
 * missing; nothing else is changed.
 *
 * Shape: octets without a header section are taken for a body.
 */
export function composeOwn(
  message: Uint8Array,
  order: Pick<NoticeOrder, 'from' | 'to' | 'nowMs' | 'id' | 'mark'>,
): Buffer {
  const octets = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const header = parseHeaderSection(octets)
  const isHeader = header.fields.length > 0 && header.fields.length === header.lines.length
  const end = isHeader ? header.lineEnd : lineEnd
  const added = commonFields(order, end).filter(
    ([name]) => name === markField || !isHeader || fieldsNamed(header, name).length === 0,
  )
  const fields = added.map(([, bytes]) => bytes)
  return Buffer.concat(isHeader ? [...fields, octets] : [...fields, Buffer.from(end), octets])
}

function fieldsOf(order: NoticeOrder, subject: string): Buffer {
  const { messageId, references } = order.original
  return Buffer.concat([
    ...commonFields(order, lineEnd).map(([, bytes]) => bytes),
    field('Subject', oneLine(subject, 400)),
    ...(messageId === null ? [] : [field('In-Reply-To', messageId)]),
    ...(references.length === 0 ? [] : [field('References', references.join(' '))]),
    field('X-Auto-Response-Suppress', 'All'),
    field('MIME-Version', '1.0'),
  ])
}

type Line = '\n' | '\r\n'

function commonFields(
  { from, to, nowMs, id, mark }: Pick<NoticeOrder, 'from' | 'to' | 'nowMs' | 'id' | 'mark'>,
  end: Line,
): readonly (readonly [name: string, bytes: Buffer])[] {
  const address = (name: string, value: string, addressed: Address): readonly [string, Buffer] => [
    name,
    fieldBytes(name, value, end, needsUtf8(addressed) ? { encoding: 'utf8' } : {}),
  ]
  const plain = (name: string, value: string): readonly [string, Buffer] => [name, fieldBytes(name, value, end)]
  return [
    address('From', formatAddress(from), from.address),
    address('To', `<${canonical(to)}>`, to),
    plain('Date', dateText(nowMs)),
    plain('Message-ID', `<${id}@${from.address.domain.replace(/[[\]]/g, '')}>`),
    plain('Auto-Submitted', 'auto-replied'),
    plain(markField, mark),
  ]
}

function field(name: string, value: string): Buffer {
  return fieldBytes(name, value, lineEnd)
}

/** Fields, the empty line, and the text. */
function textPart(paragraphs: readonly (readonly string[])[], language: string): Buffer {
  const lines = paragraphs.flatMap((paragraph, index) => (index === 0 ? paragraph : ['', ...paragraph]))
  const text = `${lines.join(lineEnd)}${lineEnd}`
  const isPlain = /^[\r\n -~]*$/.test(text) && lines.every((line) => line.length <= 900)
  const body = isPlain
    ? text
    : Buffer.from(text)
        .toString('base64')
        .replace(/.{1,76}/g, (row) => `${row}${lineEnd}`)
  return Buffer.concat([
    field('Content-Type', 'text/plain; charset=utf-8'),
    field('Content-Language', language),
    field('Content-Transfer-Encoding', isPlain ? '7bit' : 'base64'),
    Buffer.from(`${lineEnd}${body}`),
  ])
}

function statusPart({ original, status, host, arrivedMs }: NoticeOrder, reason: readonly string[]): Buffer {
  if (!/^5\.\d{1,3}\.\d{1,3}$/.test(status)) {
    throw new RangeError(`${JSON.stringify(status.slice(0, 40))} is no status of a failure (RFC 3463), such as 5.6.0`)
  }
  // A report without any recipient is none.
  const recipients = original.recipients.length === 0 ? ['unknown'] : original.recipients.slice(0, maxRecipients)
  const groups = recipients.map((recipient) =>
    Buffer.concat([
      Buffer.from(lineEnd),
      field('Final-Recipient', finalRecipient(recipient)),
      field('Action', 'failed'),
      field('Status', status),
      field('Diagnostic-Code', `x-postoffice; ${oneLine(reason.join(' '), 500)}`),
    ]),
  )
  return Buffer.concat([
    field('Content-Type', 'message/delivery-status'),
    Buffer.from(lineEnd),
    field('Reporting-MTA', `dns; ${oneLine(host, 255)}`),
    field('Arrival-Date', dateText(arrivedMs)),
    ...groups,
  ])
}

/** RFC 6533 3: an address beyond ASCII is written in ASCII. */
function finalRecipient(text: string): string {
  const read = parseAddress(text)
  const address = read.ok ? canonical(read.address) : oneLine(text, 255)
  if (/^[ -~]*$/.test(address)) return `rfc822; ${address}`
  const escaped = Array.from(address, (character) =>
    /^[!-*,-<>-[\]-~]$/.test(character)
      ? character
      : `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`,
  )
  return `utf-8; ${escaped.join('')}`
}

/** The header section of the message, as it came: to its author it says which it was, and not what was in it. */
function headerPart(returned: Buffer): Buffer {
  // A line that begins with dashes might be a boundary of another message around this one.
  const { isAscii, isPlain } = needsOf(returned, ['--'])
  const body = isAscii && isPlain ? returned : quotedPrintable(returned, { lineEnd, isText: true, forbidden: ['--'] })
  const lines = body.toString('latin1').replaceAll(/\r?\n/g, lineEnd)
  return Buffer.concat([
    field('Content-Type', 'text/rfc822-headers'),
    field('Content-Transfer-Encoding', body === returned ? '7bit' : 'quoted-printable'),
    Buffer.from(`${lineEnd}${lines}`, 'latin1'),
  ])
}

function linesOf(reason: string): string[] {
  const lines = reason.split(/\r?\n/, maxReasonLines).map((line) => oneLine(line, 500))
  return lines.filter((line) => line !== '')
}

/** `Sat, 21 Nov 2026 20:47:10 +0000` */
function dateText(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000')
}
