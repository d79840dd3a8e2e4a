/**
 * Keeps a message: stored and on disk first, then its recipients are marked complete, then they are told.
 *
 * A step that fails throws, so that the mail server hears 451 and its client brings the message again; it is then known
 * again, and what was done is not done twice.
 * Source: spec pythonfilter 3.2; spec reliability P1, P2, R04, R14, R48, R50.
 */
import { changeRecipients, getControlData, readRecipients, type ControlRecipient } from '../control.ts'
import { readControlFile } from '../control/file.ts'
import { codeOf } from '../text-file.ts'
import { bodySha256Of, copyMessage, type CopiedMessage } from './copy.ts'
import { formatEntry, maxControlsOctets, summaryOf, type EntryRecord, type KeptRecipient } from './entry.ts'
import type { Folder } from './folder.ts'
import { findMark } from './mark.ts'
import { claimFile, entryFile, isOldId, messageFile, notifiedFile, temporaryFile } from './names.ts'
import { readOldEntry } from './old-entries.ts'
import { stateOf } from './claims.ts'
import { expiresMs, indexEntry, note, readEntry, textOfError, type Place } from './place.ts'
import { oneLine } from './plain-text.ts'
import { newNonce } from './seal.ts'
import { sendNotices } from './send-notices.ts'

/** What is to be kept. */
export interface KeepOrder {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
  /** For people: why. Cut at 500 characters. */
  readonly reason: string
  /** Canonical addresses to keep it from; default: all that are still to be delivered to. */
  readonly recipients?: readonly string[]
  /** Ends it between two steps: hand it `context.signal`. */
  readonly signal?: AbortSignal
}

/** What came of it. */
export interface Kept {
  /** The entry's id; `null` where nothing was to be kept. */
  readonly id: string | null
  /** False for a message that was kept already, and came again. */
  readonly isNew: boolean
  /** What `doFilter` returns: `050 Ok` where nobody is left to deliver to, else `''`. */
  readonly reply: string
}

/** A message from which no other id comes after so many was put there by somebody. */
const maxTwins = 1000

/** Keeps it. `maxOctets` is for all kept messages together. */
export async function keepMessage(place: Place, order: KeepOrder, maxOctets: number | null): Promise<Kept> {
  const { folder, seal } = place
  const { bodyPath, controlPaths, signal = null } = order
  const wanted = wantedRecipients(controlPaths, order.recipients ?? null)
  if (wanted.length === 0) return { id: null, isNew: false, reply: '' }
  await folder.check()
  const temporary = temporaryFile(newNonce())
  try {
    if (maxOctets !== null) await checkRoom(place, maxOctets)
    const copied = await copyMessage(bodyPath, folder, temporary, signal)
    const marks = wanted.map(({ address }) => findMark(seal, copied.marks, address))
    if (await isRelease(place, copied, wanted, marks)) return { id: null, isNew: false, reply: '' }
    const { record, isNew } = await store(place, order, wanted, copied, temporary)
    signal?.throwIfAborted()
    complete(wanted, record.id)
    // A notice that was kept itself would be told of by a notice, and that one too.
    if (!marks.some((mark) => mark?.kind === 'notice')) await sendNotices(place, record, signal)
    const isAll = readRecipients(controlPaths).every(({ done }) => done)
    return { id: record.id, isNew, reply: isAll ? '050 Ok' : '' }
  } finally {
    await folder.remove(temporary)
  }
}

function wantedRecipients(
  controlPaths: readonly string[],
  addresses: readonly string[] | null,
): readonly ControlRecipient[] {
  const pending = readRecipients(controlPaths).filter(({ done }) => !done)
  if (addresses === null) return pending
  const unknown = addresses.find((address) => !pending.some((recipient) => recipient.address === address))
  if (unknown !== undefined) throw new RangeError('a recipient to keep the message from is not to be delivered to')
  return pending.filter(({ address }) => addresses.includes(address))
}

/** True for a message that is on its way out of the quarantine at this moment, and has the body that it had in it. */
async function isRelease(
  { folder, log }: Place,
  copied: CopiedMessage,
  wanted: readonly ControlRecipient[],
  marks: readonly ReturnType<typeof findMark>[],
): Promise<boolean> {
  const [mark] = marks
  const [recipient] = wanted
  // A release has one recipient.
  if (mark?.kind !== 'release' || recipient === undefined || wanted.length > 1) return false
  const held = await readHeld(folder, mark.id)
  if (held?.bodySha256 !== copied.bodySha256) return false
  for (const [index, { address }] of held.recipients.entries()) {
    if (address !== recipient.address || (await stateOf(folder, mark.id, index)) !== 'releasing') continue
    log.info(`passes, since it is released from the quarantine: ${mark.id}`)
    return true
  }
  return false
}

/** What a release is compared with; `null` where there is no such entry. Nobody has noted it of pythonfilter's messages. */
async function readHeld(
  folder: Folder,
  id: string,
): Promise<{ readonly recipients: readonly KeptRecipient[]; readonly bodySha256: string } | null> {
  if (!isOldId(id)) {
    const record = await readEntry(folder, id)
    return record === null ? null : { recipients: record.recipients, bodySha256: record.message.bodySha256 }
  }
  const old = await readOldEntry(folder, id, await folder.names(), { atMs: new Map(), problems: [] })
  return old === null ? null : { recipients: old.recipients, bodySha256: await bodySha256Of(folder, old.messageFile) }
}

async function store(
  place: Place,
  order: KeepOrder,
  wanted: readonly ControlRecipient[],
  copied: CopiedMessage,
  temporary: string,
): Promise<{ readonly record: EntryRecord; readonly isNew: boolean }> {
  const { folder, seal } = place
  const control = getControlData(order.controlPaths)
  const who = [copied.likeness, control.s ?? '', ...wanted.map(({ address }) => address).sort()]
  for (let twin = 0; twin < maxTwins; twin++) {
    // Made of the message and the key: nobody else can tell it, and the same message comes to the same entry.
    const id = seal.word('id', [String(twin), ...who])
    let known = await readSound(place, id)
    if (known === null && (await hasRemains(folder, id, wanted.length))) {
      // Of an entry that was removed, but not to its end; or of one that another thread has made just now.
      known = await readSound(place, id)
      if (known === null) continue
    }
    if (known === 'damaged') continue
    if (known === null) {
      const record = recordFor(place, order, wanted, copied, id)
      if (await put(place, record, temporary)) return { record, isNew: true }
      // Another thread has kept the same message at the same moment.
      twin--
      continue
    }
    if (!(await isOpen(place, known))) continue
    // Whoever made it may have died before this.
    await folder.sync()
    return { record: known, isNew: false }
  }
  throw new Error('this message was kept and released too often')
}

/** True if there are files that would tell of an entry what was done with an earlier one of this id. */
async function hasRemains(folder: Folder, id: string, recipients: number): Promise<boolean> {
  if ((await folder.look(notifiedFile(id))) !== null) return true
  for (let index = 0; index < recipients; index++) {
    for (const state of ['releasing', 'released'] as const) {
      if ((await folder.look(claimFile(id, index, state))) !== null) return true
    }
  }
  return false
}

/** An entry that is damaged must not keep its message from being kept anew. */
async function readSound({ folder, log }: Place, id: string): Promise<EntryRecord | 'damaged' | null> {
  try {
    return await readEntry(folder, id)
  } catch (thrown) {
    if (codeOf(thrown) !== null) throw thrown
    log.warn(`an entry of the quarantine is damaged: ${id}: ${textOfError(thrown)}`)
    return 'damaged'
  }
}

/** True if the entry still keeps the message from all its recipients: else it is another case, if the same message. */
async function isOpen(place: Place, record: EntryRecord): Promise<boolean> {
  if (expiresMs(place, record.atMs) <= place.nowMs()) return false
  if ((await place.folder.look(record.message.file)) === null) return false
  for (const index of record.recipients.keys()) {
    if ((await stateOf(place.folder, record.id, index)) !== 'held') return false
  }
  return true
}

function recordFor(
  { nowMs }: Place,
  { controlPaths, reason }: KeepOrder,
  wanted: readonly ControlRecipient[],
  copied: CopiedMessage,
  id: string,
): EntryRecord {
  const control = getControlData(controlPaths)
  const controls = controlPaths.map(readControlFile)
  const controlsOctets = controls.reduce((sum, { length }) => sum + length, 0)
  if (controlsOctets > maxControlsOctets) throw new Error(`the control files have ${controlsOctets} octets`)
  const nonce = newNonce()
  const { octets, sha256, bodySha256, likeness, from, subject } = copied
  return {
    ...{ id, nonce, atMs: nowMs(), reason: oneLine(reason, 500), queueId: control.M ?? '', sender: control.s ?? '' },
    ...{ envelopeId: control.e ?? '', dsnFormat: control.t ?? '', from, subject, controls },
    recipients: wanted.map(({ address, original, dsn }) => ({ address, original, dsn })),
    message: { file: messageFile(id, nonce), octets, sha256, bodySha256, likeness },
  }
}

/** Makes the entry, whole or not at all; on disk when it resolves. False: there was one. */
async function put(place: Place, record: EntryRecord, temporary: string): Promise<boolean> {
  const { folder } = place
  const { file } = record.message
  const temporaryRecord = temporaryFile(newNonce())
  let isPut = false
  await folder.rename(temporary, file)
  try {
    await folder.write(temporaryRecord, formatEntry(record))
    // The name of the message is on disk before the record that tells of it.
    await folder.sync()
    isPut = await folder.link(temporaryRecord, entryFile(record.id))
  } finally {
    await folder.remove(temporaryRecord)
    // Under its name of before, so that it can be tried again.
    if (!isPut) await folder.rename(file, temporary)
  }
  if (!isPut) return false
  await folder.sync()
  await indexEntry(place, summaryOf(record))
  await note(place, { event: 'kept', id: record.id, recipients: record.recipients.length, reason: record.reason })
  return true
}

function complete(wanted: readonly ControlRecipient[], id: string): void {
  for (const [file, recipients] of Map.groupBy(wanted, ({ file }) => file)) {
    const why = `kept in quarantine ${id}`
    const changes = recipients.map(({ index }) => ({ index, why, replaceBy: null }))
    const applied = changeRecipients(file, changes)
    if (applied.length !== changes.length) throw new Error(`${file} was changed while its message was quarantined`)
  }
}

async function checkRoom({ folder }: Place, maxOctets: number): Promise<void> {
  let octets = 0
  for (const name of await folder.names()) {
    if (!name.endsWith('.eml')) continue
    octets += (await folder.look(name))?.size ?? 0
    if (octets >= maxOctets) throw new Error(`the quarantine ${folder.path} is full: it holds ${maxOctets} octets`)
  }
}
