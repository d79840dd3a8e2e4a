/** `postoffice ack`, `nack`, `extend` and `bury`: what becomes of a message that was received. */
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import type { Queue } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { withDepot } from './with-depot.ts'
import { numberOf, readWords, tokenOf, type Words } from './words.ts'

const common = `  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --json         one JSON document
`
const status = `
Exit status: 0 done; 64 wrong usage; 66 there is no such queue or depot; 69 the lease is lost: it ran out, or the message was
settled; 75 it is unknown whether it was done, ask again; 78 broken configuration.
`

interface Receipt {
  readonly id: string
  readonly token: number
}

/** A command whose words are QUEUE, ID and TOKEN. `act` answers what to print, or what is wrong with the arguments. */
function settling(
  name: string,
  summary: string,
  help: string,
  options: Readonly<Record<string, { readonly type: 'string' }>>,
  prepare: (given: Words) => string | ((queue: Queue, receipt: Receipt) => Promise<string>),
): Command {
  return {
    name,
    summary,
    help,
    run: async (args, io) => {
      const given = readWords(args, options, ['QUEUE', 'ID', 'TOKEN'])
      if (typeof given === 'string') return usageError(io, name, given)
      const token = tokenOf(given.words[2] ?? '')
      if (typeof token === 'string') return usageError(io, name, token)
      const act = prepare(given)
      if (typeof act === 'string') return usageError(io, name, act)
      return withDepot(io, name, given, async (depot) => {
        const [queue = '', id = ''] = given.words
        return tell(io, given, await act(await depot.queue(queue), { id, token }))
      })
    },
  }
}

function tell(io: CommandIo, given: Words, settled: string): number {
  io.out(given.is('json') ? `${asciiJson({ settled })}\n` : `${settled}\n`)
  return exitCodes.ok
}

/** A message is done with. */
export const ackCommand: Command = settling(
  'ack',
  'say that a received message is done with',
  `usage: postoffice ack QUEUE ID TOKEN [--json]

The message is done with, and removed. ID and TOKEN are those that "postoffice receive" printed. It prints "done", or "gone" where
the message is no longer there, as after an earlier ack.

${common}${status}`,
  {},
  () => (queue, receipt) => queue.ack(receipt),
)

/** A message failed. */
export const nackCommand: Command = settling(
  'nack',
  'let a received message go, to be delivered again',
  `usage: postoffice nack QUEUE ID TOKEN [--delay SECONDS] [--reason TEXT] [--json]

The message failed: it is delivered again later, or put with the dead letters after its last delivery.

${common}      --delay SECONDS  how long it stays away (default: the queue's growing delay)
      --reason TEXT    is kept with the message
${status}`,
  { delay: { type: 'string' }, reason: { type: 'string' } },
  (given) => {
    const delaySeconds = numberOf(given, 'delay', null, 0, 31_622_400)
    if (typeof delaySeconds === 'string') return delaySeconds
    return (queue, receipt) => queue.nack(receipt, { delaySeconds, reason: given.text('reason') })
  },
)

/** A message takes longer. */
export const extendCommand: Command = settling(
  'extend',
  'make the lease of a received message longer',
  `usage: postoffice extend QUEUE ID TOKEN [--lease SECONDS] [--json]

Makes the lease end so many seconds from now.

${common}      --lease SECONDS  (default 60)
${status}`,
  { lease: { type: 'string' } },
  (given) => {
    const leaseSeconds = numberOf(given, 'lease', 60, 0.001, 2_592_000)
    if (typeof leaseSeconds === 'string') return leaseSeconds
    return async (queue, receipt) => {
      await queue.extend(receipt, leaseSeconds)
      return 'done'
    }
  },
)

const buryHelp = `usage: postoffice bury QUEUE ID [TOKEN] --reason TEXT [--json]

Puts a message aside, for a person to look at: with its TOKEN one that was received; without it one that nobody has leased.
"postoffice requeue" brings it back.

${common}      --reason TEXT  is kept with the message
${status}`

/** A message is put aside. */
export const buryCommand: Command = {
  name: 'bury',
  summary: 'put a message aside',
  help: buryHelp,
  run: async (args, io) => {
    const given = readWords(args, { reason: { type: 'string' } }, ['QUEUE', 'ID', '[TOKEN]'])
    if (typeof given === 'string') return usageError(io, 'bury', given)
    const [queueName = '', id = '', word] = given.words
    const token = word === undefined ? null : tokenOf(word)
    if (typeof token === 'string') return usageError(io, 'bury', token)
    const reason = given.text('reason')
    if (reason === null || reason.trim() === '') return usageError(io, 'bury', 'say why: --reason TEXT')
    return withDepot(io, 'bury', given, async (depot) => {
      const queue = await depot.queue(queueName)
      if (token !== null) return tell(io, given, await queue.bury({ id, token }, reason))
      if (await queue.setAside(id, reason)) return tell(io, given, 'done')
      io.err('postoffice bury: the message is leased, or was put aside before\n')
      return exitCodes.unavailable
    })
  },
}
