/**
 * What a program that took no message says.
 *
 * Pure: no clock, socket, file or logger.
 * Source: sysexits.h; spec courier 7.1 (exit codes).
 */
import { quoted } from '../quoted.ts'

/** What is known of the program's end. */
export interface SendmailEnd {
  /** `null` where it never ran, or was ended by a signal. */
  readonly exitCode: number | null
  /** The signal that ended it, `SIGKILL` at the time limit; else `null`. */
  readonly signal: NodeJS.Signals | null
  /** What Courier answered, an SMTP reply for the most part; and what the program complained of. As they were written. */
  readonly reply: string
  readonly stderr: string
}

const maxChars = 2000

/** A message that was not queued, or perhaps was: see `isTemporary`. */
export class SendmailError extends Error {
  override readonly name = 'SendmailError'
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** True: the same message may be taken later. False: it was refused for good. */
  readonly isTemporary: boolean
  /** On one line, control characters escaped, cut at 2000 characters. */
  readonly reply: string
  readonly stderr: string

  constructor(what: string, end: SendmailEnd, options: ErrorOptions = {}) {
    const [reply, stderr] = [shown(end.reply), shown(end.stderr)]
    const said = reply === '' ? stderr : reply
    super(said === '' ? what : `${what}: ${said}`, options)
    this.exitCode = end.exitCode
    this.signal = end.signal
    this.isTemporary = end.exitCode === null || !permanent.has(end.exitCode)
    this.reply = reply
    this.stderr = stderr
  }
}

/**
 * What the message or its envelope is to blame for: usage, data, input, user, host, protocol, permission. All else, and
 * whatever no list knows, may be mended by somebody: losing a message for it would be worse than trying once more.
 */
const permanent: ReadonlySet<number> = new Set([64, 65, 66, 67, 68, 76, 77])

function shown(text: string): string {
  return quoted(text.trim(), maxChars).slice(1, -1)
}
