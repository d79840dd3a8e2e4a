/** What the durability tests run in processes of their own, to be killed. Each line that it writes is a fact that it was told. */
import { writeSync } from 'node:fs'
import { openDepot } from '../../queue-store/depot.ts'
import { isDepotError } from '../../queue-store/errors.ts'

const [mode = '', directory = '', first = '0', second = ''] = process.argv.slice(2)
// A synchronous write: what was said is said even if the process is killed right after.
const say = (line: string): void => void writeSync(1, `${line}\n`)
const contentOf = (name: string): Buffer => Buffer.alloc(name.endsWith('0') ? 90_000 : 2000, `${name} `)

const depot = await openDepot(directory, { pollSeconds: 60 })
const queue = await depot.makeQueue('in', { firstRetrySeconds: 0, maxDeliveries: 1000 })

switch (mode) {
  // Adds pairs for ever, from several producers; says each pair that was acknowledged.
  case 'add-pairs': {
    let number = 0
    const produce = async (): Promise<never> => {
      for (;;) {
        const pair = `${first}-${number++}`
        const staged = []
        for (const half of ['a', 'b']) {
          staged.push(await depot.stage({ queue: 'in', message: contentOf(pair), facts: { pair, half } }))
        }
        await depot.publish(staged)
        say(pair)
      }
    }
    await Promise.all(Array.from({ length: 4 }, produce))
    break
  }
  // Adds so many messages.
  case 'add': {
    for (let number = 0; number < Number(first); number++) {
      await queue.add({ message: contentOf(String(number)), facts: { name: String(number) } })
    }
    break
  }
  // Says what it has been given, before it is acknowledged, until it is killed.
  case 'consume': {
    say('ready')
    await queue.process(
      async ({ facts, deliveries }) => {
        say(`${facts['name'] as string} ${deliveries}`)
        if (second !== '') await new Promise((resolve) => setTimeout(resolve, Number(second)))
      },
      { leaseSeconds: Number(first), concurrency: 3 },
    )
    break
  }
  // Takes one message, lets its lease run out while another takes it, and says what is answered to it then.
  case 'late': {
    await queue.add({ message: Buffer.from('x') })
    const [late] = await queue.receive({ leaseSeconds: 0.02 })
    const [next] = await queue.receive({ leaseSeconds: 60, waitSeconds: 5 })
    say(`redelivered ${String(next !== undefined)}`)
    say(
      `late ${await (late?.ack() ?? Promise.resolve('none')).catch((error: unknown) => (isDepotError(error) ? error.code : 'other'))}`,
    )
    break
  }
  // Adds until the disk fails or the number is reached; then makes room, and adds again.
  case 'fill': {
    let failures = 0
    for (let number = 0; number < Number(first) && failures < 3; number++) {
      try {
        await queue.add({ message: contentOf(`${number}1`), facts: { name: String(number) } })
        say(`added ${number}`)
      } catch (error) {
        failures++
        say(`failed ${number} ${isDepotError(error) ? error.code : String(error)}`)
      }
    }
    for (const { facts } of await queue.peek({ max: 10_000 })) say(`there ${facts['name'] as string}`)
    for (const { id } of (await queue.peek({ max: 10_000 })).slice(0, 20)) await queue.remove(id)
    say(`after ${(await queue.add({ message: contentOf('after1') })).isNew}`)
    break
  }
  default:
    throw new Error(`there is no ${mode}`)
}
await depot.close()
say('end')
