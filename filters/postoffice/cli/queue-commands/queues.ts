/** `postoffice queues`: the queues of the depot, and how they are made, changed, renamed and removed. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import type { Depot, QueueCounts, QueueSettings } from '../../../../queue-store/index.ts'
import { isDepotError } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { groupNumber } from '../../../../queue-store/group-number.ts'
import { countOf, spanText, table, visible } from './text.ts'
import { withDepot } from './with-depot.ts'
import { choiceOf, numberOf, readWords, splitVerb, type Words } from './words.ts'

const name = 'queues'

const help = `usage: postoffice queues [--json]
       postoffice queues make NAME [--order ORDER] [--max-deliveries N] [--first-retry SECONDS] [--retry-factor N]
                              [--max-retry SECONDS] [--remember SECONDS] [--group GROUP]
       postoffice queues rename OLD NEW
       postoffice queues remove NAME [--with-messages]

Without a word: all queues, how many messages of each wait, are leased, delayed, buried and dead, and the age of the oldest that
is not buried or dead.

make    Makes a queue, or changes the settings that are given of the one there is.
rename  Gives a queue another name; its messages and leases stay.
remove  Removes a queue that holds no message in whatever state.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --json         one JSON document
      --order ORDER  none: a failing message stops no other (default); strict: one after the other, a failing one stops all;
                     key: so within each key. Only while the queue is empty.
      --max-deliveries N     after so many that failed a message is a dead letter (default 5)
      --first-retry SECONDS  the delay after the first failure (default 10)
      --retry-factor N       by which it grows with each further one (default 2)
      --max-retry SECONDS    and where that ends (default 3600)
      --remember SECONDS     how long idempotency keys are remembered (default 86400)
      --group GROUP          name or number of the group that shares the depot, where this makes a new one
      --with-messages        removes the messages too

Exit status: 0 done; 64 wrong usage; 66 there is no such queue or depot; 69 it holds messages, or the new name is taken; 75 try
again; 78 broken configuration.
`

const numbers = {
  'max-deliveries': ['maxDeliveries', 1, 1_000_000],
  'first-retry': ['firstRetrySeconds', 0, 86_400],
  'retry-factor': ['retryFactor', 1, 100],
  'max-retry': ['maxRetrySeconds', 0, 2_592_000],
  remember: ['rememberSeconds', 0, 31_622_400],
} as const

/** The command. */
export const queuesCommand: Command = {
  name,
  summary: 'list, make, rename and remove queues',
  help,
  run: (args, io) => {
    const { verb, rest } = splitVerb(args, ['make', 'rename', 'remove'])
    if (verb === 'make') return make(rest, io)
    if (verb === 'rename') return rename(rest, io)
    if (verb === 'remove') return remove(rest, io)
    return list(args, io)
  },
}

async function list(args: readonly string[], io: CommandIo): Promise<number> {
  const given = readWords(args, {}, [])
  if (typeof given === 'string') return usageError(io, name, given)
  return withDepot(io, name, given, async (depot) => {
    const queues = await allQueues(depot)
    if (given.is('json')) io.out(`${asciiJson({ queues }, 2)}\n`)
    else if (queues.length === 0) io.out('There are no queues.\n')
    else io.out(queueTable(queues))
    return exitCodes.ok
  })
}

interface Shown {
  readonly name: string
  readonly counts: QueueCounts
  readonly settings: QueueSettings
}

async function allQueues(depot: Depot): Promise<Shown[]> {
  const queues: Shown[] = []
  for (const each of await depot.queues()) {
    try {
      const queue = await depot.queue(each)
      queues.push({ name: each, counts: await queue.counts(), settings: queue.settings() })
    } catch (error) {
      // Removed in this moment.
      if (!isDepotError(error, 'QUEUE_UNKNOWN')) throw error
    }
  }
  return queues
}

function queueTable(queues: readonly Shown[]): string {
  const rows = queues.map(({ name, counts: { ready, held, leased, delayed, buried, dead, oldestMs } }) => [
    name,
    ...[ready + held, leased, delayed, buried, dead].map(String),
    spanText(oldestMs),
  ])
  return table(['queue', 'waiting', 'leased', 'delayed', 'buried', 'dead', 'oldest'], rows)
}

async function make(args: readonly string[], io: CommandIo): Promise<number> {
  const options = Object.fromEntries(
    ['order', 'group', ...Object.keys(numbers)].map((one) => [one, { type: 'string' as const }]),
  )
  const given = readWords(args, options, ['NAME'])
  if (typeof given === 'string') return usageError(io, name, given)
  const changes = readSettings(given)
  if (typeof changes === 'string') return usageError(io, name, changes)
  const named = given.text('group')
  const group = named === null ? null : groupNumber(named)
  if (named !== null && group === null) return usageError(io, name, `--group ${named}: there is no such group`)
  const [queue = ''] = given.words
  return withDepot(
    io,
    name,
    given,
    async (depot) => {
      const made = await depot.makeQueue(queue, changes)
      const settings = made.settings()
      if (given.is('json')) io.out(`${asciiJson({ name: queue, settings }, 2)}\n`)
      else
        io.out(
          `${visible(queue)}: ${Object.entries(settings)
            .map(([word, value]) => `${word} ${value}`)
            .join(', ')}\n`,
        )
      return exitCodes.ok
    },
    { isMade: true, group },
  )
}

function readSettings(given: Words): Partial<QueueSettings> | string {
  const order = choiceOf(given, 'order', ['strict', 'key', 'none'], null)
  if (typeof order === 'string') return order
  const changes: { -readonly [K in keyof QueueSettings]?: QueueSettings[K] } = {}
  if (order.value !== null) changes.order = order.value
  for (const [option, [setting, least, most]] of Object.entries(numbers)) {
    const number = numberOf(given, option, null, least, most)
    if (typeof number === 'string') return number
    if (number !== null) changes[setting] = number
  }
  return changes
}

async function rename(args: readonly string[], io: CommandIo): Promise<number> {
  const given = readWords(args, {}, ['OLD', 'NEW'])
  if (typeof given === 'string') return usageError(io, name, given)
  const [from = '', to = ''] = given.words
  return withDepot(io, name, given, async (depot) => {
    await depot.renameQueue(from, to)
    if (given.is('json')) io.out(`${asciiJson({ from, to })}\n`)
    else io.out(`${visible(from)} is ${visible(to)} now. Change its section in the ini file too.\n`)
    return exitCodes.ok
  })
}

async function remove(args: readonly string[], io: CommandIo): Promise<number> {
  const given = readWords(args, { 'with-messages': { type: 'boolean' } }, ['NAME'])
  if (typeof given === 'string') return usageError(io, name, given)
  const [queue = ''] = given.words
  return withDepot(io, name, given, async (depot) => {
    const { ready, held, delayed, leased, buried, dead } = await (await depot.queue(queue)).counts()
    const withMessages = given.is('with-messages')
    await depot.removeQueue(queue, { withMessages })
    const messages = ready + held + delayed + leased + buried + dead
    if (given.is('json')) io.out(`${asciiJson({ removed: queue, messages })}\n`)
    else io.out(`${visible(queue)} is removed${messages > 0 ? `, with ${countOf(messages)}` : ''}.\n`)
    return exitCodes.ok
  })
}
