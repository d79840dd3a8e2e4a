/**
 * The control file of a new message: an envelope -> its records, for whoever has a message but no Courier.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 4.4 and 4.5 (records and their order).
 */
import { recipientTriple } from './records.ts'
import { bytesOf } from './text.ts'

/** What is written into the control file. */
export interface SpoolEnvelope {
  readonly queueId: string
  /** `''` is the null sender. */
  readonly sender: string
  readonly recipients: readonly string[]
  readonly clientIp: string | null
  readonly helo: string
  readonly authUser: string | null
}

/**
 * Writes an envelope as control records, in Courier's order.
 * Errors: RangeError for a value with CR, LF or NUL: it would be read as further records.
 */
export function envelopeRecords(envelope: SpoolEnvelope, nowMs: number): Buffer {
  const now = Math.floor(nowMs / 1000)
  const { queueId, sender, recipients, clientIp, helo, authUser } = envelope
  const none = Buffer.alloc(0)
  return Buffer.concat([
    record('s', sender),
    record('f', `dns; ${helo} ([${clientIp ?? '127.0.0.1'}])`),
    record('e', ''),
    record('t', ''),
    record('M', queueId),
    ...recipients.map((address) => recipientTriple({ address: bytesOf(address), original: none, dsn: none })),
    ...(authUser === null ? [] : [record('i', authUser), record('O', 'RELAYCLIENT=')]),
    ...(clientIp === null
      ? []
      : [record('O', `TCPREMOTEIP=${clientIp.includes(':') ? clientIp : `::ffff:${clientIp}`}`)]),
    record('u', authUser === null ? 'smtp' : 'authsmtp'),
    record('E', String(now + 7 * 24 * 3600)),
    record('p', String(now + 8 * 3600)),
    record('W', String(now + 4 * 3600)),
  ])
}

const [lf, cr] = [0x0a, 0x0d]

function record(key: string, value: string): Buffer {
  const bytes = bytesOf(value)
  if ([0, lf, cr].some((octet) => bytes.includes(octet))) throw new RangeError(`record ${key} holds CR, LF or NUL`)
  return Buffer.concat([Buffer.from(key), bytes, Buffer.from('\n')])
}
