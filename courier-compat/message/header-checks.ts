/**
 * What is odd about a header section as a whole: fields that stand twice, lines that are no fields, blanks where readers
 * part.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 3.6 (which fields may stand once), 4.5; RFC 2045 3; spec reliability 6 E.
 */
import { isUtf8 } from 'node:buffer'
import { isField, type HeaderField, type HeaderSection } from '../header/section.ts'
import type { FindingKind } from './findings.ts'

/** Fields of a message that may stand once. */
const singletons: ReadonlySet<string> = new Set([
  ...['date', 'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'message-id', 'in-reply-to', 'references', 'subject'],
  ...['return-path', 'mime-version', 'content-type', 'content-transfer-encoding', 'content-disposition'],
  ...['content-id', 'content-description'],
])

/**
 * Those of them that say nothing by which mail is judged or shown: each mail server on the way of a forwarded message may
 * add a Return-Path, and mailing lists add to References.
 */
const harmlessTwice: ReadonlySet<string> = new Set([
  ...['return-path', 'references', 'in-reply-to', 'mime-version', 'content-id', 'content-description'],
])

/** Names of fields, in lower case and sorted, that may stand once in a header section and stand more often. */
export function repeatedSingletons(section: Pick<HeaderSection, 'fields'>): string[] {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { name } of section.fields) {
    const key = name.toLowerCase()
    if (!singletons.has(key)) continue
    if (seen.has(key)) repeated.add(key)
    seen.add(key)
  }
  return [...repeated].sort()
}

/** Tells each oddity of a header section, and where it stands. A part has only its `Content-` fields looked at for doubles. */
export function checkHeaderSection(
  section: HeaderSection,
  isMessage: boolean,
  tell: (kind: FindingKind, offset: number | null) => void,
): void {
  if (section.overLimit === 'sectionOctets') tell('limit-header-section', endOf(section))
  if (section.overLimit === 'fieldOctets') tell('limit-field', endOf(section))
  if (section.overLimit === 'lines') tell('limit-fields', endOf(section))
  const first = section.lines[0]
  const firstOctet = first?.raw[0]
  const isLeadingBlank = firstOctet === 0x20 || firstOctet === 0x09
  if (isLeadingBlank) tell('leading-blank', first?.start ?? null)
  for (const line of section.lines) {
    if (!isField(line)) {
      const isTold = line === first && (isLeadingBlank || isMboxLine(line.raw))
      if (!isTold) tell('no-field', line.start)
    } else if (line.raw[line.name.length] !== 0x3a) tell('space-before-colon', line.start)
  }
  const odd = section.lines.find(({ raw }) => !isUtf8(raw))
  if (odd !== undefined) tell('eight-bit-header', odd.start)
  checkRepeated(section.fields, isMessage, tell)
}

/** Values that are equal are read alike by everybody. */
function checkRepeated(
  fields: readonly HeaderField[],
  isMessage: boolean,
  tell: (kind: FindingKind, offset: number | null) => void,
): void {
  const first = new Map<string, HeaderField>()
  for (const field of fields) {
    const key = field.name.toLowerCase()
    if (!singletons.has(key) || !(isMessage || key.startsWith('content-'))) continue
    const before = first.get(key)
    if (before === undefined) first.set(key, field)
    else if (harmlessTwice.has(key) || before.value === field.value) tell('repeated-field', field.start)
    else tell('duplicate-field', field.start)
  }
}

/** `From someone Sat Jan 1 ...`, which mailbox files leave before a message: everybody knows it. */
function isMboxLine(raw: Buffer): boolean {
  const text = raw.toString('latin1', 0, 6)
  return text.startsWith('From ') || text === '>From '
}

function endOf(section: HeaderSection): number | null {
  return section.lines.at(-1)?.end ?? null
}
