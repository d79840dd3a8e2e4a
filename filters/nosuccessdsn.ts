/**
 * nosuccessdsn: drop the wish for a notice of successful delivery, which tells strangers which addresses exist.
 *
 * Reads:    recipients and their NOTIFY flags. Never opens the content.
 * Keeps:    nothing.
 * Verdicts: pass.
 * Source:   spec pythonfilter 2.14, RFC 3461 section 4.1.
 *
 * Only `S` goes: `SFD` becomes `FD`, `SF` becomes `F`. `S` alone becomes `F`, not the empty default, which would add
 * notices of delay that the sender did not want. The recipient is replaced by a new one in the same control file, with
 * the same bytes of address and original recipient.
 */
import { changeRecipients, pass, readRecipients } from '../courier-compat/index.ts'
import type { DoFilter, Edits, OnError } from '../courier-compat/index.ts'

/** A receipt that went out cannot be called back; a deferred message comes again. */
export const onError: OnError = 'defer'

export const edits: Edits = 'library'

export const about = 'drops the wish for a notice of successful delivery'

export const doFilter: DoFilter = (_bodyPath, controlPaths, { log }) => {
  const asking = readRecipients(controlPaths).filter(({ done, dsn }) => !done && dsn.includes('S'))
  for (const [file, recipients] of Map.groupBy(asking, (recipient) => recipient.file)) {
    const changes = recipients.map(({ index, dsn, addressBytes, originalBytes }) => ({
      index,
      why: 'replaced by nosuccessdsn',
      replaceBy: { address: addressBytes, original: originalBytes, dsn: Buffer.from(withoutSuccess(dsn)) },
    }))
    changeRecipients(file, changes)
    for (const { address, dsn } of recipients) {
      log.info(`recipient <${address}>: no notice of success, NOTIFY ${dsn} is now ${withoutSuccess(dsn)}`)
    }
  }
  return pass()
}

function withoutSuccess(dsn: string): string {
  const left = dsn.replaceAll('S', '')
  return left === '' ? 'F' : left
}
