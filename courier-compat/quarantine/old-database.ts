/**
 * Reads pythonfilter's database of kept messages, `msgs.db`, in the forms in which Pythons made it.
 *
 * Only the times are taken from it: which files belong to an id their names say, and no path in it is ever opened.
 * Source: spec pythonfilter 3.2; Python's library manual, "dbm" (gdbm, sqlite3, dumb).
 */
import { join } from 'node:path'
import { openGdbm } from '../gdbm/image.ts'
import type { Folder } from './folder.ts'
import { isOldId } from './names.ts'
import { parseOldRecord } from './pickle.ts'

/** When each message was kept, by id; and what could not be read of it. */
export interface OldTimes {
  readonly atMs: ReadonlyMap<string, number>
  readonly problems: readonly string[]
}

const maxOctets = 64 * 1024 * 1024

/** Reads it, whatever its form; one that is not there is empty. Errors: told in `problems`, none are thrown. */
export async function readOldTimes(folder: Folder): Promise<OldTimes> {
  const problems: string[] = []
  const atMs = new Map<string, number>()
  try {
    for (const [key, value] of await readPairs(folder)) {
      const id = key.toString('latin1')
      if (!isOldId(id)) continue
      try {
        atMs.set(id, parseOldRecord(value).atMs)
      } catch (thrown) {
        problems.push(`${id}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
      }
    }
  } catch (thrown) {
    problems.push(`msgs.db: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  }
  return { atMs, problems }
}

type Pair = readonly [key: Buffer, value: Buffer]

async function readPairs(folder: Folder): Promise<Pair[]> {
  const image = await folder.read('msgs.db', maxOctets)
  if (image !== null) {
    if (image.toString('latin1', 0, 16) === 'SQLite format 3\0') return readSqlite(join(folder.path, 'msgs.db'))
    return [...openGdbm(image).entries()]
  }
  const directory = await folder.read('msgs.db.dir', maxOctets)
  const data = await folder.read('msgs.db.dat', maxOctets)
  return directory === null || data === null ? [] : readDumb(directory.toString('latin1'), data)
}

/** Python 3.13 and later. */
async function readSqlite(path: string): Promise<Pair[]> {
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return database
      .prepare('SELECT key, value FROM Dict LIMIT 1000000')
      .all()
      .flatMap(({ key, value }) =>
        key instanceof Uint8Array && value instanceof Uint8Array
          ? [[Buffer.from(key), Buffer.from(value)] as const]
          : [],
      )
  } finally {
    database.close()
  }
}

/** `'KEY', (POSITION, OCTETS)`, a line for each; the last one of a key counts. */
function readDumb(directory: string, data: Buffer): Pair[] {
  const pairs = new Map<string, Pair>()
  for (const line of directory.split('\n')) {
    const match = /^'([0-9]{1,20})', \(([0-9]{1,12}), ([0-9]{1,9})\)$/.exec(line.trimEnd())
    if (match === null) continue
    const [key = '', position, octets] = [match[1], Number(match[2]), Number(match[3])]
    if (position + octets > data.length) throw new Error('its files do not belong together')
    pairs.set(key, [Buffer.from(key), data.subarray(position, position + octets)])
  }
  return [...pairs.values()]
}
