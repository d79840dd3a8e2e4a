/** `postoffice receive`: takes messages out of a queue, for applications in whatever language. */
import { resolve } from 'node:path'
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { deliveryJson } from '../../../../queue-store/http/index.ts'
import type { Delivery, Queue } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { timeText } from './text.ts'
import { withDepot } from './with-depot.ts'
import { withFields } from './with-fields.ts'
import { numberOf, readWords } from './words.ts'
import { copyOut, copyTo, say } from './write.ts'

const name = 'receive'

const help = `usage: postoffice receive QUEUE [--lease SECONDS] [--wait SECONDS] [--max N] [--out FILE] [--json]

Takes the next messages of a queue. Until its lease ends nobody else gets a message: "postoffice ack QUEUE ID TOKEN" says that it is
done with, "nack" that it failed, "bury" puts it aside, "extend" makes the lease longer. What is none of these is delivered again.

It prints a line for each message: its id, its token, its octets, how often it was delivered, when the lease ends.

  -C, --config FILE    the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR      the depot itself
      --lease SECONDS  how long nobody else gets them (default 60)
      --wait SECONDS   how long to wait for the first (default 0)
      --max N          at most so many (default 1)
      --out FILE       writes the message to FILE; "-" is standard output, and the line goes to standard error. For one message.
      --fields         with --out: X-Postoffice-Date and X-Postoffice-Rejected stand above the fields of the message; what it has of
                       that name itself becomes X-Original-X-Postoffice-...
      --json           JSON, a message a line: id, token, envelope, facts, ...

If the message cannot be written it is let go at once.

Exit status: 0 received; 64 wrong usage; 66 there is no such queue or depot; 74 the message could not be written; 75 no message
came, or try again; 78 broken configuration.
`

/** The command. */
export const receiveCommand: Command = {
  name,
  summary: 'take messages out of a queue, under a lease',
  help,
  run: async (args, io) => {
    const strings = ['lease', 'wait', 'max', 'out'].map((one) => [one, { type: 'string' as const }] as const)
    const options = { ...Object.fromEntries(strings), fields: { type: 'boolean' as const } }
    const given = readWords(args, options, ['QUEUE'])
    if (typeof given === 'string') return usageError(io, name, given)
    const leaseSeconds = numberOf(given, 'lease', 60, 0.001, 2_592_000)
    const waitSeconds = numberOf(given, 'wait', 0, 0, 2_592_000)
    const max = numberOf(given, 'max', 1, 1, 10_000)
    for (const number of [leaseSeconds, waitSeconds, max]) {
      if (typeof number === 'string') return usageError(io, name, number)
    }
    const out = given.text('out')
    if (out !== null && max !== 1) return usageError(io, name, '--out is for one message at a time')
    if (out === '-' && given.is('json')) return usageError(io, name, '--out - and --json would both write there')
    const isWithFields = given.is('fields')
    if (isWithFields && out === null) return usageError(io, name, '--fields goes with --out')
    return withDepot(io, name, given, async (depot) => {
      const queue = await depot.queue(given.words[0] ?? '')
      const options = { leaseSeconds: Number(leaseSeconds), waitSeconds: Number(waitSeconds), max: Number(max) }
      const deliveries = await received(queue, options, io)
      try {
        for (const delivery of deliveries) {
          if (out !== null) await writeMessage(delivery, out, isWithFields, io)
          const line = given.is('json') ? asciiJson(deliveryJson(delivery)) : deliveryText(delivery)
          if (out === '-') io.err(`${line}\n`)
          else await say(io, `${line}\n`)
        }
      } catch (error) {
        // Nobody knows of these: they need not wait for their leases.
        for (const delivery of deliveries) await delivery.nack({ delaySeconds: 0, reason: 'it could not be written' })
        if (io.signal.aborted) return exitCodes.tempFail
        io.err(
          `postoffice receive: the message could not be written: ${error instanceof Error ? error.message : String(error)}\n`,
        )
        return exitCodes.ioErr
      }
      return deliveries.length === 0 ? exitCodes.tempFail : exitCodes.ok
    })
  },
}

async function received(
  queue: Queue,
  options: { readonly leaseSeconds: number; readonly waitSeconds: number; readonly max: number },
  { signal }: CommandIo,
): Promise<Delivery[]> {
  try {
    return await queue.receive({ ...options, signal })
  } catch (error) {
    if (signal.aborted) return []
    throw error
  }
}

function writeMessage(delivery: Delivery, out: string, isWithFields: boolean, io: CommandIo): Promise<void> {
  const source = isWithFields ? withFields(delivery.message, delivery) : delivery.message.stream()
  if (out === '-') return copyOut(source, io)
  return copyTo(source, resolve(io.currentDirectory, out), { isNew: false })
}

function deliveryText({ id, token, octets, deliveries, dueMs }: Delivery): string {
  return [id, token, octets, deliveries, dueMs === null ? '-' : timeText(dueMs)].join('\t')
}
