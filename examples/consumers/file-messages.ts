/**
 * Files the messages of a queue into a folder, each under its id: `node file-messages.ts DEPOT QUEUE FOLDER`. SIGTERM ends it in order.
 *
 * A message may be delivered twice, where this process dies between the rename and the acknowledgement: then the same file is
 * written again, and there is still one.
 */
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openDepot, type Delivery } from 'nodefilter/queue-store'

const [directory = '', name = '', folder = ''] = process.argv.slice(2)
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())

const depot = await openDepot(directory)
const queue = await depot.queue(name)
await queue.process(handle, {
  concurrency: 4,
  signal: ending.signal,
  // The message is delivered again, later; after its last delivery it is a dead letter.
  onError: (error, entry) => console.error(`${entry?.id ?? 'the depot'}: ${String(error)}`),
})
await depot.close()

async function handle(delivery: Delivery): Promise<void> {
  const { id, facts, octets, message } = delivery
  // The post office marked it: an automatic answer, a loop, or over the size limit. Whoever returns has done with it.
  const { marks } = facts
  if (Array.isArray(marks) && marks.length > 0) return
  if (octets > 10_000_000) {
    await delivery.bury('larger than 10 MB')
    return
  }
  const path = join(folder, `${id}.eml`)
  await pipeline(message.stream(), createWriteStream(`${path}.part`, { flush: true }))
  await rename(`${path}.part`, path)
}
