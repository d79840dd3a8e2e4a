/**
 * Courier's control files, for filters: who sends to whom, and the changes to recipients that Courier honours.
 *
 * All functions are synchronous and take the `controlPaths` that `doFilter` was given, in that order. Values are text
 * as `control/text.ts` writes it: valid UTF-8 is itself, anything else is `(malformed utf8):...`, and what was read can
 * be handed back to `addRecipient` and names the same bytes. Absent is `null`; an empty record is `''`.
 *
 * Errors: every function throws where a control file cannot be opened, is no regular file, or is over 16 MiB or 500,000
 *         records.
 * Source: seed README.developers "courier.control"; spec courier 4; spec pythonfilter 1.10.
 */
import { canonicalIp, clientIpText, factsOfRecords, type ControlFacts } from './control/facts.ts'
import { additionBytes, changeBytes, recipientsOf, valuesOf } from './control/records.ts'
import { bytesOf, textOf } from './control/text.ts'
import type { ControlRecords, RecipientBytes, RecipientChange } from './control/records.ts'
import { appendToControl, controlRecordsAt, madeOfControl } from './shared-reading.ts'
import type { Recipient } from './filter.ts'

export { parseControlFacts } from './control/facts.ts'
export type { ControlFacts } from './control/facts.ts'
export type { RecipientBytes, RecipientChange } from './control/records.ts'

/** Address, original recipient, NOTIFY flags: what the seed's functions hand out and take. */
export type RecipientData = readonly [address: string, original: string, dsn: string]

/** A recipient, done or not, with its place, so that exactly this one can be changed. */
export interface ControlRecipient extends Recipient {
  /** The control file that holds it, and its number there. */
  readonly file: string
  readonly index: number
  readonly done: boolean
  /** As in the file. */
  readonly addressBytes: Uint8Array
  readonly originalBytes: Uint8Array
}

/** What `getControlData` answers; the keys are the record types. */
export interface ControlData {
  readonly s: string | null
  readonly f: string | null
  readonly e: string | null
  readonly M: string | null
  readonly i: string | null
  readonly t: string | null
  readonly E: string | null
  readonly p: string | null
  readonly W: string | null
  readonly w: boolean
  readonly '8': boolean
  readonly m: boolean
  readonly V: boolean
  readonly v: string | null
  readonly X: string | null
  readonly U: string
  readonly u: string | null
  readonly T: boolean
  readonly r: readonly RecipientData[]
}

/**
 * All values of one record type, over all files in order.
 *
 * Shape:  `key` is one character. Never more than `maxLines` values in total, and files beyond them are not opened.
 * Errors: RangeError for another `key`, or a `maxLines` that is no whole number from 1.
 */
export function getLines(controlPaths: readonly string[], key: string, maxLines?: number): string[] {
  if (!/^[\x21-\x7e]$/.test(key)) throw new RangeError(`"${key}" is no record type: it is one character`)
  if (maxLines !== undefined && !(Number.isInteger(maxLines) && maxLines > 0)) {
    throw new RangeError(`maxLines ${maxLines} is not a whole number from 1`)
  }
  const lines: string[] = []
  for (const path of controlPaths) {
    for (const value of valuesOf(controlRecordsAt(path), key)) {
      lines.push(textOf(value))
      if (lines.length === maxLines) return lines
    }
  }
  return lines
}

/** The envelope sender: `''` is the null sender, `null` means that no file names one. */
export function getSender(controlPaths: readonly string[]): string | null {
  return getLines(controlPaths, 's', 1)[0] ?? null
}

/** The Received-From-MTA record, `dns; HELO (name [ip])`, or `null`. */
export function getSendersMta(controlPaths: readonly string[]): string | null {
  return getLines(controlPaths, 'f', 1)[0] ?? null
}

/**
 * The client's address.
 *
 * Shape:  IPv4, also where the record maps it into IPv6; IPv6 compressed, in lower case; `null` where no file names one
 *         (forwards and Courier's own bounces).
 * Errors: Error where the record holds anything else. Leading zeros and zones are nothing else either: programs differ
 *         in what they read there.
 */
export function getSendersIp(controlPaths: readonly string[]): string | null {
  const text = clientIpText(getLines(controlPaths, 'O'))
  if (text === null) return null
  const ip = canonicalIp(text)
  if (ip === null) throw new Error(`the control file's TCPREMOTEIP is "${text}", which is no IP address`)
  return ip
}

/**
 * The name used for SMTP AUTH; `''` if the record is there and empty, `null` if nobody authenticated.
 * `bodyPath` is taken for the sake of old filters and not looked at: the name stands in the control file.
 */
export function getAuthUser(controlPaths: readonly string[], bodyPath?: string): string | null
export function getAuthUser(controlPaths: readonly string[]): string | null {
  return getLines(controlPaths, 'i', 1)[0] ?? null
}

/** The canonical addresses still to be delivered to. */
export function getRecipients(controlPaths: readonly string[]): string[] {
  return pendingRecipients(controlPaths).map(({ address }) => address)
}

/** The same with original recipient and NOTIFY flags. */
export function getRecipientsData(controlPaths: readonly string[]): RecipientData[] {
  return pendingRecipients(controlPaths).map(dataOf)
}

/** All recipients over all files, done or not, each with its place. */
export function readRecipients(controlPaths: readonly string[]): ControlRecipient[] {
  const files = eachOnce(controlPaths)
  const recipients = madeOfControl('recipients', files, (all) =>
    all.flatMap((records, index) => placedRecipients({ file: files[index] ?? '', records })),
  )
  return [...recipients]
}

/**
 * What submit was given, by record type.
 *
 * Shape: from the first control file (the others repeat it), the last record of a type; `r` from all files. `w 8 m V T`
 *        say whether the record is there; `U` is `''` without one, the others `null`.
 */
export function getControlData(controlPaths: readonly string[]): ControlData {
  const all = readAll(controlPaths)
  const first: ControlRecords = all[0]?.records ?? new Map()
  const last = (key: string) => {
    const value = valuesOf(first, key).at(-1)
    return value === undefined ? null : textOf(value)
  }
  const r = all.flatMap(placedRecipients).filter(isPending).map(dataOf)
  return {
    ...{ s: last('s'), f: last('f'), e: last('e'), M: last('M'), i: last('i'), t: last('t') },
    ...{ E: last('E'), p: last('p'), W: last('W'), v: last('v'), X: last('X'), u: last('u'), U: last('U') ?? '' },
    ...{ w: first.has('w'), '8': first.has('8'), m: first.has('m'), V: first.has('V'), T: first.has('T'), r },
  }
}

/**
 * Everything that a message's context needs, from one reading. It never throws for a bad client address: what to do
 * about that is each filter's own matter.
 */
export function readControl(controlPaths: readonly string[]): ControlFacts {
  const files = eachOnce(controlPaths)
  return madeOfControl('facts', files, (all) => {
    const facts = factsOfRecords(all)
    Object.freeze(facts.recipients)
    return Object.freeze(facts)
  })
}

/**
 * Adds a recipient, without original recipient and with default NOTIFY flags.
 *
 * The address must be canonical: domain in lower case, local domains replaced, no alias (Courier has expanded aliases
 * already and delivers to this as it stands, twice if it is there twice). It goes into the last control file, even if
 * that already has as many recipients as Courier's batch size; Courier delivers all the same.
 *
 * Errors: RangeError for an empty address, one with CR, LF or NUL, or text that stands for no bytes; Error without a
 *         control file.
 */
export function addRecipient(controlPaths: readonly string[], address: string): void {
  addRecipientData(controlPaths, [address, '', ''])
}

/** Adds a recipient with all its data. Errors: as `addRecipient`, and RangeError for flags other than `S F D N`. */
export function addRecipientData(controlPaths: readonly string[], data: RecipientData): void {
  const [address, original, dsn] = data
  if (address === '') throw new RangeError('a recipient needs an address')
  if (!/^[SFDN]*$/.test(dsn)) throw new RangeError(`"${dsn}" are no NOTIFY flags: S, F, D or N`)
  const file = controlPaths.at(-1)
  if (file === undefined) throw new Error('there is no control file to add a recipient to')
  const added: RecipientBytes = { address: bytesOf(address), original: bytesOf(original), dsn: Buffer.from(dsn) }
  appendToControl(file, (content) => additionBytes(content, [added]))
}

/**
 * Removes the first recipient that is still to be delivered to and has exactly this address. True if there was one.
 * Nothing is reported to the sender, and Courier logs nothing: log it, or the message is lost without a trace.
 */
export function delRecipient(controlPaths: readonly string[], address: string, why = removed): boolean {
  return removeFirst(controlPaths, why, (recipient) => recipient.address === address)
}

/** Removes the first recipient of which all three values match exactly; otherwise as `delRecipient`. */
export function delRecipientData(controlPaths: readonly string[], data: RecipientData, why = removed): boolean {
  return removeFirst(controlPaths, why, (recipient) => dataOf(recipient).every((value, at) => value === data[at]))
}

/**
 * Removes the recipient with this number in this file. False if it is done already, or not there.
 * Units: `nowMs` in ms since the epoch. Log it, as with `delRecipient`.
 */
export function completeRecipient(file: string, index: number, why: string, nowMs = Date.now()): boolean {
  return changeRecipients(file, [{ index, why, replaceBy: null }], nowMs).length === 1
}

/**
 * Removes or replaces recipients of one file, all in one write, so that a crash leaves all of it or nothing.
 *
 * Shape:  answers the changes that were made: recipients that are done already or not there are left alone, and so is
 *         what should have replaced them.
 * Errors: RangeError for values with CR, LF or NUL; Error where the file's records do not allow a further recipient.
 */
export function changeRecipients(
  file: string,
  changes: readonly RecipientChange[],
  nowMs = Date.now(),
): readonly RecipientChange[] {
  let applied: readonly RecipientChange[] = []
  appendToControl(file, (content) => {
    const change = changeBytes(content, changes, nowMs)
    applied = change?.applied ?? []
    return change?.bytes ?? null
  })
  return applied
}

const removed = 'removed by a mail filter'

/** Each file once: a path given twice must not make its recipients look like duplicates of themselves. */
function eachOnce(controlPaths: readonly string[]): readonly string[] {
  return controlPaths.length === 1 ? controlPaths : [...new Set(controlPaths)]
}

function readAll(controlPaths: readonly string[]): PlacedRecords[] {
  return eachOnce(controlPaths).map((file) => ({ file, records: controlRecordsAt(file) }))
}

interface PlacedRecords {
  readonly file: string
  readonly records: ControlRecords
}

function placedRecipients({ file, records }: { file: string; records: ControlRecords }): ControlRecipient[] {
  return recipientsOf(records).map(({ index, address, original, dsn, done }) =>
    // Shared by the filters of a message: what one of them does to it must not change what the next one sees.
    Object.freeze({
      ...{ file, index, done, address: textOf(address), original: textOf(original), dsn: textOf(dsn) },
      ...{ addressBytes: address, originalBytes: original },
    }),
  )
}

function pendingRecipients(controlPaths: readonly string[]): ControlRecipient[] {
  return readRecipients(controlPaths).filter(isPending)
}

function isPending(recipient: ControlRecipient): boolean {
  return !recipient.done
}

function dataOf({ address, original, dsn }: ControlRecipient): RecipientData {
  return [address, original, dsn]
}

function removeFirst(
  controlPaths: readonly string[],
  why: string,
  matches: (recipient: ControlRecipient) => boolean,
): boolean {
  const found = pendingRecipients(controlPaths).find(matches)
  return found !== undefined && completeRecipient(found.file, found.index, why)
}
