/**
 * Sorts the messages of a Maildir into the queues of a depot, each exactly once, and archives them.
 *
 * Messages go in batches. A batch is one transaction: it decides about duplicates and fast senders, adds, remembers, and marks
 * each file as done. When that is on disk the files are moved; when the moves are on disk, the next transaction clears the
 * marks. Wherever an import dies, the next one finds a file without a mark, and adds it, or with one, and only moves it.
 * A file that is no longer in its place when the transaction runs is not added: so two importers at once do no harm, even where
 * the lock fails them.
 *
 * Source: spec postoffice 5, 12 and 17.
 */
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { DepotError, type ApplyTtl, type Decision, type Depot } from '../../../queue-store/index.ts'
import type { PostLine } from '../reasons.ts'
import { finishSorting, type Sorting, type SortingRules } from '../sort.ts'
import type { StoreMemory } from '../store-memory.ts'
import { dayFolder, failedFolder, openArchive, type Archive } from './archive.ts'
import type { ImportFaults } from './faults.ts'
import { listMaildir, pathOf, type MaildirFile } from './maildir.ts'
import { entryFacts, prepareMessage, type Prepared, type PreparedRouted } from './message.ts'
import type { FileIdentity, ImportRecords } from './records.ts'
import { emptyReport, type ImportReport } from './report.ts'

/** What is told while it works. */
export interface ImportLog {
  message(line: PostLine, file: string): void
  /** A message that could not be processed; `isPutAway`: for the last time. */
  failure(file: string, error: unknown, isPutAway: boolean): void
  /** Files that cannot be taken at all. */
  unusable(count: number): void
  progress(done: number, total: number): void
}

/** What an import works with. */
export interface ImportParts {
  readonly maildir: string
  readonly rules: SortingRules
  readonly depot: Depot
  readonly memory: StoreMemory
  readonly records: ImportRecords
  readonly log: ImportLog
  readonly now: () => number
  readonly signal: AbortSignal
  readonly faults: ImportFaults
  /** Files that are left alone this time. */
  readonly isPaused?: (name: string) => boolean
}

/** A batch ends with so many messages, after so long, or with so many octets in memory. */
const batchLimits = { messages: 100, ms: 50, octets: 8 * 1024 * 1024 }

/** After so many failures a file is put away. */
const mostFailures = 3

/** The system as a whole is short of something: no message is to be blamed for it. */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EDQUOT', 'EROFS'])

/**
 * Imports what is in the Maildir at this moment. The signal ends it after a batch.
 * Errors: DepotError, and the system's where the archive cannot be written; what was added stays added, and is moved next time.
 */
export async function importMaildir(parts: ImportParts): Promise<ImportReport> {
  return new Import(parts).run()
}

class Import {
  readonly #parts: ImportParts
  readonly #archive: Archive
  readonly #report = emptyReport()
  /** Marks whose files were moved: to be cleared with the next transaction. */
  #moved: FileIdentity[] = []

  constructor(parts: ImportParts) {
    this.#parts = parts
    this.#archive = openArchive(parts.maildir, parts.faults)
  }

  async run(): Promise<ImportReport> {
    const { maildir, records, signal, faults, log, isPaused = () => false } = this.#parts
    const listing = await listMaildir(maildir)
    faults('listed')
    if (listing.unusable > 0) log.unusable(listing.unusable)
    this.#report.failed += listing.unusable
    // Moved by an import that died before it could clear their marks. A listing may miss a file that is renamed meanwhile:
    // what is in neither place keeps its mark for a day.
    const oldMs = this.#parts.now() - 86_400_000
    this.#moved = (await records.allDone())
      .filter(({ unique }) => !listing.has(unique))
      .filter(({ folder, path, markedMs }) => existsSync(join(maildir, folder, path)) || markedMs < oldMs)
    let batch: Prepared[] = []
    let [startedMs, octets, done] = [0, 0, 0]
    try {
      for (const file of listing.files()) {
        if (signal.aborted) break
        done++
        if (isPaused(file.name)) continue
        if (batch.length === 0) [startedMs, octets] = [performance.now(), 0]
        const prepared = await this.#prepare(file)
        if (prepared === null) continue
        batch.push(prepared)
        faults('prepared')
        if (prepared.kind === 'routed') octets += prepared.staged.octets
        const { length } = batch
        const isFull = length >= batchLimits.messages || octets >= batchLimits.octets
        if (!isFull && performance.now() - startedMs < batchLimits.ms) continue
        await this.#settle(batch.splice(0))
        log.progress(done, listing.count)
      }
    } finally {
      // Also where a message could not be taken in: those before it are ready.
      const rest = batch
      batch = []
      await this.#settle(rest)
      await this.#clear()
    }
    return this.#report
  }

  /** A message, ready to be decided about; `null` where it failed. Errors: see `shortages`; DepotError. */
  async #prepare(file: MaildirFile): Promise<Prepared | null> {
    const { maildir, rules, depot, now } = this.#parts
    const nowMs = now()
    try {
      return await prepareMessage(file, { maildir, rules, depot, nowMs, folder: dayFolder(nowMs) })
    } catch (error) {
      if (isOfAll(error)) throw error
      // Gone since it was looked at: somebody else has it, or a mail reader moved it.
      if (lstatSync(pathOf(maildir, file), { throwIfNoEntry: false }) !== undefined) await this.#fail(file, error)
      return null
    }
  }

  async #settle(batch: readonly Prepared[]): Promise<void> {
    if (batch.length === 0) return
    let decided
    try {
      decided = await this.#decide(batch)
    } catch (error) {
      if (isOfAll(error)) throw error
      return this.#settleSingly(batch, error)
    }
    this.#parts.faults('committed')
    for (const one of decided) this.#finish(one)
    this.#archive.sync()
    this.#parts.faults('synced')
    // So that a signal is heard between batches that needed no transaction.
    await turn()
  }

  /** One message spoils the transaction of all: which, is found out. */
  async #settleSingly(batch: readonly Prepared[], error: unknown): Promise<void> {
    const [only] = batch
    if (batch.length === 1 && only !== undefined) return this.#fail(only.file, error)
    for (const { file } of batch) {
      // The content that was taken in went with the transaction.
      const again = await this.#prepare(file)
      if (again !== null) await this.#settle([again])
    }
  }

  /** The transaction. It may run more than once, and begins anew each time. */
  async #decide(batch: readonly Prepared[]): Promise<Decided[]> {
    const { depot, memory, records, faults } = this.#parts
    const routed = batch.filter((one) => one.kind === 'routed')
    const settled = new Map<MaildirFile, Decided>()
    const clears = this.#moved
    if (routed.length > 0) {
      const staged = routed.map((one) => one.staged)
      await depot.publishWith(staged, memory.maps, (apply) => {
        faults('deciding')
        settled.clear()
        records.clearDone(apply, clears)
        const decisions = routed.map((one) => {
          const decided = this.#decideOne(one, apply)
          settled.set(one.file, decided)
          return decided.decision
        })
        faults('decided')
        return decisions
      })
      this.#moved = []
    }
    return batch.flatMap((one) => {
      if (one.kind === 'gone') return []
      if (one.kind === 'routed') return settled.get(one.file) ?? []
      const { file, folder, sorting } = one
      return { file, folder, sorting, mark: null, decision: null }
    })
  }

  #decideOne({ file, folder, routed, digest }: PreparedRouted, apply: ApplyTtl): Decided {
    const { maildir, memory, records } = this.#parts
    const path = pathOf(maildir, file)
    const identity = { unique: file.unique, digest }
    const nothing = { file, folder: null, sorting: null, mark: null, decision: null }
    // In the transaction: whoever else has added it has moved it, or has it marked.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return nothing
    const earlier = records.folderOfDone(apply, identity)
    if (earlier !== null) return { ...nothing, folder: earlier, mark: identity }
    const sorting = finishSorting(routed, memory.admitIn(apply, routed.admission))
    if (sorting.outcome === 'duplicate' || sorting.isRepeat) return { ...nothing, folder, sorting }
    records.markDone(apply, { ...identity, folder, path: `${file.place}/${file.name}` })
    const decision = { facts: entryFacts(sorting.facts, file, folder) }
    return { file, folder, sorting, mark: identity, decision }
  }

  /** After the transaction is on disk. */
  #finish({ file, folder, sorting, mark }: Decided): void {
    if (folder === null) return
    if (sorting !== null) {
      for (const line of sorting.lines) this.#parts.log.message(line, file.name)
    }
    this.#count(sorting)
    const isMoved = this.#archive.move(file, folder)
    // What somebody else moved, a mail reader from `new` to `cur`, keeps its mark: the next import moves it.
    if (isMoved && mark !== null) this.#moved.push(mark)
  }

  #count(sorting: Decided['sorting']): void {
    const report = this.#report
    report.processed++
    if (sorting === null) {
      report.recovered++
      return
    }
    report.bodyFiltersMissed += sorting.bodyFiltersMissed
    if (sorting.outcome === 'dropped') report.dropped[sorting.reason] = (report.dropped[sorting.reason] ?? 0) + 1
    else if (sorting.outcome === 'duplicate') report.duplicates++
    else {
      report.queued[sorting.queue] = (report.queued[sorting.queue] ?? 0) + 1
      if (sorting.facts.sizeLimitOctets !== null) report.oversize++
      if (sorting.marks.length > 0) report.marked++
    }
  }

  async #fail(file: MaildirFile, error: unknown): Promise<void> {
    const { records, log } = this.#parts
    const isPutAway = (await records.countFailure(file.unique)) >= mostFailures
    log.failure(file.name, error, isPutAway)
    this.#report.failed++
    if (!isPutAway) return
    this.#archive.move(file, failedFolder)
    this.#archive.sync()
    await records.forgetFailures(file.unique)
    this.#report.putAway++
  }

  /** Clears the marks that are left. */
  async #clear(): Promise<void> {
    const { depot, memory, records, faults } = this.#parts
    const clears = this.#moved
    if (clears.length === 0) return
    await depot.publishWith([], memory.maps, (apply) => {
      records.clearDone(apply, clears)
      return []
    })
    this.#moved = []
    faults('cleared')
  }
}

/** What the transaction made of a message. */
interface Decided {
  readonly file: MaildirFile
  /** Where its file goes; `null`: it is no longer there. */
  readonly folder: string | null
  /** `null`: nothing new, its file is only to be moved. */
  readonly sorting: Sorting | null
  /** To be cleared after the move. */
  readonly mark: FileIdentity | null
  readonly decision: Decision
}

/** True for an error that any message would meet. */
function isOfAll(error: unknown): boolean {
  if (error instanceof DepotError) return true
  return error instanceof Error && 'code' in error && shortages.has(String(error.code))
}
