/** `postoffice list`: messages of a queue, without taking them. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { entryJson } from '../../../../queue-store/http/index.ts'
import type { Entry } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command } from '../command.ts'
import { spanText, table } from './text.ts'
import { withDepot } from './with-depot.ts'
import { choiceOf, numberOf, readWords } from './words.ts'
import { say } from './write.ts'

const name = 'list'

const help = `usage: postoffice list QUEUE [--what live|buried|dead] [--max N] [--after ID] [--json]

Messages of a queue, without taking them: those that wait, are leased or delayed, in the order of the queue; or those that are
buried, or dead letters.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --what WHAT    live (default), buried or dead
      --max N        at most so many (default 100)
      --after ID     goes on after the message of this id
      --json         JSON, a message a line

Exit status: 0 done; 64 wrong usage; 66 there is no such queue or depot; 75 try again; 78 broken configuration.
`

/** So many are asked for at once. */
const stepEntries = 1000

/** The command. */
export const listCommand: Command = {
  name,
  summary: 'list messages of a queue',
  help,
  run: async (args, io) => {
    const options = { what: { type: 'string' }, max: { type: 'string' }, after: { type: 'string' } } as const
    const given = readWords(args, options, ['QUEUE'])
    if (typeof given === 'string') return usageError(io, name, given)
    const what = choiceOf(given, 'what', ['live', 'buried', 'dead'], 'live')
    if (typeof what === 'string') return usageError(io, name, what)
    const max = numberOf(given, 'max', 100, 1, 1e9)
    if (typeof max === 'string') return usageError(io, name, max)
    return withDepot(io, name, given, async (depot) => {
      const queue = await depot.queue(given.words[0] ?? '')
      const nowMs = depot.core.nowMs()
      let shown = 0
      for (let after = given.text('after'); shown < max;) {
        const found = await queue.peek({ what: what.value, max: Math.min(stepEntries, max - shown), after })
        const last = found.at(-1)
        if (last === undefined) break
        if (given.is('json')) await say(io, found.map((entry) => `${asciiJson(entryJson(entry))}\n`).join(''))
        else await say(io, entryTable(found, nowMs))
        shown += found.length
        after = last.id
      }
      if (shown === 0 && !given.is('json')) io.out('There are none.\n')
      return exitCodes.ok
    })
  },
}

function entryTable(entries: readonly Entry[], nowMs: number): string {
  const rows = entries.map(({ id, state, deliveries, octets, addedMs, dueMs, envelope, reason }) => [
    id,
    state,
    String(deliveries),
    String(octets),
    spanText(nowMs - addedMs),
    dueMs === null ? '-' : spanText(dueMs - nowMs),
    envelope === null ? '-' : (envelope.sender ?? '<>').slice(0, 60),
    (reason ?? '').slice(0, 100),
  ])
  return table(['id', 'state', 'deliveries', 'octets', 'age', 'due in', 'sender', 'reason'], rows)
}
