/**
 * Removes what is over, and what was left by processes that died. Nothing is removed that this library has not named, or
 * pythonfilter.
 *
 * Source: spec pythonfilter 3.2 (purge and its weaknesses).
 */
import { entryFile, namedFile } from './names.ts'
import { oldFilesIn, oldTimesFor } from './old-entries.ts'
import { entryIdsIn, rebuildIndex } from './listing.ts'
import { expiresMs, note, readEntry, textOfError, type Place } from './place.ts'

/** What is to be removed. */
export interface PurgeOrder {
  /** Messages kept longer ago than this many days; default: `[quarantine] days`. */
  readonly days?: number
  /** Also files without an entry, older than a day. */
  readonly orphans?: boolean
  /** Nothing is removed: the answer is what would be. */
  readonly dryRun?: boolean
  /** For the history: who asked. */
  readonly by: string
}

/** What was removed. */
export interface Purged {
  readonly ids: readonly string[]
  readonly orphans: readonly string[]
  /** What could not be looked at or removed: texts for people. */
  readonly problems: readonly string[]
}

/** A file this new may be one that is being made. */
const orphanMs = 86_400_000
/** A release that is under way needs its files. */
const releaseMs = 3_600_000

/** Removes it. Errors: the system's, where the folder itself cannot be read. */
export async function purgeMessages(place: Place, order: PurgeOrder): Promise<Purged> {
  const { folder, settings, nowMs } = place
  const { days = settings.days, orphans = false, dryRun = false, by } = order
  const names = await folder.names()
  const filesOf = filesById(names)
  const problems: string[] = []
  const gone: string[] = []
  const times = await oldTimesFor(folder, names)
  const old = [...oldFilesIn(names).keys()].map((id) => ({ id, isOld: true }))
  for (const { id, isOld } of [...entryIdsIn(names).map((id) => ({ id, isOld: false })), ...old]) {
    try {
      const atMs = isOld
        ? (times.atMs.get(id) ?? (await folder.look(`D${id}`))?.mtimeMs)
        : (await readEntry(folder, id))?.atMs
      if (atMs === undefined || expiresMs(place, atMs, days) > nowMs()) continue
      if (await isUnderWay(place, filesOf.get(id) ?? [])) continue
      if (!dryRun) {
        // The record first: what lies there without one is no entry, and an orphan.
        if (!isOld) {
          // Another purge has it in hand.
          if (!(await folder.remove(entryFile(id)))) continue
          await folder.sync()
        }
        for (const name of filesOf.get(id) ?? []) await folder.remove(name)
        await note(place, { event: 'purged', id, by })
      }
      gone.push(id)
    } catch (thrown) {
      problems.push(`${id}: ${textOfError(thrown)}`)
    }
  }
  const swept = orphans ? await sweep(place, new Set(gone), dryRun, by, problems) : []
  if (!dryRun && gone.length + swept.length > 0) {
    await folder.sync()
    await rebuildIndex(place)
  }
  return { ids: gone, orphans: swept, problems: [...problems, ...times.problems] }
}

/** All files that belong to an id, but for its record. */
function filesById(names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>()
  for (const name of names) {
    const file = namedFile(name)
    if (!('id' in file) || file.kind === 'entry') continue
    const known = files.get(file.id)
    if (known === undefined) files.set(file.id, [name])
    else known.push(name)
  }
  return files
}

async function isUnderWay({ folder, nowMs }: Place, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const file = namedFile(name)
    if (file.kind !== 'claim' || file.state !== 'releasing') continue
    const stats = await folder.look(name)
    if (stats !== null && nowMs() - stats.mtimeMs < releaseMs) return true
  }
  return false
}

async function sweep(
  place: Place,
  gone: ReadonlySet<string>,
  dryRun: boolean,
  by: string,
  problems: string[],
): Promise<string[]> {
  const { folder, nowMs } = place
  // Read again: an entry that was made meanwhile is none of them.
  const names = await folder.names()
  const alive = new Set([...entryIdsIn(names), ...oldFilesIn(names).keys()].filter((id) => !gone.has(id)))
  const named = new Set<string>()
  for (const id of entryIdsIn(names)) {
    try {
      const file = (await readEntry(folder, id))?.message.file
      if (file !== undefined) named.add(file)
    } catch {
      // Told by a list. Its message may be the only thing that is left of it.
      for (const name of names) if (name.startsWith(`${id}.`)) named.add(name)
    }
  }
  const swept: string[] = []
  for (const name of names) {
    const file = namedFile(name)
    const isOrphan =
      file.kind === 'temporary' ||
      (file.kind === 'message' && !named.has(name)) ||
      ((file.kind === 'claim' || file.kind === 'notified' || file.kind === 'old-control') && !alive.has(file.id))
    if (!isOrphan || ('id' in file && gone.has(file.id))) continue
    try {
      const stats = await folder.look(name)
      if (stats === null || nowMs() - stats.mtimeMs < orphanMs) continue
      if (!dryRun) {
        await folder.remove(name)
        await note(place, { event: 'swept', file: name, by })
      }
      swept.push(name)
    } catch (thrown) {
      problems.push(`${name}: ${textOfError(thrown)}`)
    }
  }
  return swept
}
