/**
 * What is told about a message, in log lines: an event with plain fields, and the classic text of it.
 *
 * A sender writes nothing into a log but letters between our words: line ends, control characters and characters that turn
 * a line around are written as `?`, and long values are cut.
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 15.
 */
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'

/** Why a message is in no queue. */
export const dropReasons = {
  'no-from': 'Message has no From header',
  'from-equals-to': 'From and To are the same, probable spam',
  'no-message-id': 'Message has no Message-Id',
  ricochet: 'Message is a bounce of ours that came back',
  rejected: 'Message was rejected by a filter',
  'no-queue': 'Message matches no queue',
} as const

/** Why a message is in no queue. */
export type DropReason = keyof typeof dropReasons

/** Everything that is told about a message. */
export type PostEvent =
  | `dropped-${DropReason}`
  | 'duplicate'
  | 'auto-response'
  | 'throttled'
  | 'throttle-triggered'
  | 'oversize'
  | 'body-cut'
  | 'queued'
  | 'repeated'

/** One log line. */
export interface PostLine {
  readonly level: 'info' | 'warn'
  readonly event: PostEvent
  /** What happened, in one sentence without a dot. */
  readonly text: string
  /** Who and what the message is: those of its fields that exist. */
  readonly message: MessageSummary
}

/** Raw values of the first fields, fit for a log. */
export interface MessageSummary {
  readonly from?: string
  readonly to?: string
  readonly subject?: string
  readonly messageId?: string
}

const maxCharacters = 200

/** A text of a message as it may stand in a log line: printable ASCII, at most some hundred characters. */
export function forLog(text: string, most: number = maxCharacters): string {
  const cut = text.length > most ? `${text.slice(0, most)}...` : text
  return cut.replace(/[^\x20-\x7e]/g, '?')
}

/** A text of a message on one line, its letters kept: for facts, which are data and no log line. */
export function onOneLine(text: string, most: number): string {
  return text.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?')
}

/** The summary of a message. */
export function summaryOf(section: HeaderSection): MessageSummary {
  const entries = [
    ['from', 'From'],
    ['to', 'To'],
    ['subject', 'Subject'],
    ['messageId', 'Message-Id'],
  ].flatMap(([key = '', name = '']) => {
    const [field] = fieldsNamed(section, name)
    return field === undefined ? [] : [[key, forLog(field.value)] as const]
  })
  return Object.fromEntries(entries)
}

/** The line as repoze.postoffice ends its own: the text, then From, To, Subject and Message-Id. */
export function classicLine({ text, message }: PostLine): string {
  const names = { from: 'From', to: 'To', subject: 'Subject', messageId: 'Message-Id' } as const
  const summary = Object.entries(message).map(
    ([key, value]) => `${names[key as keyof MessageSummary]}: ${String(value)}`,
  )
  return summary.length === 0 ? text : `${text}: ${summary.join(' ')}`
}
