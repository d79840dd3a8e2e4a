/** What the store benchmark does: each function is one turn, and tells what it took. */
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { askFilter, requestFor } from '../examples/lib/courier-client.ts'
import { startHost, type HostProcess } from '../examples/lib/host-process.ts'
import { spoolMessage } from '../examples/lib/spool-files.ts'
import { openStoreMemory, type StoreMemory } from '../filters/postoffice/store-memory.ts'
import { openIncoming } from '../filters/postoffice/incoming.ts'
import { readPostOffice } from '../filters/postoffice/configuration.ts'
import { finishSorting, routeMessage } from '../filters/postoffice/sort.ts'
import type { OpenedDepot, Queue, TtlMap } from '../queue-store/index.ts'

/** Runs `one` from so many producers at the same time; how often a second. */
export async function rateOf(producers: number, seconds: number, one: () => Promise<unknown>): Promise<number> {
  let done = 0
  const began = performance.now()
  const end = began + seconds * 1000
  const produce = async (): Promise<void> => {
    while (performance.now() < end) {
      await one()
      done++
    }
  }
  await Promise.all(Array.from({ length: producers }, produce))
  return (done / (performance.now() - began)) * 1000
}

/** The same for `count` of them. */
export async function rateOfMany(producers: number, count: number, one: () => Promise<unknown>): Promise<number> {
  let left = count
  const began = performance.now()
  const produce = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: producers }, produce))
  return (count / (performance.now() - began)) * 1000
}

/** The mean time of one, done `times` times one after the other. Units: µs. */
export async function timeOf(times: number, one: (index: number) => Promise<unknown>): Promise<number> {
  const began = performance.now()
  for (let index = 0; index < times; index++) await one(index)
  return ((performance.now() - began) / times) * 1000
}

/** A delivery into a Maildir as mail servers do it: written, synced, renamed, the folder synced. */
export function maildirDelivery(folder: string, octets: number): () => Promise<void> {
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(folder, name), { recursive: true })
  const message = randomBytes(octets)
  let count = 0
  return async () => {
    const name = `${count++}.bench`
    const file = await open(join(folder, 'tmp', name), 'wx')
    await file.writeFile(message)
    await file.sync()
    await file.close()
    await rename(join(folder, 'tmp', name), join(folder, 'new', name))
    const into = await open(join(folder, 'new'))
    await into.sync()
    await into.close()
  }
}

const envelope = { sender: 'ann@example.org', recipients: ['box@example.com'] }

/** A durable addition. */
export function addition(queue: Queue, octets: number): () => Promise<unknown> {
  const message = randomBytes(octets)
  return () => queue.add({ message, envelope })
}

/** Fills a queue, many in each commit. */
export async function fillQueue(queue: Queue, count: number, note: (done: number) => void): Promise<void> {
  const message = Buffer.from('Subject: x\n\nwaiting\n')
  for (let done = 0; done < count;) {
    const step = Math.min(2048, count - done)
    await Promise.all(Array.from({ length: step }, () => queue.add({ message, envelope })))
    done += step
    note(done)
  }
}

/** Takes one and acknowledges it, after a message was added: the number that waits stays. */
export async function receiveOne(queue: Queue): Promise<void> {
  const [delivery] = await queue.receive()
  if (delivery === undefined) throw new Error('the queue is empty')
  await delivery.ack()
}

/** Fills a map, `keys` of `name` numbered. */
export async function fillMap(
  count: number,
  write: (keys: readonly string[]) => Promise<unknown>,
  note: (done: number) => void,
): Promise<void> {
  for (let done = 0; done < count;) {
    const step = Math.min(500, count - done)
    const first = done
    await write(Array.from({ length: step }, (_, index) => `key ${first + index}`))
    done += step
    note(done)
  }
}

/** Looks a key up. */
export function lookUp(map: TtlMap, keys: number): (index: number) => Promise<unknown> {
  return (index) => map.get(`key ${(index * 7919) % keys}`)
}

/** What sorts 8 KB messages into one of three queues, and adds them. */
export interface Sorter {
  readonly one: () => Promise<void>
  readonly memory: StoreMemory
}

/** Sorts one message again and again, as another delivery each time. */
export async function openSorter(home: string, depot: OpenedDepot): Promise<Sorter> {
  const ini = join(home, 'postoffice.ini')
  const queues = ['a', 'b', 'c'].map((name) => `[queue:${name}]\nfilters = to_hostname: .${name}.example.com\n`)
  writeFileSync(ini, `[post office]\nstore = ${home}/unused\nmaildir = ${home}/unused-maildir\n\n${queues.join('\n')}`)
  const { configuration } = readPostOffice(ini)
  if (configuration === null) throw new Error('the configuration of the benchmark is not read')
  for (const { name } of configuration.queues) await depot.makeQueue(name)
  const path = join(home, 'message.eml')
  const header = 'From: ann@example.org\nTo: box@x.c.example.com\nSubject: bench\nMessage-ID: <1@example.org>\n'
  writeFileSync(path, `${header}\n${'a line of text that is of no interest to anybody\n'.repeat(160)}`)
  const memory = openStoreMemory(depot)
  let count = 0
  return {
    memory,
    one: async () => {
      const routed = await routeMessage(openIncoming(path, { envelope }), configuration, Date.now())
      if (routed.outcome !== 'routed') throw new Error('the message has no queue')
      const key = `${routed.admission.seen.key} ${count++}`
      const staged = await depot.stage({ queue: routed.facts.queue, message: { path }, envelope })
      await depot.publishWith([staged], memory.maps, (apply) => {
        const admission = { ...routed.admission, seen: { ...routed.admission.seen, key } }
        const sorting = finishSorting(routed, memory.admitIn(apply, admission))
        return [sorting.outcome === 'queued' ? { facts: { ...sorting.facts } } : null]
      })
    },
  }
}

/** One large message in, out and away; by how much the process grew at most. */
export async function largeMessage(home: string, queue: Queue, octets: number): Promise<number> {
  const path = join(home, 'large')
  const piece = randomBytes(2 ** 20)
  await pipeline(function* () {
    for (let left = octets; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
  }, createWriteStream(path))
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = 0
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss() - before)), 5)
  try {
    await queue.add({ message: createReadStream(path), envelope })
    const [delivery] = await queue.receive()
    let read = 0
    if (delivery === undefined) throw new Error('the large message is not there')
    for await (const chunk of delivery.message.stream()) read += (chunk as Buffer).length
    if (read !== octets) throw new Error(`${read} octets came out`)
    await delivery.ack()
    return most
  } finally {
    clearInterval(timer)
  }
}

/** A host whose only filter is the post office. */
export interface SortingHost {
  readonly host: HostProcess
  /** Answers so many messages of 8 KB, new ones, as many at once as there are producers; how many a second. */
  readonly take: (count: number, atOnce: number) => Promise<number>
}

/** Starts it in a folder of its own. */
export async function startSortingHost(home: string): Promise<SortingHost> {
  const configDirectory = join(home, 'etc')
  mkdirSync(configDirectory, { recursive: true })
  const ini = join(configDirectory, 'postoffice.ini')
  const queues = ['a', 'b', 'c'].map((name) => `[queue:${name}]\nfilters = to_hostname: .${name}.example.com\n`)
  writeFileSync(ini, `[post office]\nstore = ${home}/depot\nmaildir = ${home}/Maildir\n\n${queues.join('\n')}`)
  writeFileSync(join(configDirectory, 'nodefilter.conf'), `[store]\ndirectory = ${home}/depot\n`)
  writeFileSync(join(configDirectory, 'filters.conf'), 'postoffice\n')
  writeFileSync(join(configDirectory, 'modules.conf'), `[postoffice]\nini = '${ini}'\n`)
  const host = await startHost({ configDirectory, filterDirectory: configDirectory, home, logsJson: false })
  const body = 'a line of text that is of no interest to anybody\n'.repeat(160)
  let number = 0
  return {
    host,
    take: async (count, atOnce) => {
      const requests = Array.from({ length: count }, () => {
        const to = `box@x.${['a', 'b', 'c'][number % 3] ?? ''}.example.com`
        const header = `From: ann@example.org\nTo: ${to}\nSubject: bench\nMessage-ID: <${number}@example.org>\n`
        const submission = {
          ...{ message: Buffer.from(`${header}\n${body}`), sender: 'ann@example.org', recipients: [to] },
          ...{ clientIp: '192.0.2.1', helo: 'client.example.org', authUser: null },
        }
        return requestFor(spoolMessage(host.spoolDirectory, submission, number++, new Date()))
      })
      const began = performance.now()
      let next = 0
      const ask = async (): Promise<void> => {
        for (;;) {
          const request = requests[next++]
          if (request === undefined) return
          const reply = await askFilter(host.socketPath, request)
          if (!reply.startsWith('200')) throw new Error(`the host answers ${JSON.stringify(reply)}`)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, ask))
      return (count / (performance.now() - began)) * 1000
    },
  }
}
