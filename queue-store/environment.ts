/**
 * Tables of sorted keys on disk, written by whole transactions: the one place that knows LMDB.
 *
 * - **A write is on disk when its promise resolves**: the transaction's `fdatasync` has returned. Writes that are asked
 *   for together share one transaction, and with it one sync: a hundred concurrent ones cost hardly more than one.
 * - **A transaction is a function**, run synchronously, with a view through which it reads and writes. Where it throws,
 *   nothing that it wrote stays, and the others of its group go on. It may therefore run more than once: it changes nothing but
 *   what it writes through its view.
 * - **A write that failed is unknown.** The environment is opened anew before the next one, since LMDB refuses to work on after
 *   some failures.
 * - Readers never hold a snapshot open between turns: a view's ranges are read whole, and have a limit, for a reader that
 *   stays makes the file grow without end.
 *
 * Transactions are synchronous ones: of LMDB's two kinds only these undo what a throwing callback wrote, report a full disk
 * where it can be caught, and end with their sync. The price is that the thread stands still for the sync, and while another
 * process writes: a thread with deadlines of its own leaves the environment to one without. That thread must never be
 * terminated: it may hold the lock that all writers share.
 *
 * Errors: DEPOT_WRITE_FAILED for a write that the disk did not take; DEPOT_CLOSED after `close`; DEPOT_OPTION for numbers out
 *         of bounds (a negative map size ends the process in LMDB); DEPOT_DAMAGED where LMDB refuses the file.
 * Source: spec reliability 4 and 2.3; spec ecosystem 3.1.
 */
import { open as openDatabase, type Database, type RootDatabase } from 'lmdb'
import { DepotError } from './errors.ts'
import { createKeeper } from './kept-records.ts'

/** Settings of an environment. */
export interface EnvironmentOptions {
  /** Readers at the same time, over all threads and processes that have it open. */
  readonly maxReaders?: number
  /** Named tables. */
  readonly maxTables?: number
  /** Address space set aside at first; the file may grow beyond. Not a limit of size. */
  readonly mapOctets?: number
  /** Runs in front of each group of writes, in its transaction. */
  readonly beforeCommit?: (view: WriteView) => void
}

/** A table of the environment; to be used in views. */
export interface Table {
  readonly name: string
}

/** Keys from `from` (with it) up to `before` (without it), in the order of their octets, at most `limit`. */
export interface Range {
  readonly from: Uint8Array
  readonly before: Uint8Array
  readonly limit: number
  /** The last ones first. */
  readonly isReversed?: boolean
}

/** One key and its value. */
export interface Row {
  readonly key: Buffer
  readonly value: Buffer
}

/** What is in the tables. */
export interface ReadView {
  get: (table: Table, key: Uint8Array) => Buffer | null
  /** What `keep` was last given for this key in this group of transactions; `undefined` outside of one, and where nothing was. */
  kept: (table: Table, key: Uint8Array) => object | undefined
  keys: (table: Table, range: Range) => Buffer[]
  rows: (table: Table, range: Range) => Row[]
  /** The entries of a table; read from its head, whatever their number. */
  count: (table: Table) => number
}

/** What a transaction reads, with what it wrote, and writes. */
export interface WriteView extends ReadView {
  put: (table: Table, key: Uint8Array, value: Uint8Array) => void
  /**
   * A `put` of a record that nearly each transaction of a group changes: what it becomes is written once, with the last of
   * them. `record` must not be changed any more.
   */
  keep: (table: Table, key: Uint8Array, record: object, toValue: (record: object) => Buffer) => void
  /** Whether the key was there. */
  remove: (table: Table, key: Uint8Array) => boolean
  /** Called once the transaction is on disk; must not throw. */
  afterCommit: (call: () => void) => void
}

/** What the file holds. */
export interface EnvironmentFigures {
  readonly fileOctets: number
  /** Octets of pages in use by the tables opened so far; the rest of the file is free for new ones. */
  readonly usedOctets: number
  readonly readers: number
  readonly maxReaders: number
}

/** An open environment. */
export interface Environment {
  readonly path: string
  /** A table, made where it is missing. Not inside a transaction. Errors: DEPOT_WRITE_FAILED. */
  table: (name: string) => Table
  /** Whether it can be read at this moment: not while it is opened anew after a failed write, nor once it is closed. */
  isOpen: () => boolean
  /** Reads the newest state. `work` is synchronous. Errors: DEPOT_CLOSED unless `isOpen`; a `write` that only reads waits instead. */
  read: <T>(work: (view: ReadView) => T) => T
  /** Runs `work` in a transaction. Shape: see above; it may run more than once. Resolves with what it gave, on disk. */
  write: <T>(work: (view: WriteView) => T) => Promise<T>
  /** Frees the places of readers that were killed; how many. Also done at opening. */
  freeDeadReaders: () => number
  figures: () => EnvironmentFigures
  /** Writes a copy without free pages, from one moment, to a path where nothing is. */
  copyTo: (path: string) => Promise<void>
  /** Waits for the writes that were asked for. */
  close: () => Promise<void>
}

interface Waiting {
  readonly work: (view: WriteView) => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

interface OpenTable extends Table {
  database: Database<Buffer, Buffer>
}

/** A failure of the store itself, apart from what a transaction's function throws. */
class StoreFailure extends Error {}

/** So many transactions share one sync; with more the thread would stand still for longer than its neighbours bear. */
const groupSize = 256

const bounds = {
  maxReaders: [8, 4096, 512],
  maxTables: [4, 1024, 64],
  mapOctets: [2 ** 20, 2 ** 40, 2 ** 30],
} as const

/** Opens the environment of a file, made where it is missing. The folder is there and was checked. */
export function openEnvironment(path: string, options: EnvironmentOptions = {}): Environment {
  const root = {
    path,
    noSubdir: true,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    maxReaders: bounded('maxReaders', options.maxReaders),
    maxDbs: bounded('maxTables', options.maxTables),
    mapSize: bounded('mapOctets', options.mapOctets),
  } as const
  const open = (): RootDatabase<Buffer, Buffer> => {
    try {
      const opened = openDatabase<Buffer, Buffer>(root)
      opened.readerCheck()
      return opened
    } catch (error) {
      throw new DepotError('DEPOT_DAMAGED', `${path}: ${reasonOf(error)}`, error)
    }
  }
  let database = open()
  // `failed`: to be opened anew; `lost`: that did not succeed, and nothing is open.
  let state: 'open' | 'failed' | 'reopening' | 'lost' | 'closed' = 'open'
  const tables = new Map<string, OpenTable>()
  const waiting: Waiting[] = []
  let idle: (() => void) | null = null
  let isScheduled = false

  const openTable = (name: string): Database<Buffer, Buffer> =>
    database.openDB<Buffer, Buffer>(name, { encoding: 'binary', keyEncoding: 'binary' })
  const of = (table: Table): Database<Buffer, Buffer> => (table as OpenTable).database
  const readView: ReadView = {
    get: (table, key) => of(table).get(key as Buffer) ?? null,
    kept: () => undefined,
    keys: (table, range) => Array.from(of(table).getKeys(spanOf(range)), (key) => key),
    rows: (table, range) => Array.from(of(table).getRange(spanOf(range)), ({ key, value }) => ({ key, value })),
    count: (table) => (of(table).getStats() as { entryCount: number }).entryCount,
  }
  let writes = 0
  let calls: (() => void)[] = []
  const keeper = createKeeper<Table>((table, key, value) => storing(() => of(table).putSync(key as Buffer, value)))
  /** A table's records that are kept have to be in it before anything else is done with it. */
  const settled = (table: Table): Table => {
    keeper.write(table)
    return table
  }
  const writeView: WriteView = {
    get: (table, key) => readView.get(settled(table), key),
    keys: (table, range) => readView.keys(settled(table), range),
    rows: (table, range) => readView.rows(settled(table), range),
    count: (table) => readView.count(settled(table)),
    kept: keeper.kept,
    keep: (table, key, kept, toValue) => {
      writes++
      keeper.keep(table, key, kept, toValue)
    },
    put: (table, key, value) => {
      writes++
      storing(() => of(settled(table)).putSync(key as Buffer, value as Buffer))
    },
    remove: (table, key) => {
      writes++
      return storing(() => of(settled(table)).removeSync(key as Buffer))
    },
    afterCommit: (call) => calls.push(call),
  }

  /** Runs a group in one transaction, without those whose function throws. */
  const commit = (group: readonly Waiting[]): void => {
    let left = group
    while (left.length > 0) {
      const done: { by: Waiting; value: unknown }[] = []
      let spoilt: { at: number; error: unknown } | null = null
      calls = []
      keeper.clear()
      try {
        // Pages that a snapshot may still read are not used again: no snapshot of ours is left here, nor one of a dead process.
        database.resetReadTxn()
        database.readerCheck()
        database.transactionSync(() => {
          options.beforeCommit?.(writeView)
          for (const [at, by] of left.entries()) {
            const before = { writes, calls: calls.length }
            try {
              done.push({ by, value: by.work(writeView) })
            } catch (error) {
              if (error instanceof StoreFailure) throw error
              if (writes > before.writes) {
                // It has written: the whole transaction is undone, and run again without it.
                spoilt = { at, error }
                throw error
              }
              calls.length = before.calls
              by.reject(error)
            }
          }
          keeper.write(null)
        })
      } catch (error) {
        const lost = spoilt as { at: number; error: unknown } | null
        if (lost === null) {
          state = 'failed'
          const cause = error instanceof StoreFailure ? error.cause : error
          const failure = new DepotError('DEPOT_WRITE_FAILED', `${path}: ${reasonOf(cause)}`, cause)
          for (const one of left) one.reject(failure)
          return
        }
        left[lost.at]?.reject(lost.error)
        left = [...done.map(({ by }) => by), ...left.slice(lost.at + 1)]
        continue
      }
      for (const call of calls) call()
      for (const { by, value } of done) by.resolve(value)
      return
    }
  }

  /** LMDB may refuse everything after a failed write, until it is opened anew. */
  const reopen = async (): Promise<void> => {
    const isLost = state === 'lost'
    state = 'reopening'
    try {
      if (!isLost) await database.close()
      database = open()
      for (const table of tables.values()) table.database = openTable(table.name)
      state = 'open'
    } catch (error) {
      state = 'lost'
      for (const one of waiting.splice(0)) one.reject(error)
    }
    schedule()
  }

  const run = (): void => {
    isScheduled = false
    if (state === 'reopening') return
    if ((state === 'failed' || state === 'lost') && waiting.length > 0) {
      void reopen()
      return
    }
    commit(waiting.splice(0, groupSize))
    if (waiting.length > 0) schedule()
    else idle?.()
  }
  const schedule = (): void => {
    if (isScheduled) return
    isScheduled = true
    setImmediate(run)
  }

  return {
    path,
    table: (name) => {
      if (state === 'closed') throw new DepotError('DEPOT_CLOSED')
      const known = tables.get(name)
      if (known !== undefined) return known
      const table: OpenTable = { name, database: opening(() => openTable(name)) }
      tables.set(name, table)
      return table
    },
    isOpen: () => state === 'open' || state === 'failed',
    read: (work) => {
      if (state !== 'open' && state !== 'failed') throw new DepotError('DEPOT_CLOSED')
      // A snapshot may be left from earlier in this turn; others have written since.
      database.resetReadTxn()
      return work(readView)
    },
    write: (work) =>
      new Promise((resolve, reject) => {
        if (state === 'closed') {
          reject(new DepotError('DEPOT_CLOSED'))
          return
        }
        waiting.push({ work, resolve: resolve as (value: unknown) => void, reject })
        schedule()
      }),
    freeDeadReaders: () => database.readerCheck(),
    figures: () => {
      const stats = database.getStats() as RootStats
      let pages = pagesOf(stats) + pagesOf(stats.free)
      for (const table of tables.values()) pages += pagesOf(table.database.getStats() as TableStats)
      return {
        fileOctets: (stats.lastPageNumber + 1) * stats.pageSize,
        usedOctets: pages * stats.pageSize,
        readers: stats.numReaders,
        maxReaders: stats.maxReaders,
      }
    },
    copyTo: (target) => database.backup(target, true),
    close: async () => {
      if (state === 'closed') return
      await new Promise<void>((resolve) => {
        idle = resolve
        schedule()
      })
      const isLost = (state as string) === 'lost'
      state = 'closed'
      if (!isLost) await database.close()
    },
  }
}

interface TableStats {
  readonly entryCount: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

interface RootStats extends TableStats {
  readonly pageSize: number
  readonly lastPageNumber: number
  readonly numReaders: number
  readonly maxReaders: number
  readonly free: TableStats
}

function pagesOf(stats: TableStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages
}

/** LMDB reads a reversed range from its upper end, which it takes in: no key of a range is that end. */
function spanOf({ from, before, limit, isReversed = false }: Range): SpanOptions {
  return isReversed
    ? { start: before, end: from, limit, reverse: true, exclusiveStart: true, inclusiveEnd: true }
    : { start: from, end: before, limit }
}

type SpanOptions = NonNullable<Parameters<Database<Buffer, Buffer>['getRange']>[0]>

function opening<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw new DepotError('DEPOT_WRITE_FAILED', reasonOf(error), error)
  }
}

function storing<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw new StoreFailure('a write failed', { cause: error })
  }
}

function bounded(name: keyof typeof bounds, value: number | undefined): number {
  const [least, most, otherwise] = bounds[name]
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new DepotError('DEPOT_OPTION', `${name} is ${String(value)}, not a whole number from ${least} to ${most}`)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
