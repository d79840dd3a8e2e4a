/**
 * Takes the messages out of a depot that cannot be opened, as files, so far as they can still be read. The depot is not changed,
 * but for LMDB's lock file.
 *
 * A store whose pages name pages that are not there can end the process that reads it: a command runs this in one of its own.
 */
import { constants } from 'node:fs'
import { copyFile, mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileName } from './contents.ts'
import { damageOf } from './depot-folder.ts'
import { openEnvironment, type Environment } from './environment.ts'
import { DepotError } from './errors.ts'
import { numberIn } from './keys.ts'
import { openTables, readEntry, readQueue, splitMessage } from './tables.ts'

/** What was saved. */
export interface Salvaged {
  readonly messages: number
  /** Large contents that no readable record names: saved without envelope and facts. */
  readonly loose: number
  readonly problems: readonly string[]
}

const stepEntries = 50

/**
 * Writes `QUEUE-ID.eml` and `QUEUE-ID.json` (envelope, facts, state) for each message into a folder that is not there yet.
 * QUEUE is the queue's number; its name is in the JSON file. Errors: the system's, where the folder cannot be written.
 */
export async function salvage(directory: string, target: string): Promise<Salvaged> {
  await mkdir(target, { mode: 0o700 })
  const problems: string[] = []
  const saved = new Set<string>()
  const contents = join(directory, 'messages')
  let messages = 0
  let environment: Environment | null = null
  const store = join(directory, 'store.mdb')
  try {
    // LMDB would make a new store of an empty file, and end the process at a page beyond the end.
    const damage = damageOf(store)
    if (damage !== null) throw new DepotError('DEPOT_DAMAGED', `${store} ${damage}`)
    environment = openEnvironment(store)
    messages = await saveAll(environment, { contents, target, saved, problems })
  } catch (error) {
    problems.push(`the store: ${String(error)}`)
  } finally {
    await environment?.close()
  }
  let loose = 0
  for (const name of await readdir(contents).catch(() => [])) {
    if (saved.has(name) || !fileName.test(name)) continue
    await copyFile(join(contents, name), join(target, `loose-${name}.eml`), constants.COPYFILE_EXCL)
    loose++
  }
  return { messages, loose, problems }
}

interface Places {
  readonly contents: string
  readonly target: string
  readonly saved: Set<string>
  readonly problems: string[]
}

async function saveAll(environment: Environment, { contents, target, saved, problems }: Places): Promise<number> {
  const tables = openTables(environment)
  const before = Buffer.alloc(13, 0xff)
  let count = 0
  for (let from: Buffer = Buffer.alloc(1); ;) {
    const rows = environment.read((view) =>
      view.rows(tables.messages, { from, before, limit: stepEntries }).map(({ key, value }) => {
        const [queue, id] = [key.readUInt32BE(0), numberIn(key, 4)]
        return {
          key,
          value,
          queue,
          id,
          owner: readQueue(view, tables, queue),
          entry: readEntry(view, tables, queue, id),
        }
      }),
    )
    const last = rows.at(-1)
    if (last === undefined) return count
    from = Buffer.concat([last.key, Buffer.alloc(1)])
    for (const { queue, id, value, owner, entry } of rows) {
      const base = join(target, `${queue}-${id}`)
      try {
        const { notes, content } = splitMessage(value)
        const file = entry?.file ?? null
        if (file === null) await writeNew(`${base}.eml`, content)
        else await copyFile(join(contents, file), `${base}.eml`, constants.COPYFILE_EXCL)
        if (file !== null) saved.add(file)
        await writeNew(
          `${base}.json`,
          JSON.stringify({ queue: owner?.name ?? null, id: String(id), ...notes, entry }, null, 2),
        )
        count++
      } catch (error) {
        problems.push(`message ${id} of queue ${queue}: ${String(error)}`)
      }
    }
  }
}

async function writeNew(path: string, content: Buffer | string): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
