/** `postoffice purge`: removes messages for good. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { isDepotError, type Queue } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { countOf } from './text.ts'
import { withDepot } from './with-depot.ts'
import { choiceOf, readWords } from './words.ts'
import { createProgress } from './write.ts'

const name = 'purge'

const help = `usage: postoffice purge QUEUE ID --yes [--json]
       postoffice purge QUEUE --all --what dead|buried --yes [--json]

Removes a message for good, whatever its state; or all dead letters, or all buried messages, that there are now. "postoffice export"
saves them first.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --all          all of them
      --what WHAT    dead or buried
      --yes          does it; without it, it only says what it would do
      --json         one JSON document

Exit status: 0 done; 64 wrong usage, or --yes is missing; 66 there is no such message, queue or depot; 75 try again; 78 broken
configuration.
`

const stepEntries = 200

/** The command. */
export const purgeCommand: Command = {
  name,
  summary: 'remove messages for good',
  help,
  run: async (args, io) => {
    const options = { all: { type: 'boolean' }, what: { type: 'string' }, yes: { type: 'boolean' } } as const
    const given = readWords(args, options, ['QUEUE', '[ID]'])
    if (typeof given === 'string') return usageError(io, name, given)
    const [queueName = '', id] = given.words
    if ((id === undefined) !== given.is('all')) return usageError(io, name, 'name one message, or all with --all')
    const what = choiceOf(given, 'what', ['dead', 'buried'], null)
    if (typeof what === 'string') return usageError(io, name, what)
    if ((what.value === null) === given.is('all')) {
      return usageError(io, name, given.is('all') ? 'say which: --what dead or buried' : '--what goes with --all')
    }
    return withDepot(io, name, given, async (depot) => {
      const queue = await depot.queue(queueName)
      if (!given.is('yes')) return ask(queue, id ?? null, what.value ?? 'dead', io)
      let removed = 0
      if (id === undefined) removed = await removeAll(queue, what.value ?? 'dead', io)
      else {
        await queue.remove(id)
        removed = 1
      }
      io.out(given.is('json') ? `${asciiJson({ removed })}\n` : `${countOf(removed)} removed\n`)
      return exitCodes.ok
    })
  },
}

async function ask(queue: Queue, id: string | null, what: 'dead' | 'buried', io: CommandIo): Promise<number> {
  if (id !== null) await queue.open(id)
  const count = id === null ? (await queue.counts())[what] : 1
  io.err(`postoffice purge: ${countOf(count)} would be removed for good; say so with --yes\n`)
  return exitCodes.usage
}

async function removeAll(queue: Queue, what: 'dead' | 'buried', io: CommandIo): Promise<number> {
  const progress = createProgress(io, 'removed')
  let removed = 0
  // Those that are there now: each is met once, since ids grow.
  for (let after: string | null = null; ;) {
    io.signal.throwIfAborted()
    const found: readonly { readonly id: string }[] = await queue.peek({ what, max: stepEntries, after })
    const last = found.at(-1)
    if (last === undefined) return removed
    after = last.id
    const results = await Promise.all(found.map(({ id }) => removeOne(queue, id)))
    removed += results.filter(Boolean).length
    progress(removed)
  }
}

async function removeOne(queue: Queue, id: string): Promise<boolean> {
  try {
    await queue.remove(id)
    return true
  } catch (error) {
    if (isDepotError(error, 'ENTRY_UNKNOWN')) return false
    throw error
  }
}
