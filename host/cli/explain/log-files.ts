/** Which files a log consists of: the one that is written to, and those that were put aside. */
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * A log file and its older parts, the newest first: `FILE`, `FILE.1`, `FILE.2.gz`, `FILE-20261121`, `FILE-20261121.gz`.
 * Shape: by the time of their last change; none where nothing of that name is there.
 */
export function partsOfLog(file: string): string[] {
  const [folder, name] = [dirname(file), basename(file)]
  return namesIn(folder)
    .filter((entry) => entry.startsWith(name) && /^(?:[.-][0-9]{1,14})?(?:\.gz)?$/.test(entry.slice(name.length)))
    .map((entry) => ({ path: join(folder, entry), changedMs: changedMs(join(folder, entry)) }))
    .filter(({ changedMs }) => changedMs !== null)
    .sort((left, right) => (right.changedMs ?? 0) - (left.changedMs ?? 0) || (left.path < right.path ? -1 : 1))
    .map(({ path }) => path)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function changedMs(path: string): number | null {
  try {
    const stats = statSync(path)
    return stats.isFile() ? stats.mtimeMs : null
  } catch {
    return null
  }
}
