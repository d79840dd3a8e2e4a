/** `postoffice import`, and the program without a command: sorts the mail of the Maildir into the queues. */
import { statSync } from 'node:fs'
import { asciiJson } from '../../../courier-compat/ascii-json.ts'
import type { PostofficeSettings } from '../configuration.ts'
import { parseFaults } from '../import/faults.ts'
import { importMaildir, type ImportParts } from '../import/importer.ts'
import { takeImportLock } from '../import/lock.ts'
import { listMaildir, makeMaildir, pathOf } from '../import/maildir.ts'
import { reconcileQueues } from '../import/reconcile.ts'
import { openImportRecords } from '../import/records.ts'
import { emptyReport, processedLine, type ImportReport } from '../import/report.ts'
import { watchMaildir } from '../import/watch.ts'
import { openIncoming } from '../incoming.ts'
import { forLog } from '../reasons.ts'
import { sortMessage } from '../sort.ts'
import { openStoreMemory } from '../store-memory.ts'
import { commonOptions, parseArguments, wholeNumber } from './arguments.ts'
import { exitCodes, usageError, type Command, type CommandIo } from './command.ts'
import { exitCodeOf, told } from './exit-code.ts'
import { openImportLog, type CommandLog } from './import-log.ts'
import { outcomeData, outcomeOf } from './outcome.ts'
import { openStore, readConfiguration } from './setup.ts'
import { withMemory } from './with-memory.ts'

/** The command. */
export const importCommand: Command = {
  name: 'import',
  summary: 'sort the mail of the Maildir into the queues',
  help: `usage: postoffice [import] [-C FILE] [-v] [--watch [--poll SECONDS]] [--dry-run] [--progress] [--json]

Sorts the messages in "new" and "cur" of the Maildir into the queues of the depot, by the rules of the ini file, and moves
each into the folder of the day (.YYYY.MM.DD) below the Maildir. A message is added once, wherever an import is killed. A
message that cannot be processed stays for another try, and is put away in the folder .failed at the third failure.
While another import works on the Maildir nothing is done, and the exit status is 0.

  -C, --config FILE   this ini file
  -v, --verbose       tell of each message on standard error, not of warnings alone
      --watch         go on, and import mail as it comes, until SIGTERM or SIGINT; then what is in hand is finished
      --poll SECONDS  with --watch, look at least so often: 10
      --dry-run       say on standard output what would become of each message, and change nothing
      --progress      tell each second how far it is; on a terminal this is the default
      --json          lines of JSON on standard error, and the numbers of the run as JSON on standard output

Exit status: 0 done; 65 where a message could not be processed; 75 where the depot is full or the disk did not take a write:
run it again; 77 as root, on what belongs to others; 78 broken configuration; 64 wrong usage (2 where "import" was left out).
`,
  run: runImport,
}

async function runImport(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = parseArguments(args, {
    ...commonOptions,
    watch: { type: 'boolean' },
    poll: { type: 'string' },
    'dry-run': { type: 'boolean' },
    progress: { type: 'boolean' },
  })
  if (typeof parsed === 'string') return usageError(io, 'import', parsed)
  const { values, positionals } = parsed
  const [extra] = positionals
  if (extra !== undefined) return usageError(io, 'import', `"${extra}" is too much`)
  const isDry = values['dry-run'] === true
  if (isDry && values.watch === true) return usageError(io, 'import', '--watch and --dry-run exclude each other')
  if (values.poll !== undefined && values.watch !== true) return usageError(io, 'import', '--poll is for --watch')
  const pollSeconds = wholeNumber('poll', values.poll ?? '10', 1, 3600)
  if (typeof pollSeconds === 'string') return usageError(io, 'import', pollSeconds)
  const { config, verbose = false, json = false, watch = false, progress = io.isErrTty } = values
  const configuration = readConfiguration(io, 'import', config === undefined ? { verbose } : { config, verbose })
  if (typeof configuration === 'number') return configuration
  if (isDry) return dryRun(configuration, io, json)

  const stranger = strangerTo(configuration)
  if (stranger !== null) {
    io.err(`postoffice import: ${stranger}\n`)
    return exitCodes.noPerm
  }
  const log = openImportLog(io, { isVerbose: verbose, isJson: json, hasProgress: progress })
  makeMaildir(configuration.maildir)
  const lock = takeImportLock(configuration.maildir)
  if ('pid' in lock) {
    io.err(`Another import (process ${lock.pid}) works on ${configuration.maildir}: nothing is done.\n`)
    return exitCodes.ok
  }
  try {
    return await importInto(configuration, io, log, { isJson: json, pollMs: watch ? pollSeconds * 1000 : null })
  } finally {
    log.endProgress()
    lock.release()
  }
}

/**
 * What keeps root from importing; `null`: nothing. In a folder of somebody else's, root could be led to other files by links; and what root
 * puts into a depot of somebody else's, its owner could not read.
 */
function strangerTo({ maildir, store }: PostofficeSettings): string | null {
  if (process.geteuid?.() !== 0) return null
  for (const folder of [maildir, store]) {
    const uid = statSync(folder, { throwIfNoEntry: false })?.uid ?? 0
    if (uid !== 0) return `${folder} belongs to user ${uid}: root does not import, run it as that user`
  }
  return null
}

/** `pollMs`: go on, and look so often; `null`: once. */
async function importInto(
  configuration: PostofficeSettings,
  io: CommandIo,
  log: CommandLog,
  { isJson, pollMs }: { readonly isJson: boolean; readonly pollMs: number | null },
): Promise<number> {
  const { maildir, storePrefix } = configuration
  const depot = await openStore(configuration)
  const memory = openStoreMemory(depot, io.now)
  try {
    const records = openImportRecords(memory.maps, maildir, storePrefix)
    for (const { level, event, text, queue } of await reconcileQueues(depot, configuration, records)) {
      log.tell(level, event, text, { queue })
    }
    const parts: ImportParts = {
      ...{ maildir, depot, memory, records, log, rules: configuration, now: io.now, signal: io.signal },
      faults: parseFaults(io.env['POSTOFFICE_FAULTS'] ?? ''),
    }
    const report = pollMs === null ? await importMaildir(parts) : await importOn(parts, io, log, pollMs)
    await memory.sweep()
    log.tell('info', 'processed', processedLine(report), { ...report })
    if (isJson) io.out(`${asciiJson(report)}\n`)
    return report.failed > 0 ? exitCodes.dataErr : exitCodes.ok
  } finally {
    await memory.close()
    await depot.close()
  }
}

/** A message that failed is tried again so much later: not at each look, or three failures were a matter of seconds. */
const pauseMs = 60_000
/** So many are paused at most; of more, the first are tried sooner. */
const mostPaused = 10_000

/** Imports until the signal comes. What the disk refuses is tried again; gives the numbers of all together. */
async function importOn(parts: ImportParts, io: CommandIo, log: CommandLog, pollMs: number): Promise<ImportReport> {
  const total = emptyReport()
  const paused = new Map<string, number>()
  const watch = watchMaildir(parts.maildir)
  const failure: ImportParts['log']['failure'] = (file, error, isPutAway) => {
    log.failure(file, error, isPutAway)
    const [oldest] = paused.keys()
    if (paused.size >= mostPaused && oldest !== undefined) paused.delete(oldest)
    paused.set(file, io.now() + pauseMs)
  }
  const isPaused = (file: string): boolean => (paused.get(file) ?? 0) > io.now()
  try {
    while (!io.signal.aborted) {
      try {
        addTo(total, await importMaildir({ ...parts, log: { ...parts.log, failure }, isPaused }))
        await parts.memory.sweep()
      } catch (error) {
        if (exitCodeOf(error) !== exitCodes.tempFail) throw error
        log.tell('error', 'try-again', `Tried again later: ${told(error)}`)
      }
      await watch.next(pollMs, io.signal)
    }
  } finally {
    watch.close()
  }
  return total
}

function addTo(total: ImportReport, { queued, dropped, ...numbers }: ImportReport): void {
  for (const [name, count] of Object.entries(numbers)) total[name as keyof typeof numbers] += count
  for (const [queue, count] of Object.entries(queued)) total.queued[queue] = (total.queued[queue] ?? 0) + count
  for (const [name, count] of Object.entries(dropped)) {
    const reason = name as keyof typeof dropped
    total.dropped[reason] = (total.dropped[reason] ?? 0) + count
  }
}

/** Says what would be. Each message is asked about by itself: two that are duplicates of each other are both new. */
async function dryRun(configuration: PostofficeSettings, io: CommandIo, isJson: boolean): Promise<number> {
  const { maildir } = configuration
  const listing = await listMaildir(maildir)
  let hasFailed = listing.unusable > 0
  await withMemory(configuration, io, async (memory) => {
    for (const file of listing.files()) {
      if (io.signal.aborted) return
      let outcome: { readonly text: string; readonly data: object }
      try {
        const message = openIncoming(pathOf(maildir, file))
        const sorting = await sortMessage(message, configuration, memory, io.now(), { mode: 'look' })
        outcome = { text: outcomeOf(sorting), data: outcomeData(sorting) }
      } catch (error) {
        hasFailed = true
        outcome = { text: `It cannot be processed: ${told(error)}`, data: { outcome: 'failed', error: told(error) } }
      }
      const name = `${file.place}/${file.name}`
      io.out(isJson ? `${asciiJson({ file: name, ...outcome.data })}\n` : `${forLog(name)}: ${outcome.text}\n`)
    }
  })
  return hasFailed ? exitCodes.dataErr : exitCodes.ok
}
