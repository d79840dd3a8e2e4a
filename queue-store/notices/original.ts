/** What a notice needs to know of the message that it is about: its header section, and what it says about itself. */
import { canonical, headerAddresses } from '../../courier-compat/addresses.ts'
import {
  findHeaderEnd,
  fieldsNamed,
  parseHeaderSection,
  type HeaderSection,
} from '../../courier-compat/header/section.ts'
import { decodedLine, oneLine } from '../../courier-compat/quarantine/plain-text.ts'
import type { Envelope, StoredMessage } from '../depot-types.ts'

/** So much of a header section is read, and so much of it goes back with a bounce. */
const maxSectionOctets = 256 * 1024
const maxReturnedOctets = 64 * 1024
/** Of the messages before it; RFC 5322 has no limit, and long threads no end. */
const maxReferences = 20

/** What is known of it. */
export interface Original {
  /** For people: to whom it was sent. */
  readonly to: string
  /** Its Date as its author wrote it; `null` without one. */
  readonly date: string | null
  /** Its Message-ID with brackets, if it is one. */
  readonly messageId: string | null
  /** The messages before it in its thread, and itself. */
  readonly references: readonly string[]
  /** To whom it went: by its envelope, else by X-Original-To, else by To. */
  readonly recipients: readonly string[]
  /** The beginning of the header section, whole fields. */
  readonly returned: Buffer
}

/** Reads the header section, of at most 256 KiB. Errors: those of the stream. */
export async function readHeader(message: Pick<StoredMessage, 'stream'>): Promise<HeaderSection> {
  const stream = message.stream()
  let octets: Buffer = Buffer.alloc(0)
  let isWhole = true
  try {
    for await (const piece of stream) {
      const seen = octets.length
      octets = Buffer.concat([octets, piece as Buffer])
      if (findHeaderEnd(octets, seen) !== null) break
      isWhole = octets.length < maxSectionOctets
      if (!isWhole) break
    }
  } finally {
    stream.destroy()
  }
  // Half an address is another address: a field that was cut is not there.
  const read = octets.subarray(0, maxSectionOctets)
  return parseHeaderSection(isWhole ? octets : read.subarray(0, read.lastIndexOf(0x0a) + 1))
}

/** What the header section says. Pure. */
export function originalOf(header: HeaderSection, envelope: Envelope | null): Original {
  const first = (name: string): string | null => {
    const field = fieldsNamed(header, name).find(({ value }) => value !== '')
    return field === undefined ? null : decodedLine(field.valueBytes)
  }
  const recipients = envelope?.recipients ?? recipientsIn(header)
  const ids = fieldsNamed(header, 'Message-ID').flatMap(({ value }) => idsIn(value))
  const earlier = fieldsNamed(header, 'References').flatMap(({ value }) => idsIn(value))
  const messageId = ids[0] ?? null
  const before = earlier.filter((id) => id !== messageId).slice(-maxReferences)
  const returned: Buffer[] = []
  let octets = 0
  for (const { raw } of header.lines) {
    octets += raw.length
    if (octets > maxReturnedOctets) break
    returned.push(raw)
  }
  return {
    to: first('To') ?? (recipients.length === 0 ? '?' : oneLine(recipients.slice(0, 10).join(', '))),
    date: first('Date'),
    messageId,
    references: messageId === null ? before : [...before, messageId],
    recipients,
    returned: Buffer.concat(returned),
  }
}

function recipientsIn(header: HeaderSection): string[] {
  for (const name of ['X-Original-To', 'To']) {
    const list = headerAddresses(header, name)
    if (list.ok && list.mailboxes.length > 0) return list.mailboxes.map(({ address }) => canonical(address))
  }
  return []
}

/** Message-IDs in a value: what is none is left out, for it is to be written into a field of ours. */
function idsIn(value: string): string[] {
  return value.slice(0, 65_536).match(/<[!-;=?-~]{1,250}>/g) ?? []
}
