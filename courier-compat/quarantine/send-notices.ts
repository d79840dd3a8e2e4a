/** Sends the notices of an entry, each once as far as that can be known: a notice twice is better than none. */
import { summaryOf, type EntryRecord } from './entry.ts'
import { markValue } from './mark.ts'
import { notifiedFile } from './names.ts'
import { overseerNotice, recipientNotice, type NoticeOrder, type WayOut } from './notice.ts'
import { besides, expiresMs, type Place } from './place.ts'
import { releaseAddress } from './release-address.ts'
import { newNonce } from './seal.ts'

/** So many are sent at the same time. */
const atOnce = 4
/** More than the numbers of a hundred thousand recipients. */
const maxNotifiedOctets = 1024 * 1024

/** The token for one recipient of an entry. */
export function tokenFor({ seal }: Pick<Place, 'seal'>, record: EntryRecord, index: number): string {
  return seal.word('release', tokenValues(record, index))
}

/** What a token is made of: it is good for this entry, this recipient, and nothing else. */
export function tokenValues({ id, nonce, recipients }: EntryRecord, index: number): string[] {
  return [id, nonce, String(index), recipients[index]?.address ?? '']
}

/**
 * Sends those notices that have not been sent, or not for certain.
 * Errors: those of `submit`, of the first that fails; the signal's reason. Called again, it goes on from there.
 */
export async function sendNotices(place: Place, record: EntryRecord, signal: AbortSignal | null): Promise<void> {
  const { settings, folder, seal, log } = place
  const overseer = settings.also_notify === '' ? null : settings.also_notify
  const done = new Set((await folder.read(notifiedFile(record.id), maxNotifiedOctets))?.toString('latin1').split('\n'))
  const due: (readonly [key: string, send: () => Promise<void>])[] = []
  const me = place.me()
  const addressOf = (index: number): string =>
    releaseAddress(settings.siteid, record.id, tokenFor(place, record, index), me)
  const orderFor = (to: string): NoticeOrder => ({
    ...{ entry: summaryOf(record), to, me, nonce: newNonce(), mark: markValue(seal, 'notice', record.id, to) },
    ...{ expiresMs: expiresMs(place, record.atMs), nowMs: place.nowMs() },
  })
  const send = (to: string, message: Buffer): Promise<void> =>
    place.submit({ sender: '', recipients: [to], message, ...(signal === null ? {} : { signal }) })
  const wayOf = (index: number): WayOut => {
    if (settings.user_release) return { kind: 'address', address: addressOf(index) }
    return { kind: 'ask', whom: overseer ?? `postmaster@${me}` }
  }
  if (settings.notify_recipient) {
    for (const [index, { address }] of record.recipients.entries()) {
      due.push([String(index), () => send(address, recipientNotice(orderFor(address), wayOf(index)))])
    }
  }
  if (overseer !== null) {
    const ways = (): { recipient: string; address: string }[] =>
      record.recipients.map(({ address }, index) => ({ recipient: address, address: addressOf(index) }))
    due.push(['also', () => send(overseer, overseerNotice(orderFor(overseer), ways()))])
  }
  const waiting = due.filter(([key]) => !done.has(key))[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    // One iterator for all lanes: each takes the next that nobody has taken.
    for (const [key, act] of waiting) {
      signal?.throwIfAborted()
      await act()
      // It went out: brought again for this alone, the message would have it sent once more, each time.
      await besides(log, 'the list of notices', () => folder.append(notifiedFile(record.id), key))
    }
  }
  await settleAll(Array.from({ length: atOnce }, lane))
}

/** As `Promise.all`, but nothing goes on when it rejects. */
async function settleAll(jobs: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(jobs)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
