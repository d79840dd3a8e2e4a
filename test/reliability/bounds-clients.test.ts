/** R52: what clients let grow or wait has an end, is told of, and passes by itself. */
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { requestOf } from '../helpers/converse.ts'
import { orders, servingHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { many, openFiles, reads, type Client } from '../helpers/rude-clients.ts'
import { until } from '../helpers/until.ts'
import { watchMemory } from '../helpers/watch-memory.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Good messages beside a fault have their answer long before this. */
const promptMs = 5000

/** What is promised whatever the clients do. */
async function judge(
  host: HostProcess,
  { expect }: ReturnType<typeof createFindings>,
  before: { files: number; memory: ReturnType<typeof watchMemory>; stream: ReturnType<typeof startStream> },
): Promise<void> {
  const { wrong, slowestMs } = await before.stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  expect(slowestMs < promptMs, `a good message waited ${slowestMs} ms`)
  expect((await host.ask(host.place.pair())) === '200 Ok\n', 'the next message is not answered')
  await until('descriptors to be given back', () => openFiles(host.pid) <= before.files + 2, promptMs).catch(() =>
    expect(false, `${openFiles(host.pid) - before.files} descriptors are not given back`),
  )
  const grownBy = before.memory.grownBy()
  expect(grownBy < 64, `the host grew by ${grownBy} MiB`)
  const told = host.log.filter((line) => / request-refused /.test(line)).length
  expect(told > 0, 'nobody is told of refused requests')
  expect(told < 60, `${told} lines tell of refused requests`)
  await host.kill()
}

const slowClients: Check = async (t, without) => {
  const findings = createFindings()
  const { seen, expect } = findings
  const requestMs = 2000
  const waitMs = requestMs + (without.length === 0 ? promptMs : 2000)
  const host = await servingHost(t, ['act'], { set: [`courierfilter.request_timeout=${requestMs}ms`], without })
  const before = { files: openFiles(host.pid), memory: watchMemory(host.pid), stream: startStream(host) }
  const sinceMs = performance.now()
  const octets = await many(host, 200, (client) => {
    const request = Buffer.from(requestOf(host.place.pair()))
    let place = 0
    reads(client)
    const timer = setInterval(() => client.socket.write(request.subarray(place, ++place)), 1000)
    client.socket.on('close', () => clearInterval(timer))
  })
  const clients = [...octets, ...(await many(host, 20, reads))]
  const areGone = (): boolean => clients.every(({ closedMs }) => closedMs !== null)
  const freed = await within(waitMs, until('the slow ones to be gone', areGone, 20_000))
  expect(freed !== null, 'slow clients still have their connection long after their time')
  expect(freed === null || performance.now() - sinceMs >= requestMs, 'slow clients were cut off before their time')
  expect(
    clients.every(({ heard }) => heard === ''),
    'half a request heard an answer',
  )
  for (const { socket } of clients) socket.destroy()
  await judge(host, findings, before)
  return seen
}

testPromise('R52 200 clients of an octet a second lose their connection in time, nobody waits for them', slowClients, [
  { without: ['a request has its time'], sees: /^slow clients still have their connection/ },
  { without: ['a flood is told by its number'], sees: /lines tell of refused requests$/ },
])

const rudeClients: Check = async (t, without) => {
  const findings = createFindings()
  const { seen, expect } = findings
  const set = ['courierfilter.request_timeout=60s', 'courierfilter.request_limit=4KiB']
  const host = await servingHost(t, ['act'], { set, without })
  const { pair, at } = host.place
  const before = { files: openFiles(host.pid), memory: watchMemory(host.pid), stream: startStream(host) }
  /** Goes on writing as long as it can get rid of it. */
  const pour = (socket: Socket, octets: Buffer): void => {
    const more = (error?: Error | null): void => {
      if (error == null && !socket.destroyed) socket.write(octets, more)
    }
    more()
  }

  const endless = await many(host, 10, (client) => {
    reads(client)
    pour(client.socket, Buffer.alloc(64 * 1024, 'x'))
  })
  const halfClosed = await many(host, 10, (client) => {
    reads(client)
    client.socket.end('/half/a/request\n')
  })
  const vanished = await many(host, 10, ({ socket }) => {
    socket.write(requestOf(pair()))
    socket.destroy()
  })
  const deaf = await many(host, 10, ({ socket }) => void socket.write(requestOf(pair())))
  const twice = await many(host, 10, (client) => {
    reads(client)
    client.socket.write(`${String(requestOf(pair()))}${String(requestOf(pair()))}`)
  })
  const go = at('go')
  const held = (id: string): string => String(requestOf(pair({ id, content: orders({ act: `hold ${go}` }) })))
  const patient = await many(host, 1, (client) => {
    reads(client)
    client.socket.write(held('WAITS.1'))
  })
  const talkers = await many(host, 2, (client) => {
    reads(client)
    client.socket.write(held('TALKS.1'))
    pour(client.socket, Buffer.alloc(64 * 1024, '/x\n\n'))
  })

  const isClosed = ({ closedMs }: Client): boolean => closedMs !== null
  await until('rubbish to be refused', () => [...endless, ...halfClosed].every(isClosed), 3000).catch(() =>
    expect(false, 'what can be no request is waited for'),
  )
  expect(
    [...endless, ...halfClosed].every(({ heard }) => heard === ''),
    'what is no request heard an answer',
  )
  await until('an answer for each', () => twice.every(isClosed), promptMs).catch(() =>
    expect(false, 'a client with two requests is not answered'),
  )
  const heard = [...new Set(twice.map((client) => client.heard))]
  expect(heard.length === 1 && heard[0] === '200 Ok\n', `two requests heard ${JSON.stringify(heard)}`)
  const sent = (): number => Math.max(...talkers.map(({ socket }) => socket.bytesWritten - socket.writableLength))
  const isTaken = await within(
    1000,
    until('more to be taken than fits into buffers', () => sent() > 4 * 1024 * 1024),
  )
  expect(isTaken === null, `a client that goes on after its request got rid of ${sent()} octets`)
  expect(sent() > 0, 'the talkers said nothing')
  writeFileSync(go, '')
  await until('those held to be answered', () => [...patient, ...talkers].every(isClosed), promptMs).catch(() =>
    expect(false, 'a client that goes on after its request keeps its connection'),
  )
  expect(patient[0]?.heard === '200 Ok\n', `a client that waits heard ${JSON.stringify(patient[0]?.heard)}`)
  for (const { socket } of [...deaf, ...vanished, ...talkers, ...endless]) socket.destroy()
  await judge(host, findings, before)
  return seen
}

testPromise('R52 deaf, talkative, half-closed and vanished clients cost their own connection alone', rudeClients, [
  { without: ['what follows a request is not read'], sees: /^a client that goes on after its request got rid/ },
  { without: ['a request has a longest size'], sees: /^what can be no request is waited for/ },
])

/** More messages than may wait: answered at once that they shall come again, and those that wait are answered. */
const queue: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const maxWaiting = 50
  const set = [
    `host.max_waiting=${maxWaiting}`,
    'runner.threads=1',
    'runner.messages_per_thread=10',
    'host.deadline=60s',
  ]
  const host = await servingHost(t, ['act'], { set, without })
  const { pair, at } = host.place
  const go = at('go')
  const answers: string[] = []
  const asked = Array.from({ length: 200 }, async () => {
    // Fewer at once than the backlog, whose end is another matter.
    await until('a place', async () => {
      const answer = await host.ask(pair({ content: orders({ act: `hold ${go}` }) })).catch(String)
      if (answer.includes('EAGAIN')) return false
      answers.push(answer)
      return true
    })
  })
  const tooMany = await within(
    promptMs,
    until('the others to be turned away', () => answers.length >= 200 - maxWaiting - 10, 20_000),
  )
  expect(tooMany !== null, `${answers.length} of 200 were turned away, though ${maxWaiting} may wait`)
  expect(
    answers.every((answer) => /^451 4\.3\.2 /.test(answer)),
    `a message too many heard ${JSON.stringify([...new Set(answers)].slice(0, 3))}`,
  )
  writeFileSync(go, '')
  await Promise.all(asked)
  const served = answers.filter((answer) => answer === '200 Ok\n').length
  expect(served >= maxWaiting, `${served} of those that might wait were served`)
  expect((await host.ask(pair())) === '200 Ok\n', 'the next message is not answered')
  await host.kill()
  return seen
}

testPromise('P3 more messages than may wait hear 451 at once, those that wait are answered', queue, [
  { without: ['the queue has an end'], sees: /were turned away, though/ },
])
