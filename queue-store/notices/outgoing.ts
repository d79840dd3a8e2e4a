/** Mail that goes out, and who sends it: what notices are handed to, and transports are. */
import type { Readable } from 'node:stream'

/** A message that goes out. */
export interface OutgoingMail {
  /** The envelope sender; `null` is the null sender, which all notices have: nobody answers those. */
  readonly from: string | null
  readonly to: readonly string[]
  /** The whole message, header section and body. Lines end with CRLF, in a message of the application's own as it wrote them. */
  readonly message: Buffer | Readable
}

/**
 * Sends a message: resolves when somebody has taken charge of it.
 * Errors: SendRefused where it is of no use to try again; whatever else it throws may go well later.
 */
export type Send = (mail: OutgoingMail) => Promise<void>

/** The mail will not be taken, now or later: an address that there is not, a content that nobody wants. */
export class SendRefused extends Error {
  override readonly name = 'SendRefused'
}
