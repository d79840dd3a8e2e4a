/**
 * Control files as bytes: the records of one file, its recipients, and the bytes that change them.
 *
 * Pure: no clock, socket, file or logger. Time and memory grow with the length of the file, nothing else.
 * Source: spec courier 4.3 (grammar), 4.4 (records), 4.8 (when a recipient is done), 4.9 and 4.10 (what may be appended).
 */

const lf = 0x0a
const cr = 0x0d
const blank = 0x20

/** A hundred recipients need some three hundred. Each costs an object, so a flood of two-byte lines is not read. */
export const maxRecords = 500_000

/** One file's values, by record type (one byte, as a latin1 character), in the order of the file. */
export type ControlRecords = ReadonlyMap<string, readonly Buffer[]>

/** The three records of one recipient. The bytes are as in the file: never trimmed, perhaps not valid UTF-8. */
export interface RecipientBytes {
  readonly address: Uint8Array
  readonly original: Uint8Array
  readonly dsn: Uint8Array
}

/** A recipient in its file. */
export interface RecipientRecord extends RecipientBytes {
  /** How many `r` records come before it in the same file. */
  readonly index: number
  /** Delivered, failed for good, or removed by a filter: Courier will not try it again. */
  readonly done: boolean
}

/** A recipient to complete, and what takes its place. */
export interface RecipientChange {
  readonly index: number
  /** For the `I` record, after `250 Ok - `: why it was completed. */
  readonly why: string
  /** `null` removes the recipient; otherwise this triple is appended in the same write. */
  readonly replaceBy: RecipientBytes | null
}

/**
 * Splits a control file into records, as Courier's own reader does.
 *
 * Shape: lines end in LF, a last line without it counts; CR reads as a blank; empty lines say nothing; types that nobody
 *        knows are kept and harm nobody.
 * Errors: RangeError for more than `maxRecords`.
 */
export function parseControl(bytes: Buffer): ControlRecords {
  const content = bytes.includes(cr) ? Buffer.from(bytes.map((byte) => (byte === cr ? blank : byte))) : bytes
  const records = new Map<string, Buffer[]>()
  let count = 0
  for (let start = 0; start < content.length;) {
    const found = content.indexOf(lf, start)
    const end = found === -1 ? content.length : found
    if (end > start) {
      count += 1
      if (count > maxRecords) throw new RangeError(`the control file has more than ${maxRecords} records`)
      const key = String.fromCharCode(content[start] ?? 0)
      const value = content.subarray(start + 1, end)
      const values = records.get(key)
      if (values === undefined) records.set(key, [value])
      else values.push(value)
    }
    start = end + 1
  }
  return records
}

/** All values of one type; none is an empty list. */
export function valuesOf(records: ControlRecords, key: string): readonly Buffer[] {
  return records.get(key) ?? []
}

/**
 * The recipients of one file, done or not.
 *
 * Shape: `r`, `R` and `N` are counted each for itself, and the n-th `R` and `N` belong to the n-th `r`, wherever they
 *        stand; one that is missing is empty. An `r` without a value has its number like any other.
 */
export function recipientsOf(records: ControlRecords): RecipientRecord[] {
  const originals = valuesOf(records, 'R')
  const dsns = valuesOf(records, 'N')
  const done = doneIndexes(records)
  return valuesOf(records, 'r').map((address, index) => ({
    index,
    address,
    original: originals[index] ?? noOctets,
    dsn: dsns[index] ?? noOctets,
    done: done.has(index),
  }))
}

const noOctets = Buffer.alloc(0)
const noIndexes: ReadonlySet<number> = new Set()

/** The numbers that `S` and `F` records name, whether or not there is such a recipient. `D` (deferred) is not done. */
function doneIndexes(records: ControlRecords): ReadonlySet<number> {
  const delivered = valuesOf(records, 'S')
  const failed = valuesOf(records, 'F')
  // So in nearly every message: nobody has tried to deliver it yet.
  if (delivered.length === 0 && failed.length === 0) return noIndexes
  return new Set([...delivered, ...failed].map(atoi))
}

/**
 * Reads a number as C's `atoi` does: blanks, a sign, digits, and no digits at all are 0.
 * Courier completes recipient 0 upon an `S` with a word after it, so we must see the same.
 */
export function atoi(value: Uint8Array): number {
  // More than this much is no number of ours; the cut keeps a line of a million digits from costing anything.
  const text = Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, 64)).toString('latin1')
  return Number(/^[ \t\v\f]*([+-]?[0-9]+)/.exec(text)?.[1] ?? 0)
}

/**
 * The bytes of a new recipient: always all three records, or a later `R` or `N` would go to the wrong recipient.
 * Errors: RangeError where a value holds CR, LF or NUL.
 */
export function recipientTriple({ address, original, dsn }: RecipientBytes): Buffer {
  return Buffer.concat([record('r', address), record('R', original), record('N', dsn)])
}

/**
 * The bytes that complete a recipient: delivered, as far as Courier is concerned, and nothing reported to anyone.
 *
 * Shape:  `I<n> R 250 Ok - <why>`, `S<n> <time>`. Never a letter after the time: with `l` or `r` the sender could be
 *         told that a message was delivered which was not. Text beyond 250 characters is cut; what is not printable
 *         ASCII becomes `?`.
 * Units:  `nowMs` in ms since the epoch; the record has seconds.
 * Errors: RangeError where `why` holds CR, LF or NUL, or `index` is no whole number from 0.
 */
export function completion(index: number, why: string, nowMs: number): Buffer {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`${index} is not the number of a recipient`)
  refuseLineEnds('the reason', Buffer.from(why))
  const text = why.slice(0, 250).replace(/[^ -~]/g, '?')
  return Buffer.from(`I${index} R 250 Ok - ${text}\nS${index} ${Math.floor(nowMs / 1000)}\n`)
}

/**
 * The bytes to append to a control file so that it has `added` as further recipients, to be written at once.
 *
 * Shape:  a missing LF at the end of the file comes first, then empty `R` and `N` records where earlier recipients lack
 *         theirs (the new ones would be counted as those), then the triples.
 * Errors: RangeError from `recipientTriple`; Error where the file has `R`, `N`, `S` or `F` records that go beyond its
 *         recipients, since the new one would inherit them: at worst it would count as done and hear nothing.
 */
export function additionBytes(content: Buffer, added: readonly RecipientBytes[]): Buffer {
  const records = parseControl(content)
  const count = valuesOf(records, 'r').length
  const padding = ['R', 'N'].map((key) => {
    const missing = count - valuesOf(records, key).length
    if (missing < 0) throw new Error(`the control file has more ${key} records than recipients`)
    return Buffer.from(`${key}\n`.repeat(missing))
  })
  const done = doneIndexes(records)
  const taken = added.findIndex((_, offset) => done.has(count + offset))
  if (taken !== -1) throw new Error(`the control file calls recipient ${count + taken} done, before it has one`)
  return Buffer.concat([missingLineEnd(content), ...padding, ...added.map(recipientTriple)])
}

/**
 * The bytes to append to a control file so that recipients are removed or replaced, to be written at once.
 *
 * Shape:  `null` where nothing is left to do: changes to recipients that are done, or that are not there, are left out,
 *         as is a second change to the same one. Replacements come before completions, so that a write of which the
 *         disk kept only the beginning doubles a recipient rather than losing it.
 * Errors: as `additionBytes` and `completion`.
 */
export function changeBytes(
  content: Buffer,
  changes: readonly RecipientChange[],
  nowMs: number,
): { readonly bytes: Buffer; readonly applied: readonly RecipientChange[] } | null {
  const pending = new Set(
    recipientsOf(parseControl(content))
      .filter(({ done }) => !done)
      .map(({ index }) => index),
  )
  const applied = changes.filter(({ index }) => pending.delete(index))
  if (applied.length === 0) return null
  const added = applied.flatMap(({ replaceBy }) => (replaceBy === null ? [] : [replaceBy]))
  const head = added.length === 0 ? missingLineEnd(content) : additionBytes(content, added)
  const bytes = Buffer.concat([head, ...applied.map(({ index, why }) => completion(index, why, nowMs))])
  return { bytes, applied }
}

/**
 * The bytes to append to a control file so that it has these records without a value; `null` where it has them all.
 * `8` says that the body has 8-bit octets, `m` that the header section has (spec courier 4.4).
 */
export function flagBytes(content: Buffer, flags: readonly ('8' | 'm')[]): Buffer | null {
  const records = parseControl(content)
  const missing = flags.filter((flag) => !records.has(flag))
  if (missing.length === 0) return null
  return Buffer.concat([missingLineEnd(content), ...missing.map((flag) => Buffer.from(`${flag}\n`))])
}

function missingLineEnd(content: Buffer): Buffer {
  return Buffer.from(content.length === 0 || content.at(-1) === lf ? '' : '\n')
}

function record(key: string, value: Uint8Array): Buffer {
  refuseLineEnds(`a value of record "${key}"`, value)
  return Buffer.concat([Buffer.from(key), value, Buffer.from('\n')])
}

function refuseLineEnds(what: string, value: Uint8Array): void {
  if (value.some((byte) => byte === lf || byte === cr || byte === 0)) {
    throw new RangeError(`${what} holds CR, LF or NUL, which a control record cannot`)
  }
}
