/** What the durability tests run in processes of their own, to be killed. Each line that it writes is a fact that it was told. */
import { hash } from 'node:crypto'
import { unlinkSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { checkDepot } from '../../queue-store/check.ts'
import { machineMs } from '../../queue-store/depot-clock.ts'
import { openDepot, type OpenedDepot } from '../../queue-store/depot.ts'
import type { Queue } from '../../queue-store/depot-types.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { changeHead } from '../../queue-store/tables.ts'
import { depotPort, openTtlMaps, type TtlPort } from '../../queue-store/ttl/index.ts'

// A synchronous write: what was said is said even if the process is killed right after.
const say = (line: string): void => void writeSync(1, `${line}\n`)
const contentOf = (name: string): Buffer => Buffer.alloc(name.endsWith('0') ? 90_000 : 2000, `${name} `)
const codeOf = (error: unknown): string => (isDepotError(error) ? error.code : String(error))
const [mode = '', directory = '', first = '0', second = ''] = process.argv.slice(2)

interface Place {
  readonly depot: OpenedDepot
  readonly queue: Queue
}

const modes: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  /** Adds pairs for ever, from several producers, and takes messages at the same time; says before and after what was asked. */
  work: async ({ depot, queue }) => {
    let number = 0
    const produce = async (): Promise<never> => {
      for (;;) {
        const pair = `${first}-${number++}`
        const staged = []
        for (const half of ['a', 'b']) {
          staged.push(await depot.stage({ queue: 'in', message: contentOf(pair), facts: { name: `${pair}${half}` } }))
        }
        await depot.publish(staged)
        say(`added ${pair}`)
        while ((await queue.counts()).ready > 100) await pause(5)
      }
    }
    const consume = async (): Promise<never> => {
      for (;;) {
        const taken = await queue.receive({ max: 3, leaseSeconds: 0.2, waitSeconds: 1 })
        for (const { facts } of taken) say(`try ${facts['name'] as string}`)
        for (const delivery of taken) {
          const name = delivery.facts['name'] as string
          // A lease of this length may have run out on a slow machine: then the message is somebody else's.
          await delivery.ack().then(
            () => say(`done ${name}`),
            (error: unknown) => say(`not ${name} ${codeOf(error)}`),
          )
        }
      }
    }
    await Promise.all([...Array.from({ length: 4 }, produce), consume(), consume()])
  },

  /** Adds so many messages. */
  add: async ({ queue }) => {
    for (let number = 0; number < Number(first); number++) {
      await queue.add({ message: contentOf(String(number)), facts: { name: String(number) } })
      say(`added ${number}`)
    }
  },

  /** Adds messages under the same keys as others do, in an order of its own. */
  'add-once': async ({ queue }) => {
    const keys = Array.from({ length: 40 }, (_, index) => (index * 7 + Number(first)) % 40)
    await Promise.all(
      keys.map(async (key) => {
        const { id, isNew } = await queue.add({ message: contentOf(String(key)), idempotencyKey: `key ${key}` })
        say(`${isNew ? 'new' : 'known'} ${key} ${id}`)
      }),
    )
  },

  /** Says what it has been given, works on it, acknowledges it, until it is killed. */
  consume: async ({ queue }) => {
    say('ready')
    await queue.process(
      async (delivery) => {
        const { facts, id, digest, message } = delivery
        const octets = await message.bytes()
        if (hash('sha256', octets) !== digest) throw new Error('its content is not what was added')
        say(`took ${facts['name'] as string} ${id} ${digest} ${machineMs()}`)
        await pause(Number(second))
        await delivery.ack()
        say(`done ${facts['name'] as string}`)
      },
      { leaseSeconds: Number(first), concurrency: 3, onError: () => undefined },
    )
  },

  /** Takes a message and works on it until its lease is lost; says what is answered then, and whether renewals go on. */
  hold: async ({ depot, queue }) => {
    const { environment } = depot.core
    let writes = 0
    const { write } = environment
    environment.write = (work) => {
      writes++
      return write(work)
    }
    const stop = new AbortController()
    await queue.process(
      async (delivery) => {
        say(`took ${delivery.deliveries}`)
        if (delivery.facts['name'] === 'last') {
          stop.abort()
          return
        }
        await new Promise((resolve) => delivery.signal.addEventListener('abort', resolve))
        say(`lost ${codeOf(delivery.signal.reason)}`)
        writes = 0
        await pause(Number(first) * 1500)
        say(`renewals ${writes}`)
        say(`late ${await delivery.ack().catch(codeOf)}`)
        say(`back ${await delivery.nack().catch(codeOf)}`)
      },
      { leaseSeconds: Number(first), signal: stop.signal, onError: () => undefined },
    )
  },

  /** Adds until so many were refused or the number is reached; then takes, and adds again; `second`: makes room by removing this. */
  fill: async ({ depot, queue }) => {
    let failures = 0
    for (let number = 0; number < Number(first) && failures < 6; number++) {
      try {
        // Each fifth is a file.
        await queue.add({ message: contentOf(`${number}${number % 5 === 0 ? 0 : 1}`), facts: { name: String(number) } })
        say(`added ${number}`)
      } catch (error) {
        failures++
        say(`failed ${number} ${codeOf(error)}`)
      }
    }
    for (const { facts } of await queue.peek({ max: 10_000 })) say(`there ${facts['name'] as string}`)
    const fromMs = performance.now()
    if (second !== '') unlinkSync(second)
    try {
      // One by one: the first must come to its end without any room made by others.
      for (let count = 0; count < 20; count++) await (await queue.receive())[0]?.ack()
      say(`after ${(await queue.add({ message: contentOf('after1') })).isNew}`)
      say(`after ${(await queue.add({ message: contentOf('after0') })).isNew}`)
    } catch (error) {
      say(`stuck ${codeOf(error)}`)
    }
    say(`within ${Math.ceil(performance.now() - fromMs)}`)
    for (const problem of (await checkDepot(depot.core, { withContents: true })).problems) say(`problem ${problem}`)
  },

  /** Adds messages with keys, each again after a failure, and at last gives up on those that still fail. */
  replay: async ({ queue }) => {
    for (let number = 0; number < Number(first); number++) {
      const add = async (): Promise<void> => {
        await queue.add({
          message: contentOf(`${number}${number % 5 === 0 ? 0 : 1}`),
          facts: { name: String(number) },
          idempotencyKey: String(number),
        })
        say(`added ${number}`)
      }
      const failed = (error: unknown): void => say(`failed ${number} ${codeOf(error)}`)
      await add().catch(async (error: unknown) => {
        failed(error)
        await add().catch(failed)
      })
    }
    // What is there can be read, whatever the disk says to writes.
    for (const { facts } of await queue.peek({ max: 10_000 })) say(`there ${facts['name'] as string}`)
  },

  /** Reads for ever without a turn of the event loop: it has a snapshot whenever it is killed. */
  read: async ({ depot }) => {
    const { environment, books } = depot.core
    await pause(0)
    say('ready')
    for (;;) environment.read((view) => view.rows(books.tables.entries, { ...all, limit: 1000 }))
  },

  /** Keeps a queue of a steady length while its messages come and go, once it is told to; says what became of the file. */
  churn: async ({ depot, queue }) => {
    const { environment } = depot.core
    const add = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 50 }, () => queue.add({ message: Buffer.alloc(8000) })))
    const turnOver = async (times: number): Promise<void> => {
      for (let round = 0; round < times; round++) {
        await add()
        await Promise.all((await queue.receive({ max: 50 })).map((delivery) => delivery.ack()))
      }
    }
    for (let round = 0; round < 4; round++) await add()
    await turnOver(5)
    const told = new Promise<void>((resolve) => process.once('SIGUSR2', resolve))
    const alive = setInterval(() => undefined, 1000)
    say('ready')
    await told
    clearInterval(alive)
    await turnOver(40)
    const { fileOctets, usedOctets, readers } = environment.figures()
    say(JSON.stringify({ fileOctets, usedOctets, readers }))
  },

  /** Each kind of write once, with what was told about it. */
  steps: async ({ depot, queue }) => {
    await depot.makeQueue('out')
    say('made out')
    for (const name of ['small', 'large0']) {
      await queue.add({ message: contentOf(name), facts: { name } })
      say(`added ${name}`)
    }
    const staged = []
    for (const name of ['pair', 'pair0']) {
      staged.push(await depot.stage({ queue: 'in', message: contentOf(name), facts: { name } }))
    }
    await depot.publish(staged)
    say('added pair')
    say('added pair0')
    const [small, large, pair, other] = await queue.receive({ max: 4 })
    await small?.ack()
    say('done small')
    await large?.ack({ moveTo: { queue: 'out' } })
    say('moved large0')
    await pair?.ack({ add: [{ queue: 'out', message: contentOf('reply0'), facts: { name: 'reply0' } }] })
    say('added reply0')
    await other?.nack({ delaySeconds: 0 })
    await queue.remove(other?.id ?? '')
    say('done pair0')
  },

  /** Lets so many TTL keys expire, sweeps them in the background, and fills the store again. */
  expire: async ({ depot }) => {
    const { environment } = depot.core
    const port = depotPort(environment)
    const clock = { aheadMs: 0 }
    const figures = { slices: 0, mostWrites: 0, mostRemoved: 0, cpuMs: [] as number[], turnsMs: [] as number[] }
    const counting: TtlPort = {
      read: (work) => port.read(work),
      write: (work) =>
        port.write((writing) => {
          let writes = 0
          const from = process.cpuUsage()
          const result = work({
            ...writing,
            put: (key, value) => {
              writes++
              writing.put(key, value)
            },
            remove: (key) => {
              writes++
              writing.remove(key)
            },
          })
          const { user, system } = process.cpuUsage(from)
          figures.slices++
          figures.mostWrites = Math.max(figures.mostWrites, writes)
          figures.cpuMs.push((user + system) / 1000)
          return result
        }),
    }
    const ttlMs = 60_000
    const nowMs = (): number => performance.now() + clock.aheadMs
    const fill = async (): Promise<void> => {
      const filler = openTtlMaps(port, { clock: clockFrom(nowMs), sweep: null })
      const seconds = Math.floor(clockFrom(nowMs).wallMs() / 1000)
      await filler
        .ttlMap('m', { ttlMs })
        .import(Array.from({ length: Number(first) }, (_, at) => [`key ${at * 7919}`, seconds] as const))
    }
    await fill()
    const { fileOctets } = environment.figures()
    clock.aheadMs += ttlMs + 2000
    let removed = 0
    const maps = openTtlMaps(counting, {
      clock: clockFrom(nowMs),
      sweep: { intervalMs: 1, breatheMs: 1 },
      swept: (swept) => {
        removed += swept.removed
        figures.mostRemoved = Math.max(figures.mostRemoved, swept.removed)
      },
    })
    for (let lastMs = performance.now(); removed < Number(first);) {
      await new Promise((resolve) => setImmediate(resolve))
      const atMs = performance.now()
      if (atMs - lastMs > 5) figures.turnsMs.push(atMs - lastMs)
      lastMs = atMs
    }
    await maps.close()
    await fill()
    const descending = (one: number, other: number): number => other - one
    say(
      JSON.stringify({
        removed,
        slices: figures.slices,
        mostRemoved: figures.mostRemoved,
        mostWrites: figures.mostWrites,
        longestMs: figures.turnsMs.sort(descending).slice(0, 5),
        cpuMs: figures.cpuMs.sort(descending).slice(0, 5),
        growth: environment.figures().fileOctets / fileOctets,
      }),
    )
  },

  /** Leases, delays and TTL keys while somebody sets the wall clock; says what came of them, at each word of the clock. */
  clock: async ({ depot, queue }) => {
    const maps = openTtlMaps(depotPort(depot.core.environment), { sweep: { intervalMs: 20, breatheMs: 1 } })
    const map = maps.ttlMap('m', { ttlMs: 600_000 })
    await Promise.all(Array.from({ length: 200 }, (_, at) => map.set(`key ${at}`)))
    for (const name of ['leased', 'delayed']) await queue.add({ message: contentOf(name), facts: { name } })
    const taken = await queue.receive({ max: 2, leaseSeconds: Number(first) })
    await taken[1]?.nack({ delaySeconds: Number(first) })
    const atMs = machineMs()
    const wallMs = Date.now()
    say('ready')
    while (Math.abs(Date.now() - wallMs) < day) await pause(5)
    // Sweeps by the dozen.
    await pause(500)
    say(`early ${(await queue.receive({ max: 10 })).length} ${machineMs() - atMs}`)
    say(`valid ${String(await map.has('key 1'))}`)
    say(`kept ${(await map.stats()).entries}`)
    while (Math.abs(Date.now() - wallMs) > 3_600_000) await pause(5)
    say(`again ${String(await map.has('key 1'))}`)
    for (let count = 0; count < 2;) {
      for (const { facts } of await queue.receive({ max: 2, waitSeconds: 10 })) {
        say(`came ${facts['name'] as string} ${machineMs() - atMs}`)
        count++
      }
    }
    await maps.close()
  },
}

const day = 86_400_000
const all = { from: Buffer.alloc(1), before: Buffer.alloc(20, 0xff) }

function clockFrom(nowMs: () => number) {
  return {
    wallMs: () => 1_800_000_000_000 + nowMs(),
    monotonicMs: nowMs,
    after: (delayMs: number, action: () => void) => {
      const timer = setTimeout(action, delayMs)
      return { cancel: () => clearTimeout(timer) }
    },
  }
}

if (mode === 'look') {
  // Opens depots that were harmed, one after the other, and says what it finds in each.
  for (const one of process.argv.slice(3)) {
    say(`look ${one}`)
    try {
      const depot = await openDepot(one)
      const { queues, messages, problems } = await checkDepot(depot.core, { withContents: true })
      await depot.close()
      say(`found ${one} ${queues} ${messages} ${JSON.stringify(problems)}`)
    } catch (error) {
      say(`refused ${one} ${codeOf(error)} ${String(error)}`)
    }
  }
} else if (mode === 'import') {
  // Sorts a Maildir as its ini file says; here, and not as a program, so that a protection can be taken from it.
  const { runProgram } = await import('../../filters/postoffice/cli/program.ts')
  process.exitCode = await runProgram(['import', '-C', first], {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    output: process.stdout,
    input: process.stdin,
    env: process.env,
    currentDirectory: directory,
    program: '/usr/bin/postoffice',
    isErrTty: false,
    signal: new AbortController().signal,
    now: () => Date.now(),
  })
} else if (mode === 'restart') {
  // The machine is started three times, the second time with a wall clock that is wrong by so many days.
  const { now } = Date
  const rightMs = now() + day
  const start = async (wallMs: number, work: (place: Place) => Promise<void>): Promise<void> => {
    Date.now = () => wallMs
    const depot = await openDepot(directory)
    Date.now = now
    say(`back ${Math.min(0, depot.core.nowMs() - rightMs)}`)
    await work({ depot, queue: await depot.makeQueue('in', { firstRetrySeconds: 60 }) })
    await depot.core.environment.write((view) =>
      changeHead(view, depot.core.books.tables, (head) => {
        head.boot = 'another start'
      }),
    )
    await depot.close()
  }
  await start(rightMs, async ({ queue }) => {
    for (const name of ['leased', 'delayed', 'later']) await queue.add({ message: contentOf(name), facts: { name } })
  })
  await start(rightMs + Number(first) * day, async ({ queue }) => {
    const [, delayed] = await queue.receive({ max: 2, leaseSeconds: 30 })
    await delayed?.nack()
    await queue.receive({ leaseSeconds: 30 })
  })
  await start(rightMs + 60_000, async ({ depot, queue }) => {
    for (const { facts, dueMs } of await queue.peek()) {
      say(`due ${facts['name'] as string} ${Math.round((dueMs ?? 0) - depot.core.nowMs())}`)
    }
  })
} else {
  const work = modes[mode]
  if (work === undefined) throw new Error(`there is no ${mode}`)
  const depot = await openDepot(directory, { pollSeconds: 60 })
  const queue = await depot.makeQueue('in', { firstRetrySeconds: 0, maxDeliveries: 1000 })
  await work({ depot, queue })
  await depot.close()
}
say('end')
