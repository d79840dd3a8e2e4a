/** Writes a message as a pair, for whoever has a message but no Courier: `nodefilter check` today, other doors later. */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { recipientTriple } from '../courier-compat/control-records.ts'
import { bytesOf } from '../courier-compat/control-text.ts'
import type { Pair } from './edits.ts'
import type { Files } from './platform/files.ts'

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
 * Writes one pair into `folder`, named after `stem`, the message read from `messagePath` in pieces.
 *
 * Shape:  as Courier writes them: LF line ends and a final LF in the data file (spec courier 4.2), records in the order
 *         of spec courier 4.5.
 * Errors: those of the file system; RangeError for a value with CR, LF or NUL: it would be read as further records.
 */
export function writePair(
  folder: string,
  stem: string,
  messagePath: string,
  envelope: SpoolEnvelope,
  files: Files,
  nowMs: number,
): Pair {
  const bodyPath = join(folder, `D${stem}`)
  const controlPath = join(folder, stem)
  copyAsLines(messagePath, bodyPath, files)
  const now = Math.floor(nowMs / 1000)
  const { queueId, sender, recipients, clientIp, helo, authUser } = envelope
  const line = (key: string, value: string): Buffer => {
    const bytes = bytesOf(value)
    if ([0, lf, cr].some((octet) => bytes.includes(octet))) throw new RangeError(`record ${key} holds CR, LF or NUL`)
    return Buffer.concat([Buffer.from(key), bytes, Buffer.from('\n')])
  }
  const none = Buffer.alloc(0)
  const records = [
    line('s', sender),
    line('f', `dns; ${helo} ([${clientIp ?? '127.0.0.1'}])`),
    line('e', ''),
    line('t', ''),
    line('M', queueId),
    ...recipients.map((address) => recipientTriple({ address: bytesOf(address), original: none, dsn: none })),
    ...(authUser === null ? [] : [line('i', authUser), line('O', 'RELAYCLIENT=')]),
    ...(clientIp === null
      ? []
      : [line('O', `TCPREMOTEIP=${clientIp.includes(':') ? clientIp : `::ffff:${clientIp}`}`)]),
    line('u', authUser === null ? 'smtp' : 'authsmtp'),
    line('E', String(now + 7 * 24 * 3600)),
    line('p', String(now + 8 * 3600)),
    line('W', String(now + 4 * 3600)),
  ]
  files.writeFileSync(controlPath, Buffer.concat(records), { mode: 0o660, flag: 'wx' })
  return { bodyPath, controlPaths: [controlPath] }
}

const lf = 0x0a
const cr = 0x0d

/** Copies a message, turning CRLF into LF and ending it with LF; a CR elsewhere stays. */
function copyAsLines(from: string, to: string, files: Files): void {
  const source = files.openSync(from, constants.O_RDONLY)
  try {
    const target = files.openSync(to, 'wx', 0o660)
    try {
      const chunk = Buffer.allocUnsafe(65_536)
      let held = false
      let last = lf
      for (;;) {
        const count = files.readSync(source, chunk, 0, chunk.length, null)
        const octets: number[] = []
        for (let at = 0; at < count; at++) {
          const octet = chunk[at] ?? 0
          if (held && octet !== lf) octets.push(cr)
          held = octet === cr
          if (!held) octets.push(octet)
        }
        if (count === 0 && held) octets.push(cr)
        if (octets.length > 0) {
          files.writeFileSync(target, Buffer.from(octets))
          last = octets.at(-1) ?? lf
        }
        if (count === 0) break
      }
      if (last !== lf) files.writeFileSync(target, '\n')
    } finally {
      files.closeSync(target)
    }
  } finally {
    files.closeSync(source)
  }
}
