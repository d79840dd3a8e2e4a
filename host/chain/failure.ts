/**
 * What a failure means: the one place that turns "something broke" into what the mail server hears.
 *
 * Pure. A failure is always temporary for the sender (451); the cause goes to the log, never to the client, who gets
 * the message's id to quote. Source: design.md (the table of failures), RFC 3463 section 3.4 (X.3.Z, mail system).
 */
import { makeReply, type Reply } from '../../courier-compat/reply.ts'

/** What can break. Each kind keeps its name for ever: administrators search logs for it. */
export type FailureKind =
  /** The filter threw or its promise was rejected. */
  | 'threw'
  /** The filter returned something that is no reply. */
  | 'malformed'
  /** The filter ran past its time limit. */
  | 'late'
  /** The filter's code did not give its thread back. */
  | 'blocked'
  /** The thread ended under the message, twice. */
  | 'thread-lost'
  /** The runner process ended under the message, twice. */
  | 'runner-lost'
  /** The message has ended threads or runners so often that it is not run any more. */
  | 'poison'
  /** The message as a whole ran out of time, waiting or running. */
  | 'deadline'
  /** Too many messages wait already. */
  | 'overloaded'
  /** The configuration or a filter is broken; nothing is served until that is mended. */
  | 'broken'
  /** The host is being stopped. */
  | 'stopping'
  /** What filters added to queues could not be put there. */
  | 'store'
  /** Somebody else changed the message's files while filters ran. */
  | 'changed'
  /** The message's files are not what a mail server hands over. */
  | 'pair'
  /** The host itself failed: a bug of ours. */
  | 'internal'

/** A failure as the log tells it. */
export interface Failure {
  readonly kind: FailureKind
  /** The alias of the filter at fault, where one is. */
  readonly filter: string | null
  /** For the log: what happened, in one line. */
  readonly text: string
}

const failureKinds: Readonly<Record<FailureKind, { status: string; text: string }>> = {
  threw: { status: '4.3.0', text: 'Local policy check failed' },
  malformed: { status: '4.3.0', text: 'Local policy check failed' },
  late: { status: '4.3.0', text: 'Local policy check took too long' },
  blocked: { status: '4.3.0', text: 'Local policy check took too long' },
  'thread-lost': { status: '4.3.0', text: 'Local policy check failed' },
  'runner-lost': { status: '4.3.0', text: 'Local policy check failed' },
  poison: { status: '4.3.0', text: 'Local policy check failed' },
  deadline: { status: '4.3.0', text: 'Local policy check took too long' },
  overloaded: { status: '4.3.2', text: 'Mail filter is too busy' },
  broken: { status: '4.3.5', text: 'Mail filter is not configured correctly' },
  stopping: { status: '4.3.2', text: 'Mail filter is being restarted' },
  store: { status: '4.3.0', text: 'Local policy check failed' },
  changed: { status: '4.3.0', text: 'Message files were changed' },
  pair: { status: '4.3.0', text: 'Message files are not usable' },
  internal: { status: '4.3.0', text: 'Mail filter failed' },
}

/** All kinds, in the order of their declaration. */
export const failureKindNames: readonly string[] = Object.keys(failureKinds)

/** True for the name of a failure: the check for what comes from another process. */
export function isFailureKind(value: unknown): value is FailureKind {
  return typeof value === 'string' && Object.hasOwn(failureKinds, value)
}

/** The reply for a failure. `messageId` is the mail server's id, `''` where none could be read. */
export function failureReply(kind: FailureKind, messageId: string): Reply {
  const { status, text } = failureKinds[kind]
  return makeReply(451, status, [`${text}, try again later${messageId === '' ? '' : ` (${messageId})`}`])
}

/** One line about anything that was thrown, also about values that are no errors; never throws itself. */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return oneLine(`${thrown.name}: ${thrown.message}`)
    return oneLine(`threw ${String(thrown)}`)
  } catch {
    return 'threw a value that cannot be shown'
  }
}

function oneLine(text: string): string {
  return text.slice(0, 500).replace(/\s+/g, ' ')
}
