/**
 * Releases a message: submits what was kept, with its envelope of then, to one recipient after another, once each.
 *
 * Before the message goes out `releasing` is on disk, afterwards `released`. A process that dies in between leaves the
 * first, and then nobody releases it again but an administrator who says so: a message that may be harmful comes once or
 * not at all, and it is still kept.
 * Source: spec pythonfilter 1.12, 3.2; spec courier 7.1, 7.3; spec reliability R58.
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { sameAddress } from '../addresses.ts'
import { SendmailError, type Submission } from '../sendmail.ts'
import { dsnRequestOf } from '../sendmail/dsn.ts'
import { codeOf } from '../text-file.ts'
import { claim, reopen, settle, stateOf, withdraw, type RecipientState } from './claims.ts'
import type { KeptRecipient } from './entry.ts'
import { markField, markValue } from './mark.ts'
import { claimFile, entryFile, isEntryId, isOldId } from './names.ts'
import { readOldEntry } from './old-entries.ts'
import { readOldTimes } from './old-database.ts'
import { entryIdsIn } from './listing.ts'
import { expiresMs, note, readEntry, textOfError, type Place } from './place.ts'
import { parseReleaseWord } from './release-address.ts'
import { tokenValues } from './send-notices.ts'

/** To whom a message is released. */
export interface ReleaseOrder {
  /** Canonical addresses, or `all` that it is held for. */
  readonly recipients: readonly string[] | 'all'
  /** For the history: who asked. */
  readonly by: string
  /** Also to those it was released to, or perhaps was: it may come twice. */
  readonly again?: boolean
  readonly signal?: AbortSignal
}

/** What came of it for one recipient. */
export interface Released {
  readonly address: string
  /**
   * `released`: it is in the mail server's queue. `failed`: it is not, and is held as before. `unknown`: nobody knows, now
   * or from before. `already`: it was released earlier, and nothing was done.
   */
  readonly outcome: 'released' | 'failed' | 'unknown' | 'already'
  /** Of a failure: whether it may go better later. */
  readonly isTemporary: boolean
  /** Why it was not released, or `''`. */
  readonly text: string
}

/** A request that came by mail. */
export interface MailRequest {
  /** What stands in the address after `quarantine-<siteid>-`: Courier's `DEFAULT`. */
  readonly word: string
  /** The envelope sender: Courier's `SENDER`. Nobody vouches for it. */
  readonly sender: string
  /** An answering machine sent it: it has an Auto-Submitted field. */
  readonly isAutomatic: boolean
  /** Whether addresses of pythonfilter's are good: whoever ever saw one can make others. */
  readonly oldAddresses: boolean
  readonly signal?: AbortSignal
}

/** What came of such a request; `refused` changes nothing and is answered to nobody. */
export type MailRelease = Released | { readonly outcome: 'refused'; readonly text: string }

/** Something that can be released, of ours or of pythonfilter's. */
interface Releasable {
  readonly id: string
  readonly sender: string
  readonly envelopeId: string
  readonly dsnFormat: string
  readonly recipients: readonly KeptRecipient[]
  readonly file: string
  /** `null`: nobody noted it. */
  readonly sha256: string | null
}

/** How long a release may be under way before it counts as one that died. Longer than sending may take. */
const underWayMs = 120_000

const pieceOctets = 64 * 1024

/**
 * Releases a message; `null` where there is no such entry.
 * Errors: RangeError for what is no id; Error where the entry is damaged, or `recipients` names one that it has not; the
 *         system's. What went wrong with sending is told in the answer.
 */
export async function releaseMessage(place: Place, id: string, order: ReleaseOrder): Promise<Released[] | null> {
  const entry = await readReleasable(place, id)
  if (entry === null) return null
  const { recipients } = order
  const indexes = [...entry.recipients.keys()].filter(
    (index) => recipients === 'all' || recipients.includes(entry.recipients[index]?.address ?? ''),
  )
  const known = new Set(entry.recipients.map(({ address }) => address))
  if (recipients !== 'all' && !recipients.every((address) => known.has(address))) {
    throw new RangeError('the message was not kept from that recipient')
  }
  const results: Released[] = []
  for (const index of indexes) results.push(await releaseTo(place, entry, index, order))
  return results
}

/** Answers a request by mail. Errors: the system's; Error for a damaged entry. */
export async function releaseByMail(place: Place, request: MailRequest): Promise<MailRelease> {
  const { sender, isAutomatic } = request
  const refuse = async (text: string): Promise<MailRelease> => {
    await note(place, { event: 'refused', why: text, by: sender.slice(0, 400) })
    return { outcome: 'refused', text }
  }
  // Bounces and answering machines send back whatever address they saw, and nobody has decided anything.
  if (sender === '' || sender === '<>') return refuse('a request without a sender')
  if (isAutomatic) return refuse('a request that no person sent')
  const word = parseReleaseWord(request.word)
  if (word === null) return refuse('no release address')
  const order = {
    recipients: [],
    by: sender.slice(0, 400),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  }
  if ('oldId' in word) {
    if (!request.oldAddresses) return refuse("an address of pythonfilter's")
    const entry = await readReleasable(place, word.oldId)
    const index = entry?.recipients.findIndex((recipient) => isRequester(recipient, sender)) ?? -1
    if (entry === null || index === -1) return refuse("an address of pythonfilter's, from somebody else")
    return releaseTo(place, entry, index, order)
  }
  const found = await findByToken(place, word.idStart, word.token)
  if (found === null) return refuse('a token that is not good')
  if (found.isExpired) return refuse('a token for a message whose time is over')
  const state = await stateOf(place.folder, found.entry.id, found.index)
  if (state !== 'held') return refuse(state === 'released' ? 'a token that was used' : 'a token that is in use')
  return releaseTo(place, found.entry, found.index, order)
}

async function findByToken(
  place: Place,
  idStart: string,
  token: string,
): Promise<{ readonly entry: Releasable; readonly index: number; readonly isExpired: boolean } | null> {
  const { folder, seal } = place
  const ids = isEntryId(idStart) ? [idStart] : entryIdsIn(await folder.names()).filter((id) => id.startsWith(idStart))
  for (const id of ids.slice(0, 100)) {
    const record = await readEntry(folder, id)
    if (record === null) continue
    const index = record.recipients.findIndex((_, at) => seal.isWord(token, 'release', tokenValues(record, at)))
    if (index === -1) continue
    const isExpired = expiresMs(place, record.atMs) <= place.nowMs()
    return { entry: { ...record, file: record.message.file, sha256: record.message.sha256 }, index, isExpired }
  }
  return null
}

async function readReleasable({ folder }: Place, id: string): Promise<Releasable | null> {
  if (isOldId(id)) {
    const old = await readOldEntry(folder, id, await folder.names(), await readOldTimes(folder))
    return old === null ? null : { ...old, file: old.messageFile, sha256: null }
  }
  const record = await readEntry(folder, id)
  return record === null ? null : { ...record, file: record.message.file, sha256: record.message.sha256 }
}

/** The recipient itself, under the name that it has here or the one that the message came for. */
function isRequester({ address, original }: KeptRecipient, sender: string): boolean {
  return [address, original.replace(/^rfc822;/i, '')].some((own) => own !== '' && sameAddress(own, sender))
}

async function releaseTo(place: Place, entry: Releasable, index: number, order: ReleaseOrder): Promise<Released> {
  const { folder, log, nowMs } = place
  const { id } = entry
  const { by, again = false, signal = null } = order
  const address = entry.recipients[index]?.address ?? ''
  const answer = (outcome: Released['outcome'], text: string, isTemporary = false): Released => ({
    ...{ address, outcome, text, isTemporary },
  })
  if (again) {
    const stats = await folder.look(claimFile(id, index, 'releasing'))
    if (stats !== null && nowMs() - stats.mtimeMs < underWayMs) return answer('failed', 'is being released now', true)
    await reopen(folder, id, index)
  }
  const state: RecipientState | 'claimed' = await claim(folder, id, index, by)
  if (state === 'released') return answer('already', 'was released before')
  if (state === 'releasing') return answer('unknown', 'is being released, or was when a process died: nobody knows')
  let opened: FileHandle | null = null
  try {
    opened = await openChecked(place, entry)
    await place.submit(submissionOf(place, entry, index, opened, signal))
  } catch (thrown) {
    const text = textOfError(thrown)
    if (opened === null || isRefusal(thrown)) {
      await withdraw(folder, id, index)
      await note(place, { event: 'failed', id, recipient: address, by, why: text })
      return answer('failed', text, thrown instanceof SendmailError ? thrown.isTemporary : isOutOfMeans(thrown))
    }
    await note(place, { event: 'unknown', id, recipient: address, by, why: text })
    return answer('unknown', text)
  } finally {
    await opened?.close()
  }
  try {
    await settle(folder, id, index)
  } catch (thrown) {
    // It went out: what is left says at most that nobody knows, never that it is held.
    log.warn(`${entryFile(id)}: the release could not be noted: ${textOfError(thrown)}`)
  }
  await note(place, { event: 'released', id, recipient: address, by })
  return answer('released', '')
}

/** True if the mail server has not taken the message, for certain. */
function isRefusal(thrown: unknown): boolean {
  if (thrown instanceof RangeError || thrown instanceof TypeError || isOutOfMeans(thrown)) return true
  // A program that was ended may have handed over everything before; one that says 0 and had not read it all, as well.
  return thrown instanceof SendmailError && thrown.signal === null && thrown.exitCode !== 0
}

/**
 * True for what befalls files alone, and so a message before anybody was handed it: no room, no descriptor. A connection
 * fails with other words.
 */
function isOutOfMeans(thrown: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(thrown) ?? '')
}

/** Opens the message and looks whether it is, octet for octet, what was kept. */
async function openChecked({ folder }: Place, { file, sha256 }: Releasable): Promise<FileHandle> {
  const { handle } = await folder.open(file)
  try {
    if (sha256 !== null) {
      const hash = createHash('sha256')
      for await (const piece of pieces(handle)) hash.update(piece)
      if (hash.digest('hex') !== sha256) throw new Error('the message is not what was kept: its file was changed')
    }
    return handle
  } catch (thrown) {
    await handle.close()
    throw thrown
  }
}

async function* pieces(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let at = 0; ;) {
    // A new one each time: the reader may not be done with the last.
    const piece = Buffer.allocUnsafe(pieceOctets)
    const { bytesRead } = await handle.read(piece, 0, piece.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

function submissionOf(
  { seal }: Place,
  entry: Releasable,
  index: number,
  handle: FileHandle,
  signal: AbortSignal | null,
): Submission {
  const { address = '', dsn = '' } = entry.recipients[index] ?? {}
  const { dsnFormat: format, envelopeId } = entry
  const mark = Buffer.from(`${markField}: ${markValue(seal, 'release', entry.id, address)}\n`)
  return {
    ...{ sender: entry.sender, recipients: [address], dsn: dsnRequestOf({ notify: dsn, format, envelopeId }) },
    message: Readable.from(withHead(mark, pieces(handle))),
    ...(signal === null ? {} : { signal }),
  }
}

async function* withHead(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield head
  yield* rest
}
