/**
 * Prints the subject of each message of a queue: `node print-subjects.mjs DEPOT QUEUE`. SIGTERM ends it in order.
 *
 * Plain JavaScript, one message after the other. What it cannot read it puts aside, with the reason, for a person to look at.
 */
import { openDepot } from 'nodefilter/queue-store'

const [directory, name] = process.argv.slice(2)
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ending.abort())

const depot = await openDepot(directory)
const queue = await depot.queue(name)
for await (const delivery of queue.deliveries({ signal: ending.signal })) {
  try {
    const text = (await delivery.message.bytes(1_000_000)).toString()
    const [header = ''] = text.split(/\r?\n\r?\n/, 1)
    const subject = /^Subject:(.*)$/im.exec(header)
    if (subject === null) throw new Error('there is no Subject')
    console.log(`${delivery.id}: ${subject[1].trim()}`)
  } catch (error) {
    await delivery.bury(error.message)
  }
}
await depot.close()
