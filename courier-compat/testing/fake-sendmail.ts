/** A `sendmail` that keeps what it is given. */
import { readMessage } from '../sendmail/content.ts'
import type { DsnRequest } from '../sendmail/arguments.ts'
import type { Submission } from '../sendmail.ts'

/** One message that was submitted. */
export interface SentMessage {
  /** `''` is the null sender. */
  readonly sender: string
  readonly recipients: readonly string[]
  readonly dsn: DsnRequest
  /** With LF line ends, as Courier queues it. */
  readonly content: Buffer
}

/** Takes the place of Courier's: `runFilter(filter, message, { sendmail })`. */
export interface FakeSendmail {
  /** What was taken, in order. */
  readonly sent: readonly SentMessage[]
  /** From now on `error` is thrown at each submission, a `SendmailError` for instance; with `null` they are taken again. */
  fail(error: Error | null): void
  readonly submit: (submission: Submission) => Promise<void>
}

/** Opens one that takes everything. */
export function fakeSendmail(): FakeSendmail {
  const sent: SentMessage[] = []
  let failure: Error | null = null
  return {
    sent,
    fail: (error) => {
      failure = error
    },
    submit: async ({ sender, recipients, dsn = {}, message, signal }) => {
      if (failure !== null) throw failure
      const pieces: Uint8Array[] = []
      for await (const piece of readMessage(message, signal ?? null)) pieces.push(piece)
      signal?.throwIfAborted()
      sent.push({ sender, recipients: [...recipients], dsn, content: Buffer.concat(pieces) })
    },
  }
}
