/** What was sent, read as its recipient's program reads it. */
import { fieldsNamed } from '../../courier-compat/header/section.ts'
import { readMessageBytes } from '../../courier-compat/message/reader.ts'
import type { Part } from '../../courier-compat/message/reading.ts'
import type { OutgoingMail, Send } from '../../queue-store/notices/outgoing.ts'

/** A `send` that keeps what it is given. */
export function makeSink(): { readonly sent: OutgoingMail[]; readonly send: Send } {
  const sent: OutgoingMail[] = []
  const send = (mail: OutgoingMail): Promise<void> => {
    sent.push(mail)
    return Promise.resolve()
  }
  return { sent, send }
}

/** A message that was sent. */
export interface SentMail {
  readonly octets: Buffer
  /** The first field of this name. */
  readonly first: (name: string) => string | null
  readonly leaves: readonly Part[]
  /** The decoded texts of the leaves. */
  readonly texts: readonly string[]
  /** What a strict reader finds wrong with it. */
  readonly findings: readonly string[]
}

/** Reads one; nothing was sent where there is none. */
export async function readSent(mail: OutgoingMail | undefined): Promise<SentMail> {
  if (!(mail?.message instanceof Buffer)) throw new Error('no octets were sent')
  const octets = mail.message
  const reading = await readMessageBytes(octets)
  return {
    octets,
    first: (name) => fieldsNamed(reading.header, name)[0]?.value ?? null,
    leaves: reading.leaves,
    texts: await Promise.all(reading.leaves.map(async (part) => (await reading.text(part)).text)),
    findings: reading.findings.map(({ kind }) => kind),
  }
}
