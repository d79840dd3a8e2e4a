/**
 * Opens a depot: a folder with durable queues of messages, shared by the processes of one machine.
 *
 * Errors: DEPOT_OPTION, DEPOT_UNSAFE, DEPOT_FORMAT, DEPOT_DAMAGED: then nothing was changed.
 */
import { accessSync, lstatSync, unlinkSync } from 'node:fs'
import { opendir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { openBell } from './bell.ts'
import { fileName } from './contents.ts'
import { numberOf, prepare, reading, writingWith, type Core, type StagedEntry } from './core.ts'
import { bootId, clockOf, machineMs, setClock } from './depot-clock.ts'
import { openFolder, type DepotFolder } from './depot-folder.ts'
import type { Depot, DepotOptions, Queue } from './depot-types.ts'
import { openEnvironment, type Environment, type ReadView } from './environment.ts'
import { DepotError } from './errors.ts'
import { numberIn, queueKey, startingWith } from './keys.ts'
import type { Books } from './ledger-places.ts'
import * as ledger from './ledger.ts'
import { openQueue } from './queue.ts'
import { changedSettings, checkNumber, defaultSettings, queueName } from './queue-settings.ts'
import {
  changeHead,
  format,
  openTables,
  readHead,
  readQueue,
  writeQueue,
  type QueueRecord,
  type Tables,
} from './tables.ts'
import { ttlTable, writingIn } from './ttl/depot-port.ts'

/** So many entries are removed in one transaction. */
const stepEntries = 200
/** A file that nothing names is given this long: a message may be on its way into a transaction. */
const orphanMs = 3_600_000
const maxFileOctets = 2 ** 50

/** An open depot with what its other parts are built upon. */
export interface OpenedDepot extends Depot {
  readonly core: Core
}

/** Opens a depot, made where it is missing. */
export async function openDepot(directory: string, options: DepotOptions = {}): Promise<OpenedDepot> {
  const { maxBytes = maxFileOctets, insideOctets = 65_536, group = null, mode = null, pollSeconds = 5 } = options
  const { now = null } = options
  checkNumber('maxBytes', maxBytes, 1, maxFileOctets)
  checkNumber('insideOctets', insideOctets, 0, 2 ** 24)
  checkNumber('pollSeconds', pollSeconds, 0.01, 3600)
  if (group !== null && !Number.isInteger(group))
    throw new DepotError('DEPOT_OPTION', `group is ${group}, not a number`)
  if (mode !== null && ![0o600, 0o660].includes(mode))
    throw new DepotError('DEPOT_OPTION', `mode is 0${mode.toString(8)}, neither 0600 nor 0660`)
  if (mode === 0o600 && group !== null)
    throw new DepotError('DEPOT_OPTION', `mode 0600 does not let group ${group} in; name 0660, or no group`)
  const folder = openFolder(directory, { group, isShared: group !== null || mode === 0o660 })
  const environment = openEnvironment(folder.store)
  try {
    const { tables, head } = await begin(environment)
    const bell = openBell(folder.bell, folder.fileMode)
    folder.finish()
    return assemble({
      folder,
      environment,
      tables,
      maxOctets: maxBytes,
      insideOctets,
      pollSeconds,
      nowMs: now ?? clockOf(head),
      bell,
    })
  } catch (error) {
    await environment.close()
    throw error
  }
}

/** Opens the tables, and sets the clock where the machine was started since. */
async function begin(environment: Environment) {
  const tables = openTables(environment)
  const known = environment.read((view) => readHead(view, tables))
  if (known !== null && known.format !== format) {
    throw new DepotError('DEPOT_FORMAT', `${environment.path} says ${known.format}, this is ${format}`)
  }
  const boot = bootId()
  if (known !== null && boot !== null && known.boot === boot) return { tables, head: known }
  const head = await environment.write((view) =>
    changeHead(view, tables, (changed) => {
      setClock(changed, boot, Date.now(), machineMs())
      return { ...changed }
    }),
  )
  return { tables, head }
}

interface Parts {
  readonly folder: DepotFolder
  readonly environment: Environment
  readonly tables: Tables
  readonly maxOctets: number
  readonly insideOctets: number
  readonly pollSeconds: number
  readonly nowMs: () => number
  readonly bell: ReturnType<typeof openBell>
}

function assemble(parts: Parts): OpenedDepot {
  const { folder, environment, tables, maxOctets, insideOctets, pollSeconds, nowMs, bell } = parts
  const closing = new AbortController()
  const removals = new Set<Promise<void>>()
  const discard = (file: string): void => {
    // Where this fails the file is one that nothing names: a sweep finds it.
    const removal = unlink(join(folder.messages, file)).catch(() => undefined)
    removals.add(removal)
    void removal.then(() => removals.delete(removal))
  }
  let rings = 0
  const books: Books = {
    tables,
    maxOctets,
    discard,
    // One ring for all that a group of transactions has put into queues.
    ring: () => {
      if (rings++ > 0) return
      queueMicrotask(() => {
        rings = 0
        if (!closing.signal.aborted) bell.ring()
      })
    },
    checkFile: (file) => accessSync(join(folder.messages, file)),
  }
  const core: Core = {
    environment,
    books,
    contents: {
      folder: folder.messages,
      fileMode: folder.fileMode,
      insideOctets,
      maxOctets,
      syncFolder: sharedSync(folder.messages),
    },
    bell,
    nowMs,
    pollMs: pollSeconds * 1000,
    closing: closing.signal,
    discard,
  }
  const named = (view: ReadView, name: string): { number: number; owner: QueueRecord } => {
    const number = numberOf(view, core, name)
    return { number, owner: ledger.ownerOf(view, books, number) }
  }
  const sweep = (): Promise<number> => sweepFiles(core)
  const swept = sweep().catch(() => 0)

  const makeQueue = async (name: string, changes = {}): Promise<Queue> => {
    queueName(name)
    const made = await environment.write((view) => {
      const known = view.get(tables.names, Buffer.from(name))
      if (known === null) {
        const number = changeHead(view, tables, (head) => head.nextQueue++)
        view.put(tables.names, Buffer.from(name), queueKey(number))
        writeQueue(view, tables, number, { ...emptyQueue(name), ...changedSettings(defaultSettings, changes) })
        return number
      }
      const number = known.readUInt32BE(0)
      const owner = ledger.ownerOf(view, books, number)
      const changed = changedSettings(owner, changes) as QueueRecord
      if (changed.order !== owner.order && sizeOf(owner) > 0) throw new DepotError('QUEUE_NOT_EMPTY', name)
      if (JSON.stringify(changed) !== JSON.stringify(owner)) writeQueue(view, tables, number, changed)
      return number
    })
    return openQueue(core, made, name)
  }

  const removeQueue = async (name: string, withMessages: boolean): Promise<void> => {
    for (;;) {
      const isGone = await environment.write((view) => {
        const { number, owner } = named(view, name)
        const all = startingWith(queueKey(number))
        if (sizeOf(owner) > 0) {
          if (!withMessages) throw new DepotError('QUEUE_NOT_EMPTY', name)
          for (const key of view.keys(tables.entries, { ...all, limit: stepEntries })) {
            ledger.remove(view, books, number, numberIn(key, 4))
          }
          return false
        }
        const keys = view.keys(tables.keys, { ...all, limit: stepEntries })
        for (const key of keys) view.remove(tables.keys, key)
        if (keys.length === stepEntries) return false
        view.remove(tables.queues, queueKey(number))
        view.remove(tables.names, Buffer.from(name))
        return true
      })
      if (isGone) return
    }
  }

  const staged = new WeakSet<object>()
  const takeStaged = (one: object): StagedEntry => {
    if (!staged.delete(one)) throw new TypeError('a message is published or dropped once, by the depot that staged it')
    return one as StagedEntry
  }

  return {
    core,
    directory: folder.directory,
    queue: async (name) => openQueue(core, await reading(core, (view) => named(view, name).number), name),
    makeQueue,
    queues: () => reading(core, (view) => namesOf(view, tables)),
    renameQueue: async (name, newName) => {
      queueName(newName)
      await environment.write((view) => {
        const { number, owner } = named(view, name)
        if (view.get(tables.names, Buffer.from(newName)) !== null) throw new DepotError('QUEUE_EXISTS', newName)
        view.remove(tables.names, Buffer.from(name))
        view.put(tables.names, Buffer.from(newName), queueKey(number))
        writeQueue(view, tables, number, { ...owner, name: newName })
      })
    },
    removeQueue: (name, { withMessages = false } = {}) => removeQueue(name, withMessages),
    stage: async (entry) => {
      await reading(core, (view) => named(view, entry.queue))
      const prepared = await prepare(core, entry)
      const one: StagedEntry = { queue: entry.queue, octets: prepared.octets, digest: prepared.digest, prepared }
      staged.add(one)
      return one
    },
    publish: async (list) => {
      const entries = list.map(takeStaged)
      return writingWith(
        core,
        entries.map(({ prepared }) => prepared),
        (view) =>
          entries.map(({ queue, prepared }) => ledger.add(view, books, numberOf(view, core, queue), prepared, nowMs())),
        (added, index) => added[index]?.isNew !== true,
      )
    },
    publishWith: async (list, maps, decide) => {
      const entries = list.map(takeStaged)
      const table = environment.table(ttlTable)
      return writingWith(
        core,
        entries.map(({ prepared }) => prepared),
        (view) => {
          const writing = writingIn(view, table)
          const decisions = decide((operations) => maps.applyIn(writing, operations))
          return entries.map(({ queue, prepared }, index) => {
            const decision = decisions[index] ?? null
            if (decision === null) return null
            const decided = { ...prepared, notes: { ...prepared.notes, facts: decision.facts } }
            return ledger.add(view, books, numberOf(view, core, queue), decided, nowMs())
          })
        },
        (added, index) => added[index]?.isNew !== true,
      )
    },
    drop: (one) => {
      const { file } = takeStaged(one).prepared
      if (file !== null) discard(file)
      return Promise.resolve()
    },
    sweep,
    close: async () => {
      if (closing.signal.aborted) return
      closing.abort()
      await swept
      await environment.close()
      await Promise.all(removals)
      bell.close()
    },
  }
}

function emptyQueue(name: string): Omit<QueueRecord, keyof typeof defaultSettings> {
  return { name, ready: 0, held: 0, delayed: 0, leased: 0, buried: 0, dead: 0, octets: 0, tokens: 0 }
}

/** Messages of a queue, in whatever state. */
function sizeOf({ ready, held, delayed, leased, buried, dead }: QueueRecord): number {
  return ready + held + delayed + leased + buried + dead
}

function namesOf(view: ReadView, tables: Tables): string[] {
  const names: string[] = []
  const all = { from: Buffer.alloc(1), before: Buffer.from([0xff]) }
  for (const { value } of view.rows(tables.names, { ...all, limit: 100_000 })) {
    const owner = readQueue(view, tables, value.readUInt32BE(0))
    if (owner !== null) names.push(owner.name)
  }
  return names
}

/** A sync of a folder that calls share: one that comes while one is running waits for the next, since it may have come too late. */
function sharedSync(folder: string): () => Promise<void> {
  const sync = async (): Promise<void> => {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | null = null
  return () =>
    (next ??= running
      .catch(() => undefined)
      .then(() => {
        next = null
        running = sync()
        return running
      }))
}

/** Removes files of messages that nothing names and that are old enough. */
async function sweepFiles({ environment, books, contents }: Core): Promise<number> {
  let removed = 0
  for await (const { name } of await opendir(contents.folder)) {
    if (!fileName.test(name)) continue
    const path = join(contents.folder, name)
    const isOld = (): boolean => {
      const stats = lstatSync(path, { throwIfNoEntry: false })
      return stats !== undefined && Date.now() - stats.mtimeMs > orphanMs
    }
    if (!isOld() || (await isNamed(environment, books.tables, name))) continue
    // Inside a transaction: nobody can name the file between the look and its removal.
    removed += await environment.write((view) => {
      if (view.get(books.tables.files, Buffer.from(name)) !== null || !isOld()) return 0
      unlinkSync(path)
      return 1
    })
  }
  return removed
}

async function isNamed(environment: Environment, tables: Tables, name: string): Promise<boolean> {
  const work = (view: ReadView): boolean => view.get(tables.files, Buffer.from(name)) !== null
  return environment.isOpen() ? environment.read(work) : environment.write(work)
}
