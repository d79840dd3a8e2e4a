/** `postoffice requeue`: brings messages back that were put aside. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { exitCodes, usageError, type Command } from '../command.ts'
import { countOf } from './text.ts'
import { withDepot } from './with-depot.ts'
import { choiceOf, readWords } from './words.ts'

const name = 'requeue'

const help = `usage: postoffice requeue QUEUE ID [--json]
       postoffice requeue QUEUE --all [--what dead|buried] [--json]

Puts a buried message or a dead letter at the end of its queue, with no deliveries behind it; or all of one kind that there are
now.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --all          all of them
      --what WHAT    dead (default) or buried
      --json         one JSON document

Exit status: 0 done; 64 wrong usage; 66 there is no such message, queue or depot; 69 the message is neither buried nor dead; 75 try
again; 78 broken configuration.
`

/** The command. */
export const requeueCommand: Command = {
  name,
  summary: 'bring buried messages and dead letters back',
  help,
  run: async (args, io) => {
    const given = readWords(args, { all: { type: 'boolean' }, what: { type: 'string' } }, ['QUEUE', '[ID]'])
    if (typeof given === 'string') return usageError(io, name, given)
    const [queueName = '', id] = given.words
    if ((id === undefined) !== given.is('all')) return usageError(io, name, 'name one message, or all with --all')
    const what = choiceOf(given, 'what', ['dead', 'buried'], 'dead')
    if (typeof what === 'string') return usageError(io, name, what)
    if (id !== undefined && given.text('what') !== null) return usageError(io, name, '--what goes with --all')
    return withDepot(io, name, given, async (depot) => {
      const queue = await depot.queue(queueName)
      const requeued = id === undefined ? await queue.requeueAll(what.value) : Number(await queue.requeue(id))
      if (id !== undefined && requeued === 0) {
        io.err('postoffice requeue: the message is neither buried nor dead\n')
        return exitCodes.unavailable
      }
      io.out(given.is('json') ? `${asciiJson({ requeued })}\n` : `${countOf(requeued)} put at the end of the queue\n`)
      return exitCodes.ok
    })
  },
}
