/**
 * Sends a dropped message again, to those whom it had not reached: a new message for Courier, with a new id.
 *
 * Source: spec courier 7.1 (`sendmail`), 4.4 (`N`, `e` and `t` records).
 */
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { completion, parseControl, recipientsOf, valuesOf } from '../../../courier-compat/control/records.ts'
import { textOf } from '../../../courier-compat/control/text.ts'
import { maxSendmailRecipients, type DsnRequest, type Submission } from '../../../courier-compat/sendmail.ts'
import { dsnRequestOf } from '../../../courier-compat/sendmail/dsn.ts'
import { keptMessage } from './kept.ts'

/** One submission of the several that a message may need. */
export interface Resubmission {
  readonly sender: string
  readonly recipients: readonly string[]
  readonly dsn: DsnRequest
  /** Their numbers in the envelope. */
  readonly indexes: readonly number[]
}

/**
 * What has to be submitted so that everybody is reached who is left in an envelope: one submission for each kind of
 * notices that recipients want, and each hundred of them. What original recipients were is not said again.
 */
export function resubmissions(envelope: Buffer): Resubmission[] {
  const records = parseControl(envelope)
  const first = (key: string): string => textOf(valuesOf(records, key)[0] ?? Buffer.alloc(0))
  const [format, envelopeId] = [first('t'), first('e')]
  const groups = new Map<string, { readonly index: number; readonly address: string }[]>()
  for (const { index, address, dsn, done } of recipientsOf(records)) {
    if (done) continue
    const key = textOf(dsn)
    const group = groups.get(key) ?? []
    group.push({ index, address: textOf(address) })
    groups.set(key, group)
  }
  const result: Resubmission[] = []
  for (const [notify, group] of groups) {
    const dsn = dsnRequestOf({ notify, format, envelopeId })
    for (let at = 0; at < group.length; at += maxSendmailRecipients) {
      const part = group.slice(at, at + maxSendmailRecipients)
      const [recipients, indexes] = [part.map(({ address }) => address), part.map(({ index }) => index)]
      result.push({ sender: first('s'), recipients, dsn, indexes })
    }
  }
  return result
}

/**
 * Submits a kept message, and removes the copy. Each submission is noted in the kept envelope, so that after a failure the
 * rest can be sent again.
 *
 * Shape:  the number of recipients.
 * Errors: those of `sendmail`; the system's, ENOENT where there is no such copy.
 */
export async function restoreMessage(
  keep: string,
  id: string,
  submit: (submission: Submission) => Promise<void>,
): Promise<number> {
  const { folder, messagePath, envelopePath } = keptMessage(keep, id)
  let count = 0
  for (const { sender, recipients, dsn, indexes } of resubmissions(readFileSync(envelopePath))) {
    await submit({ sender, recipients, dsn, message: { path: messagePath } })
    const records = indexes.map((index) => completion(index, 'restored', Date.now()))
    appendFileSync(envelopePath, Buffer.concat(records), { flush: true })
    count += recipients.length
  }
  rmSync(folder, { recursive: true })
  return count
}
