/** Writes the mails of the message benchmark: one header section, a short text, and an attachment of any size. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'

/** The name that every reader must find, and no other. */
export const attachmentName = 'figures of the year.bin'

const head = [
  ...['Return-Path: <sender@example.com>', 'Received: from client.example.com (client.example.com [203.0.113.9])'],
  ...['  by mx.example.org with ESMTPS; Mon, 02 Mar 2026 09:00:01 +0100', 'From: "A. Sender" <sender@example.com>'],
  ...[
    'To: user@example.org, "Another, User" <another@example.org>',
    'Subject: =?utf-8?Q?The_figures_of_the_y=C3=A9ar?=',
  ],
  ...['Date: Mon, 02 Mar 2026 09:00:00 +0100', 'Message-ID: <figures@example.com>', 'MIME-Version: 1.0'],
  ...['Content-Type: multipart/mixed; boundary="=_b0unda-ry"', '', 'This text is for readers without MIME.'],
  ...['--=_b0unda-ry', 'Content-Type: text/plain; charset=utf-8', '', 'Here they are.', ''],
  ...['--=_b0unda-ry', `Content-Type: application/octet-stream; name="${attachmentName}"`],
  ...['Content-Transfer-Encoding: base64', `Content-Disposition: attachment; filename="${attachmentName}"`, ''],
]
const end = ['--=_b0unda-ry--']

/** 57 octets are a line of base64 of 76 digits. */
const lineOctets = 57
/** So many lines are written at once. */
const pieceLines = 1000

/** Writes a mail of about so many octets; the same one each time. */
export function writeMail(path: string, octets: number, lineEnd: '\n' | '\r\n'): void {
  const text = (lines: readonly string[]): string => lines.map((line) => line + lineEnd).join('')
  const rest = octets - text([...head, ...end]).length
  let lines = Math.max(1, Math.floor(rest / (76 + lineEnd.length)))
  const fd = openSync(path, 'wx')
  try {
    writeSync(fd, text(head))
    for (let piece = 0; lines > 0; piece++) {
      const count = Math.min(lines, pieceLines)
      writeSync(fd, text(base64Lines(piece, count)))
      lines -= count
    }
    writeSync(fd, text(end))
  } finally {
    closeSync(fd)
  }
}

/** Content without a pattern, as compressed files have. */
function base64Lines(piece: number, count: number): string[] {
  const bytes = createHash('shake128', { outputLength: count * lineOctets })
    .update(String(piece))
    .digest()
  return Array.from({ length: count }, (_, line) =>
    bytes.toString('base64', line * lineOctets, (line + 1) * lineOctets),
  )
}
