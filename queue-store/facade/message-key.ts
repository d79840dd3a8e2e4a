/**
 * What makes two messages one, and two senders one, for the queue library's old methods. Pure but for reading a header section.
 *
 * Source: spec postoffice 9 (duplicates: Message-Id and X-Original-To), 7 (loops: the address, not the raw From).
 */
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { canonical, parseAddressList } from '../../courier-compat/addresses.ts'
import { fieldsNamed, type HeaderSection } from '../../courier-compat/header/section.ts'
import type { Content, StoredMessage } from '../depot-types.ts'
import { digestOf } from '../keys.ts'
import { readHeader } from '../notices/original.ts'

/** A message that can be read more than once. */
export type Examined = { readonly path: string } | Uint8Array | { readonly message: Pick<StoredMessage, 'stream'> }

/** More of a message that is only passing through is not kept. */
const keptOctets = 256 * 1024

/** The header section of a message. Errors: those of its file. */
export function headerOf(message: Examined): Promise<HeaderSection> {
  if (message instanceof Uint8Array) return readHeader({ stream: () => Readable.from([Buffer.from(message)]) })
  const { stream } = 'path' in message ? { stream: () => createReadStream(message.path) } : message.message
  return readHeader({ stream })
}

/** A content to be handed on, and its header section once it was read. */
export function withHeader(message: Content): { content: Content; header: () => Promise<HeaderSection> } {
  if (!(message instanceof Readable)) return { content: message, header: () => headerOf(message) }
  const kept: Uint8Array[] = []
  const pass = async function* (): AsyncGenerator<Uint8Array> {
    let octets = 0
    for await (const piece of message) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : (piece as Uint8Array)
      if (octets < keptOctets) kept.push(bytes)
      octets += bytes.length
      yield bytes
    }
  }
  return {
    content: Readable.from(pass(), { objectMode: false }),
    header: () => headerOf(Buffer.concat(kept)),
  }
}

/** The key of a message in a queue; `null` where it has no Message-Id. */
export function messageKey(queue: string, header: HeaderSection): string | null {
  const messageId = fieldsNamed(header, 'Message-Id')[0]?.value ?? ''
  if (messageId === '') return null
  return keyOf(queue, messageId, fieldsNamed(header, 'X-Original-To')[0]?.value ?? null)
}

/** The key of a sender in a queue, for one set of header values; none and no headers are the same. */
export function senderKey(queue: string, user: string, headers: Readonly<Record<string, string>> | null): string {
  const values = Object.entries(headers ?? {}).map(([name, value]): [string, string] => [name.toLowerCase(), value])
  return keyOf(queue, senderText(user), ...values.sort(([one], [other]) => (one < other ? -1 : 1)).flat())
}

/** The address in what stands in a From field, in lower case; where there is none to be made out, its text. */
export function senderText(from: string): string {
  const list = parseAddressList(from)
  const [mailbox] = list.ok ? list.mailboxes : []
  return (mailbox === undefined ? from.trim() : canonical(mailbox.address)).toLowerCase()
}

function keyOf(...texts: readonly (string | null)[]): string {
  return digestOf(JSON.stringify(texts)).toString('base64url')
}
