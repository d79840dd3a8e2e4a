/**
 * log_aliases: write to the log which address a message was sent to, where it is delivered to another one.
 *
 * Reads:    recipients with the original recipient, over all control files. Never opens the content.
 * Keeps:    nothing.
 * Verdicts: pass.
 * Source:   spec pythonfilter 2.11; spec courier 4.4 (`R`: with the type in front in older versions of Courier).
 *
 * One line for each recipient that is still to be delivered to and has an original recipient. That one is the alias, or
 * what the sender named as such (ORCPT, RFC 3461): a sender can write anything there.
 */
import { pass, readControl } from '../courier-compat/index.ts'
import type { DoFilter, Edits, OnError } from '../courier-compat/index.ts'

/** An observer: its errors are nobody's refusal. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'writes to the log which address a message was sent to, where it goes to another one'

export const doFilter: DoFilter = (_bodyPath, controlPaths, { log }) => {
  const { sender, recipients } = readControl(controlPaths)
  for (const { address, original } of recipients) {
    const asWritten = original.replace(/^(?:rfc822|utf-8);/i, '')
    if (asWritten !== '') log.info(`from <${sender ?? ''}>: to <${address}>, originally <${asWritten}>`)
  }
  return pass()
}
