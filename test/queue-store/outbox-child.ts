/**
 * A consumer that answers each message with a bounce, in a process of its own, to be killed at a chosen place.
 *
 *     node outbox-child.ts DIRECTORY FILE PLACE [apart]
 *
 * FILE gets a line for each bounce that was sent. With `apart` the bounce is sent after the acknowledgement, as a program does
 * that knows no outbox.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { openDepot } from '../../queue-store/depot.ts'
import { openNotices, sendOutbox } from '../../queue-store/notices/index.ts'
import type { OutgoingMail } from '../../queue-store/notices/outgoing.ts'
import { until } from '../helpers/until.ts'

const [directory = '', file = '', place = '', way = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)
const at = (reached: string): void => {
  if (reached === place) process.kill(process.pid, 'SIGKILL')
}

const log = openSync(file, 'a')
const send = ({ to, message }: OutgoingMail): Promise<void> => {
  at('before the bounce is sent')
  if (message instanceof Readable) message.resume()
  writeSync(log, `${to.join()}\n`)
  fsyncSync(log)
  at('after the bounce is sent')
  return Promise.resolve()
}

const depot = await openDepot(directory)
const queue = await depot.queue('in')
const notices = await openNotices(depot, { from: 'postmaster@example.com' })
const outbox = await depot.queue('.outbox')
const leaseSeconds = 0.3

for (;;) {
  const [delivery] = await queue.receive({ leaseSeconds, waitSeconds: 0.6 })
  if (delivery === undefined) break
  say(`taken ${delivery.id}`)
  const drafted = await notices.bounce(delivery)
  if (!drafted.ok) throw new Error(drafted.text)
  at('before the acknowledgement')
  await delivery.ack({ add: way === 'apart' ? [] : [drafted.entry] })
  say(`acknowledged ${delivery.id}`)
  at('after the acknowledgement')
  if (way === 'apart') await send(drafted.mail)
  else await sendOutbox(depot, send, { once: true, leaseSeconds })
  at('after the outbox')
}
await until('the outbox is empty', async () => {
  await sendOutbox(depot, send, { once: true, leaseSeconds })
  const { ready, leased, delayed } = await outbox.counts()
  return ready + leased + delayed === 0
})
closeSync(log)
await depot.close()
say('end')
