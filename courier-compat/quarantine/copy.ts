/**
 * Copies a message into the quarantine, in pieces, and learns in the same pass what is asked of it there.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { readHeaderOf } from '../header/file.ts'
import { fieldsNamed, type HeaderSection } from '../header/section.ts'
import type { Folder } from './folder.ts'
import { markField } from './mark.ts'
import { decodedLine } from './plain-text.ts'

/** What is known of a message that was copied. */
export interface CopiedMessage {
  readonly octets: number
  readonly sha256: string
  /**
   * The same for the same message when its sender brings it again: made of the body and of those fields that stay what
   * they are on the way. Who sends it, and to whom, is not in it.
   */
  readonly likeness: string
  /** Of the body alone. */
  readonly bodySha256: string
  readonly from: string
  readonly subject: string
  /** Values of our own field, whoever wrote them. */
  readonly marks: readonly string[]
}

/** What another attempt to deliver the same message may bring anew or change. */
const changing =
  /^(?:received|return-path|delivered-to|authentication-results|received-spf|dkim-signature|domainkey-signature|arc-[a-z-]{1,60}|x-(?:received|original-to|envelope-[a-z-]{1,60}|spam[a-z-]{0,60}|virus[a-z-]{0,60}|google-[a-z-]{1,60}|queue-?id|courier[a-z-]{0,60}))$/i

const pieceOctets = 256 * 1024
/** No message has many of our own fields that is not out to cost us time. */
const maxMarks = 20

/**
 * Copies the message at `bodyPath` into a new file of the folder; its octets are on disk when it resolves.
 * Errors: the system's; Error where the message is no regular file, or changes meanwhile; the signal's reason. The new
 *         file may then be there, in part.
 */
export async function copyMessage(
  bodyPath: string,
  folder: Folder,
  name: string,
  signal: AbortSignal | null,
): Promise<CopiedMessage> {
  const source = await open(bodyPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const section = readHeaderOf(source.fd, bodyPath)
    const target = await folder.create(name)
    try {
      const digests = await copy(source, bodyPath, target, section, signal)
      await target.datasync()
      const first = (field: string): string =>
        decodedLine(fieldsNamed(section, field)[0]?.valueBytes ?? Buffer.alloc(0))
      const marks = fieldsNamed(section, markField).slice(0, maxMarks)
      return { ...digests, from: first('From'), subject: first('Subject'), marks: marks.map(({ value }) => value) }
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** As `bodySha256` of a copy, for a message that is in the folder already. Errors: those of `Folder.open`. */
export async function bodySha256Of(folder: Folder, name: string): Promise<string> {
  const { handle } = await folder.open(name)
  try {
    const body = createHash('sha256')
    const piece = Buffer.allocUnsafe(pieceOctets)
    for (let at = readHeaderOf(handle.fd, name).bodyStart ?? 0; ;) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, at)
      if (bytesRead === 0) return body.digest('hex')
      body.update(piece.subarray(0, bytesRead))
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}

async function copy(
  source: FileHandle,
  path: string,
  target: FileHandle,
  section: HeaderSection,
  signal: AbortSignal | null,
): Promise<Pick<CopiedMessage, 'octets' | 'sha256' | 'likeness' | 'bodySha256'>> {
  const before = await source.stat()
  const [whole, body, alike] = [createHash('sha256'), createHash('sha256'), createHash('sha256')]
  // Without a known end of the header section everything counts: then only the very same octets are the same message.
  const bodyStart = section.bodyStart ?? 0
  if (section.bodyStart !== null) {
    for (const { name, raw } of section.lines) {
      if (name === null || !(changing.test(name) || name.toLowerCase() === markField.toLowerCase())) alike.update(raw)
    }
  }
  const piece = Buffer.allocUnsafe(pieceOctets)
  let octets = 0
  for (;;) {
    signal?.throwIfAborted()
    const { bytesRead } = await source.read(piece, 0, piece.length, octets)
    if (bytesRead === 0) break
    const read = piece.subarray(0, bytesRead)
    whole.update(read)
    if (octets + bytesRead > bodyStart) body.update(read.subarray(Math.max(0, bodyStart - octets)))
    await target.writeFile(read)
    octets += bytesRead
  }
  const after = await source.stat()
  if (octets !== before.size || after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
    throw new Error(`${path} was changed while it was copied into the quarantine`)
  }
  const bodySha256 = body.digest('hex')
  return { octets, sha256: whole.digest('hex'), bodySha256, likeness: alike.update(`\n${bodySha256}`).digest('hex') }
}
