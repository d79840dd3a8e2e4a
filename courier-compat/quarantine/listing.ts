/** What is in the quarantine, for people and for programs; and the index, which is made of the entries and can be made again. */
import type { Readable } from 'node:stream'
import { claimsIn, type Claims, type RecipientState } from './claims.ts'
import { formatSummary, parseSummary, summaryOf, type EntrySummary, type KeptRecipient } from './entry.ts'
import type { Folder } from './folder.ts'
import { entryFile, indexFile, isEntryId, isOldId, namedFile, temporaryFile } from './names.ts'
import { oldFilesIn, oldTimesFor, readOldEntry } from './old-entries.ts'
import { expiresMs, readEntry, textOfError, type Place } from './place.ts'
import { newNonce } from './seal.ts'

/** A message in the quarantine. */
export interface ListedEntry extends Omit<EntrySummary, 'recipients'> {
  /** `pythonfilter`: kept by it, and read from its files. */
  readonly kind: 'nodefilter' | 'pythonfilter'
  readonly expiresMs: number
  readonly recipients: readonly (KeptRecipient & { readonly state: RecipientState })[]
}

/** A list, and what could not be listed: texts for people. */
export interface Listing {
  /** The oldest first. */
  readonly entries: readonly ListedEntry[]
  readonly problems: readonly string[]
}

const maxIndexOctets = 256 * 1024 * 1024

/** Lists everything. Errors: the system's, where the folder itself cannot be read; what is wrong with one entry is told. */
export async function listEntries(place: Place): Promise<Listing> {
  const { folder } = place
  const names = await folder.names()
  const claims = claimsIn(names)
  const problems: string[] = []
  const entries: ListedEntry[] = []
  const indexed = await readIndex(folder, problems)
  for (const id of entryIdsIn(names)) {
    try {
      const summary = indexed.get(id) ?? (await summaryFromRecord(folder, id))
      if (summary !== null) entries.push(listed(place, 'nodefilter', summary, claims))
    } catch (thrown) {
      problems.push(`${id}: ${textOfError(thrown)}`)
    }
  }
  const times = await oldTimesFor(folder, names)
  problems.push(...times.problems)
  for (const id of oldFilesIn(names).keys()) {
    try {
      const old = await readOldEntry(folder, id, names, times)
      if (old !== null) entries.push(listed(place, 'pythonfilter', old, claims))
    } catch (thrown) {
      problems.push(`${id}: ${textOfError(thrown)}`)
    }
  }
  return { entries: entries.sort((one, other) => one.atMs - other.atMs), problems }
}

/** One entry, from its own files; `null` where there is none. Errors: RangeError for what is no id; those of `Folder.open`. */
export async function showEntry(place: Place, id: string): Promise<ListedEntry | null> {
  const names = await place.folder.names()
  const claims = claimsIn(names)
  if (isOldId(id)) {
    const old = await readOldEntry(place.folder, id, names, await oldTimesFor(place.folder, names))
    return old === null ? null : listed(place, 'pythonfilter', old, claims)
  }
  const record = await readEntry(place.folder, id)
  return record === null ? null : listed(place, 'nodefilter', summaryOf(record), claims)
}

/** The message of an entry, octet for octet; `null` where there is none. Errors: as `showEntry`. */
export async function openMessage({ folder }: Place, id: string): Promise<Readable | null> {
  const file = isOldId(id) ? `D${id}` : (await readEntry(folder, id))?.message.file
  if (file === undefined || (await folder.look(file)) === null) return null
  const { handle } = await folder.open(file)
  return handle.createReadStream({ highWaterMark: 64 * 1024 })
}

/** Makes the index again, from the entries. Answers how many there are. Errors: as `listEntries`. */
export async function rebuildIndex(
  place: Place,
): Promise<{ readonly count: number; readonly problems: readonly string[] }> {
  const { folder } = place
  const problems: string[] = []
  const lines: string[] = []
  for (const id of entryIdsIn(await folder.names())) {
    try {
      const summary = await summaryFromRecord(folder, id)
      if (summary !== null) lines.push(`${formatSummary(summary)}\n`)
    } catch (thrown) {
      problems.push(`${id}: ${textOfError(thrown)}`)
    }
  }
  const temporary = temporaryFile(newNonce())
  try {
    await folder.write(temporary, Buffer.from(lines.join('')))
    await folder.rename(temporary, indexFile)
  } catch (thrown) {
    await folder.remove(temporary)
    throw thrown
  }
  await folder.sync()
  return { count: lines.length, problems }
}

/** The ids of our own entries among these names. */
export function entryIdsIn(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const file = namedFile(name)
    return file.kind === 'entry' ? [file.id] : []
  })
}

/** An index that cannot be read is told, and costs a look at every record. */
async function readIndex(folder: Folder, problems: string[]): Promise<ReadonlyMap<string, EntrySummary>> {
  const summaries = new Map<string, EntrySummary>()
  let content: Buffer | null = null
  try {
    content = await folder.read(indexFile, maxIndexOctets)
  } catch (thrown) {
    problems.push(`the index cannot be read, make it again: ${textOfError(thrown)}`)
  }
  for (const line of content?.toString('utf8').split('\n') ?? []) {
    const summary = line === '' ? null : parseSummary(line)
    // Of an id that was used again the last one counts.
    if (summary !== null && isEntryId(summary.id)) summaries.set(summary.id, summary)
  }
  return summaries
}

async function summaryFromRecord(folder: Folder, id: string): Promise<EntrySummary | null> {
  const record = await readEntry(folder, id)
  if (record === null) return null
  if ((await folder.look(record.message.file)) === null) throw new Error(`${entryFile(id)} has lost its message`)
  return summaryOf(record)
}

function listed(place: Place, kind: ListedEntry['kind'], summary: EntrySummary, claims: Claims): ListedEntry {
  const { id, atMs, reason, queueId, sender, from, subject, octets } = summary
  return {
    ...{ id, kind, atMs, expiresMs: expiresMs(place, atMs), reason, queueId, sender, from, subject, octets },
    recipients: summary.recipients.map(({ address, original, dsn }, index) => ({
      ...{ address, original, dsn, state: claims.of(id, index) },
    })),
  }
}
