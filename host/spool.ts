/** Writes a message as a pair, for whoever has a message but no Courier: `nodefilter check` today, other doors later. */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { envelopeRecords, type SpoolEnvelope } from '../courier-compat/control/envelope.ts'
import type { Pair } from './edits.ts'
import type { Files } from './platform/files.ts'

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
  files.writeFileSync(controlPath, envelopeRecords(envelope, nowMs), { mode: 0o660, flag: 'wx' })
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
