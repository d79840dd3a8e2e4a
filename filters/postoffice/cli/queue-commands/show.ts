/** `postoffice show`: one message. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { entryJson } from '../../../../queue-store/http/index.ts'
import type { Entry, StoredMessage } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command } from '../command.ts'
import { timeText, visible, visibleLines } from './text.ts'
import { withDepot } from './with-depot.ts'
import { withFields } from './with-fields.ts'
import { readWords } from './words.ts'
import { copyOut, say } from './write.ts'

const name = 'show'

const help = `usage: postoffice show QUEUE ID [--json | --headers | --raw [--fields]]

All that is known of a message, or the message itself. Nothing of it changes.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --json         one JSON document
      --headers      the header section, fit to be shown
      --raw          the message, octet for octet as it came
      --fields       with --raw: X-Postoffice-* fields stand above its own, as with "postoffice receive --fields"

Exit status: 0 done; 64 wrong usage; 66 there is no such message, queue or depot; 75 try again; 78 broken configuration.
`

const maxHeaderOctets = 256 * 1024

/** The command. */
export const showCommand: Command = {
  name,
  summary: 'show a message',
  help,
  run: async (args, io) => {
    const options = { headers: { type: 'boolean' }, raw: { type: 'boolean' }, fields: { type: 'boolean' } } as const
    const given = readWords(args, options, ['QUEUE', 'ID'])
    if (typeof given === 'string') return usageError(io, name, given)
    if (['json', 'headers', 'raw'].filter(given.is).length > 1) return usageError(io, name, 'show it in one way')
    const isWithFields = given.is('fields')
    if (isWithFields && !given.is('raw')) return usageError(io, name, '--fields goes with --raw')
    const [queue = '', id = ''] = given.words
    return withDepot(io, name, given, async (depot) => {
      const { entry, message } = await (await depot.queue(queue)).open(id)
      if (given.is('raw')) await copyOut(isWithFields ? withFields(message, entry) : message.stream(), io)
      else if (given.is('headers')) await say(io, visibleLines(await headerSection(message)))
      else if (given.is('json')) await say(io, `${asciiJson(entryJson(entry), 2)}\n`)
      else await say(io, entryText(queue, entry))
      return exitCodes.ok
    })
  },
}

async function headerSection(message: StoredMessage): Promise<string> {
  const pieces: Buffer[] = []
  let octets = 0
  for await (const piece of message.stream()) {
    pieces.push(piece as Buffer)
    octets += (piece as Buffer).length
    if (octets >= maxHeaderOctets) break
  }
  const text = Buffer.concat(pieces).subarray(0, maxHeaderOctets).toString()
  const end = /\r?\n\r?\n/.exec(text)
  return `${end === null ? text : text.slice(0, end.index)}\n`
}

function entryText(queue: string, entry: Entry): string {
  const { id, state, key, envelope, facts, octets, digest, addedMs, deliveries, dueMs, reason } = entry
  const rows: readonly (readonly [string, string | null])[] = [
    ['queue', queue],
    ['id', id],
    ['state', state],
    [state === 'leased' ? 'leased until' : 'due', dueMs === null ? null : timeText(dueMs)],
    ['added', timeText(addedMs)],
    ['deliveries', String(deliveries)],
    ['reason', reason],
    ['octets', String(octets)],
    ['sha-256', digest],
    ['key', key],
    ['sender', envelope === null ? null : (envelope.sender ?? '<>')],
    ...(envelope?.recipients ?? []).map((recipient) => ['recipient', recipient] as const),
    ...Object.entries(facts).map(([fact, value]) => [`fact ${fact}`, JSON.stringify(value)] as const),
  ]
  const shown = rows.filter(([, value]) => value !== null)
  const width = shown.reduce((most, [word]) => Math.max(most, visible(word).length), 0)
  return shown.map(([word, value]) => `${visible(word).padEnd(width)}  ${visible(value ?? '')}\n`).join('')
}
