/** `postoffice export`: copies of messages as files, or in an mbox file. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { entryJson } from '../../../../queue-store/http/index.ts'
import { isDepotError, type Entry, type Queue, type StoredMessage } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { createQuoting, fromLine } from './mbox.ts'
import { countOf } from './text.ts'
import { withDepot } from './with-depot.ts'
import { choiceOf, readWords } from './words.ts'
import { copyTo, createProgress } from './write.ts'

const name = 'export'

const help = `usage: postoffice export QUEUE {--to DIR | --mbox FILE} [--what live|buried|dead|all] [--json]

Copies messages out of a queue; nothing in it changes. Messages that are settled meanwhile are left out.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --to DIR       a folder, made or empty: ID.eml is the message, octet for octet, ID.json all that is known of it
      --mbox FILE    a new file in the form mboxrd; "-" is standard output
      --what WHAT    live, buried, dead or all (default)
      --json         at the end, one JSON document on standard output (not with --mbox -)

Exit status: 0 done; 64 wrong usage; 66 there is no such queue or depot; 73 the folder or file is there already, or cannot be made;
74 it could not be written; 75 it was ended, try again; 78 broken configuration.
`

const stepEntries = 200

/** Takes a message. */
type Take = (entry: Entry, message: StoredMessage) => Promise<void>

/** Where messages go. */
interface Target {
  readonly take: Take
  readonly end: () => Promise<void>
}

/** The command. */
export const exportCommand: Command = {
  name,
  summary: 'copy messages into files or an mbox',
  help,
  run: async (args, io) => {
    const options = { to: { type: 'string' }, mbox: { type: 'string' }, what: { type: 'string' } } as const
    const given = readWords(args, options, ['QUEUE'])
    if (typeof given === 'string') return usageError(io, name, given)
    const [to, mbox] = [given.text('to'), given.text('mbox')]
    if ((to === null) === (mbox === null)) return usageError(io, name, 'say where: --to DIR or --mbox FILE')
    if (mbox === '-' && given.is('json')) return usageError(io, name, '--mbox - and --json would both write there')
    const what = choiceOf(given, 'what', ['live', 'buried', 'dead', 'all'], 'all')
    if (typeof what === 'string') return usageError(io, name, what)
    return withDepot(io, name, given, async (depot) => {
      const queue = await depot.queue(given.words[0] ?? '')
      let target
      try {
        target = to === null ? await mboxTarget(mbox ?? '', io) : await folderTarget(resolve(io.currentDirectory, to))
      } catch (error) {
        io.err(`postoffice export: ${error instanceof Error ? error.message : String(error)}\n`)
        return exitCodes.cantCreate
      }
      const kinds = what.value === 'all' ? (['live', 'buried', 'dead'] as const) : [what.value]
      let exported = 0
      try {
        exported = await exportAll(queue, kinds, target.take, io)
        await target.end()
      } catch (error) {
        if (io.signal.aborted) return exitCodes.tempFail
        if (isDepotError(error)) throw error
        io.err(`postoffice export: ${error instanceof Error ? error.message : String(error)}\n`)
        return exitCodes.ioErr
      }
      if (given.is('json')) io.out(`${asciiJson({ exported })}\n`)
      else io.err(`${countOf(exported)} exported\n`)
      return exitCodes.ok
    })
  },
}

async function exportAll(
  queue: Queue,
  kinds: readonly ('live' | 'buried' | 'dead')[],
  take: Take,
  io: CommandIo,
): Promise<number> {
  const progress = createProgress(io, 'exported')
  // A message may change its kind meanwhile, and is wanted once.
  const seen = new Set<string>()
  for (const what of kinds) {
    for (let after: string | null = null; ;) {
      const found: readonly Entry[] = await queue.peek({ what, max: stepEntries, after })
      const last = found.at(-1)
      if (last === undefined) break
      after = last.id
      for (const { id } of found) {
        io.signal.throwIfAborted()
        if (seen.has(id)) continue
        if (await exportOne(queue, id, take)) seen.add(id)
        progress(seen.size)
      }
    }
  }
  return seen.size
}

/** Whether the message was still there. */
async function exportOne(queue: Queue, id: string, take: Take): Promise<boolean> {
  try {
    const { entry, message } = await queue.open(id)
    await take(entry, message)
    return true
  } catch (error) {
    if (isDepotError(error, 'ENTRY_UNKNOWN')) return false
    // Its file may have gone while it was copied; otherwise the fault is another.
    const isThere = await queue.open(id).then(
      () => true,
      () => false,
    )
    if (isThere) throw error
    return false
  }
}

async function folderTarget(folder: string): Promise<Target> {
  await mkdir(folder, { mode: 0o700 }).catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  })
  return {
    take: async (entry, message) => {
      const base = join(folder, entry.id)
      await copyTo(message.stream(), `${base}.eml`, { isNew: true })
      await writeFile(`${base}.json`, `${asciiJson(entryJson(entry), 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
    },
    end: () => Promise.resolve(),
  }
}

async function mboxTarget(file: string, io: CommandIo): Promise<Target> {
  const isOutput = file === '-'
  const output: Writable = isOutput
    ? io.output
    : createWriteStream(resolve(io.currentDirectory, file), { mode: 0o600, flags: 'wx', flush: true })
  if (!isOutput) await once(output, 'open')
  const failed = new AbortController()
  const fail = (error: Error): void => failed.abort(error)
  output.on('error', fail)
  const signal = AbortSignal.any([failed.signal, io.signal])
  const write = async (piece: Uint8Array | string): Promise<void> => {
    signal.throwIfAborted()
    if (!output.write(piece)) await once(output, 'drain', { signal }).catch(() => signal.throwIfAborted())
  }
  return {
    take: async (entry, message) => {
      await write(fromLine(entry.envelope?.sender ?? null, entry.addedMs))
      const source = message.stream()
      const quoted = source.pipe(createQuoting())
      source.on('error', (error) => quoted.destroy(error))
      for await (const piece of quoted) await write(piece as Uint8Array)
    },
    end: async () => {
      if (!isOutput)
        await new Promise<void>((resolve, reject) => {
          output.once('error', reject)
          output.end(resolve)
        })
      output.off('error', fail)
      failed.signal.throwIfAborted()
    },
  }
}
