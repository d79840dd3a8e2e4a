/**
 * The notices: that a message is kept, why, until when, and how to have it delivered.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 3.2 (what a notice tells), its "Successor" line; RFC 3834 (Auto-Submitted, null sender);
 *         RFC 5322 3.3 (dates); RFC 2045 6.7, 6.8.
 */
import { fieldBytes } from '../header/value.ts'
import type { EntrySummary } from './entry.ts'
import { markField } from './mark.ts'
import { oneLine } from './plain-text.ts'

/** How a recipient gets at the message. */
export type WayOut =
  { readonly kind: 'address'; readonly address: string } | { readonly kind: 'ask'; readonly whom: string }

/** One notice. */
export interface NoticeOrder {
  readonly entry: EntrySummary
  readonly to: string
  /** The mail server's name. */
  readonly me: string
  readonly expiresMs: number
  readonly nowMs: number
  /** For the Message-ID. */
  readonly nonce: string
  /** The value of `markField`. */
  readonly mark: string
}

/** The notice to a recipient. */
export function recipientNotice(order: NoticeOrder, way: WayOut): Buffer {
  const { entry, me, to } = order
  const how =
    way.kind === 'address'
      ? [
          'It may be harmful. Only if you are sure that you want it, have it delivered by sending',
          'an empty message to this address, which works once:',
          '',
          `  ${oneLine(way.address, 400)}`,
        ]
      : [
          'It may be harmful. Only if you are sure that you want it, ask for it at this address,',
          `and name it by its id, ${entry.id}:`,
          '',
          `  ${oneLine(way.whom, 400)}`,
        ]
  return noticeBytes(order, 'A message to you is kept in quarantine', [
    `A message to <${oneLine(to, 400)}> was not delivered. ${me} keeps it in its quarantine.`,
    '',
    ...facts(order),
    '',
    ...how,
    '',
    'Without an answer from you it is removed when that time is over. Its sender has not been told.',
  ])
}

/** The notice to the address in `also_notify`: one for the message, with the ways to release it for each recipient. */
export function overseerNotice(order: NoticeOrder, ways: readonly { recipient: string; address: string }[]): Buffer {
  const { entry, me } = order
  const shown = ways.slice(0, maxWays)
  return noticeBytes(order, 'A message is kept in quarantine', [
    `${me} keeps a message in its quarantine.`,
    '',
    ...facts(order),
    `  Sender:     <${oneLine(entry.sender, 400)}>`,
    `  Recipients: ${ways.length}`,
    '',
    'To look at it, and to release it, on the mail server:',
    '',
    `  nodefilter quarantine show ${entry.id}`,
    `  nodefilter quarantine release ${entry.id} --all`,
    '',
    'An empty message to one of these addresses releases it for that recipient, once:',
    '',
    ...shown.flatMap(({ recipient, address }) => [`  <${oneLine(recipient, 400)}>`, `    ${oneLine(address, 400)}`]),
    ...(ways.length > shown.length ? [`  and ${ways.length - shown.length} more`] : []),
  ])
}

const maxWays = 50

function facts({ entry, expiresMs }: NoticeOrder): string[] {
  return [
    `  From:       ${oneLine(entry.from) || '(none)'}`,
    `  Subject:    ${oneLine(entry.subject) || '(none)'}`,
    `  Reason:     ${oneLine(entry.reason) || '(none)'}`,
    `  Kept until: ${dateText(expiresMs)}`,
    `  Id:         ${entry.id}`,
  ]
}

function noticeBytes({ to, me, nowMs, nonce, mark }: NoticeOrder, subject: string, lines: readonly string[]): Buffer {
  const text = `${lines.join('\n')}\n`
  const isPlain = /^[\n -~]*$/.test(text) && lines.every((line) => line.length <= 900)
  const fields: readonly (readonly [string, string])[] = [
    ['From', `"Mail Quarantine System" <postmaster@${me}>`],
    ['To', `<${oneLine(to, 900)}>`],
    ['Subject', subject],
    ['Date', dateText(nowMs)],
    ['Message-ID', `<quarantine.${nonce}@${me}>`],
    ['Auto-Submitted', 'auto-replied'],
    [markField, mark],
    ['MIME-Version', '1.0'],
    ['Content-Type', `text/plain; charset=${isPlain ? 'us-ascii' : 'utf-8'}`],
    ['Content-Transfer-Encoding', isPlain ? '7bit' : 'base64'],
  ]
  const body = isPlain
    ? text
    : Buffer.from(text)
        .toString('base64')
        .replace(/.{1,76}/g, (row) => `${row}\n`)
  return Buffer.concat([...fields.map(([name, value]) => fieldBytes(name, value, '\n')), Buffer.from(`\n${body}`)])
}

/** `Sat, 21 Nov 2026 20:47:10 +0000` */
function dateText(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000')
}
