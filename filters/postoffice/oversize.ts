/**
 * The message that a consumer gets in place of one that is over the size limit: its fields, and a few words. The original is
 * kept, and its place told.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 8 with its successor's rules.
 */
import type { HeaderSection } from '../../courier-compat/index.ts'

/** What the words say. */
export interface OversizeFacts {
  readonly octets: number
  readonly limitOctets: number
  /** Where the original is kept, in words of ours; `null` where nobody can ask for it. */
  readonly reference: string | null
}

/**
 * The whole of the shortened message.
 *
 * Shape:  the fields in order, each exactly as it came; those that describe the content are called `X-Original-Content-...` and
 *         have ones that are true in their place. Lines that are no fields, such as mbox's `From `, are left out.
 *         No larger than the section and some hundred octets.
 */
export function oversizeMessage(section: HeaderSection, { octets, limitOctets, reference }: OversizeFacts): Buffer {
  const { lineEnd } = section
  const pieces: Buffer[] = []
  for (const { name, raw } of section.fields) {
    if (/^(?:content-|mime-version$)/i.test(name)) pieces.push(renamed)
    pieces.push(raw)
    // The last line of a message that is all header.
    if (raw.at(-1) !== 0x0a) pieces.push(Buffer.from(lineEnd))
  }
  const kept =
    reference === null ? 'The original is kept.' : `The original is kept as ${reference.replace(/[^\x20-\x7e]/g, '?')}.`
  const lines = [
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 7bit',
    '',
    `This message has ${octets} octets, more than the ${limitOctets} that are allowed, and its content was left out.`,
    kept,
    '',
  ]
  pieces.push(Buffer.from(lines.join(lineEnd)))
  return Buffer.concat(pieces)
}

const renamed = Buffer.from('X-Original-')
