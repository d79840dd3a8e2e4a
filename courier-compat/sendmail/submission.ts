/** What a submission is. */
import type { SubmissionEnvelope } from './arguments.ts'
import type { MessageSource } from './content.ts'

/** One message, and to whom it goes. */
export interface Submission extends SubmissionEnvelope {
  /**
   * With LF or CRLF line ends. Octets and streams go through a temporary file, in pieces; a file must stay as it is
   * meanwhile.
   */
  readonly message: MessageSource
  /** Ends the program and rejects with the signal's reason: `context.signal`. */
  readonly signal?: AbortSignal
  /** How long it may take in all, reading the message included. Default 60 s. */
  readonly timeoutMs?: number
  /** The program. Default: found among Courier's own (`courier-config`), then in the usual places. */
  readonly program?: string
}
