/**
 * Messages that pythonfilter kept in the same folder: `D<id>`, `C<id>[.n]`, and the times in its database.
 *
 * They are read, released and removed, never written: pythonfilter's own tool can still be used on them.
 * Source: spec pythonfilter 3.2.
 */
import { parseControl, recipientsOf, valuesOf, type ControlRecords } from '../control/records.ts'
import { textOf } from '../control/text.ts'
import { readHeaderOf } from '../header/file.ts'
import { fieldsNamed } from '../header/section.ts'
import { maxControlsOctets, type EntrySummary, type KeptRecipient } from './entry.ts'
import type { Folder } from './folder.ts'
import { isOldId, namedFile } from './names.ts'
import { readOldTimes, type OldTimes } from './old-database.ts'
import { decodedLine } from './plain-text.ts'

/** An old entry, as far as it can be read. */
export interface OldEntry extends EntrySummary {
  readonly messageFile: string
  readonly controlFiles: readonly string[]
  readonly envelopeId: string
  readonly dsnFormat: string
}

/** The files of old entries, by id: those that have a message. */
export function oldFilesIn(names: readonly string[]): ReadonlyMap<string, { readonly controls: readonly string[] }> {
  const messages = new Set<string>()
  const controls = new Map<string, string[]>()
  for (const name of names) {
    const file = namedFile(name)
    if (file.kind === 'old-message') messages.add(file.id)
    if (file.kind !== 'old-control') continue
    const known = controls.get(file.id)
    if (known === undefined) controls.set(file.id, [name])
    else known.push(name)
  }
  // `C<id>` is the first, then `.1`, `.2`: their recipients are counted in this order.
  const numberOf = (name: string): number => Number(name.split('.')[1] ?? 0)
  return new Map(
    [...messages].map((id) => [
      id,
      { controls: (controls.get(id) ?? []).sort((one, other) => numberOf(one) - numberOf(other)) },
    ]),
  )
}

/** Reads the times, if there is anything to read them for. */
export async function oldTimesFor(folder: Folder, names: readonly string[]): Promise<OldTimes> {
  return oldFilesIn(names).size === 0 ? { atMs: new Map(), problems: [] } : readOldTimes(folder)
}

/**
 * Reads an old entry; `null` where there is none.
 * Errors: RangeError for what is no id of pythonfilter's; those of `Folder.open`, and of `parseControl`.
 */
export async function readOldEntry(
  folder: Folder,
  id: string,
  names: readonly string[],
  times: OldTimes,
): Promise<OldEntry | null> {
  if (!isOldId(id)) throw new RangeError('this is no id of pythonfilter')
  const files = oldFilesIn(names).get(id)
  if (files === undefined) return null
  const messageFile = `D${id}`
  const records: ControlRecords[] = []
  for (const name of files.controls) {
    const content = await folder.read(name, maxControlsOctets)
    if (content !== null) records.push(parseControl(content))
  }
  const recipients: KeptRecipient[] = records.flatMap((all) =>
    recipientsOf(all)
      // One without an address is none.
      .filter(({ done, address }) => !done && address.length > 0)
      .map(({ address, original, dsn }) => ({
        address: textOf(address),
        original: textOf(original),
        dsn: textOf(dsn),
      })),
  )
  const first = (key: string): string => {
    for (const all of records) {
      const [value] = valuesOf(all, key)
      if (value !== undefined) return textOf(value)
    }
    return ''
  }
  const { handle, stats } = await folder.open(messageFile)
  try {
    const section = readHeaderOf(handle.fd, messageFile)
    const field = (name: string): string => decodedLine(fieldsNamed(section, name)[0]?.valueBytes ?? Buffer.alloc(0))
    return {
      ...{ id, atMs: times.atMs.get(id) ?? stats.mtimeMs, reason: '', queueId: first('M'), sender: first('s') },
      ...{ recipients, from: field('From'), subject: field('Subject'), octets: stats.size },
      ...{ messageFile, controlFiles: files.controls, envelopeId: first('e'), dsnFormat: first('t') },
    }
  } finally {
    await handle.close()
  }
}
