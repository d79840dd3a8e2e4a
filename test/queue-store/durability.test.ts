/** What a depot keeps when processes are killed and disks fail: rows R05, R06, R13, R15, R16, with their negative controls. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDepot } from '../../queue-store/depot.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'

const rounds = Number(process.env['NODEFILTER_KILL_ROUNDS'] ?? 10)
t.setTimeout(60_000 + rounds * 5_000)

const isRoot = process.geteuid?.() === 0
const here = (name: string): string => new URL(name, import.meta.url).pathname

interface Child {
  readonly process: ChildProcess
  readonly lines: string[]
  readonly ended: Promise<number | null>
}

/** Starts depot-child.ts, without some protections, below other commands, or as another user. */
function start(
  t: Test,
  words: readonly string[],
  {
    without = [],
    under = [],
    ...ids
  }: { without?: readonly string[]; under?: readonly string[]; uid?: number; gid?: number } = {},
): Child {
  const hook = `file://${here('without-store.mjs')}?without=${encodeURIComponent(without.join(','))}`
  const command = [...under, process.execPath, '--import', hook, here('depot-child.ts'), ...words]
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], ...ids })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const all = (rest + text).split('\n')
    rest = all.pop() ?? ''
    lines.push(...all)
  })
  let told = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text))
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      if (code !== 0 && code !== null) t.comment(told)
      resolve(code)
    })
  })
  return { process: child, lines, ended }
}

const folder = (t: Test): string => {
  const made = mkdtempSync(join(tmpdir(), 'nodefilter-depot-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** Kills in commits: what was acknowledged is there, pairs are whole, contents are what they were. */
const killed =
  (times: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const directory = join(folder(t), 'depot')
    for (let round = 0; round < times && seen.length === 0; round++) {
      const child = start(t, ['add-pairs', directory, String(round)], { without })
      const enough = 1 + ((round * 37) % 60)
      await until('pairs are acknowledged', () => child.lines.length >= enough || child.process.exitCode !== null)
      child.process.kill('SIGKILL')
      await child.ended
      const depot = await openDepot(directory)
      const queue = await depot.queue('in')
      const halves = new Map<string, number>()
      for (let found = await queue.receive({ max: 200 }); found.length > 0; found = await queue.receive({ max: 200 })) {
        for (const delivery of found) {
          const pair = delivery.facts['pair'] as string
          halves.set(pair, (halves.get(pair) ?? 0) + 1)
          const digest = createHash('sha256')
            .update(await delivery.message.bytes())
            .digest('hex')
          expect(digest === delivery.digest, `pair ${pair} is not what it was`)
          await delivery.ack()
        }
      }
      for (const pair of child.lines) expect(halves.has(pair), `pair ${pair} was acknowledged and is lost`)
      for (const [pair, count] of halves) expect(count === 2, `pair ${pair} has ${count} halves`)
      const { ready, leased, octets } = await queue.counts()
      expect(ready + leased + octets === 0, 'the numbers are not those of an empty queue')
      await depot.close()
    }
    return seen
  }
testPromise('R06: kill -9 in commits loses nothing that was acknowledged', killed(rounds), [
  { without: ['published is on disk'], sees: /acknowledged and is lost/, check: killed(4) },
  { without: ['a transaction is one'], sees: /has 1 halves|not those of/, check: killed(4) },
])

/** Two processes consume, one of which is killed, while a third adds. */
const consumed: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const directory = join(folder(t), 'depot')
  const depot = await openDepot(directory, { pollSeconds: 60 })
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in')
  const count = 50
  const consumers = [1, 2].map(() => start(t, ['consume', directory, '1', '5'], { without }))
  for (const { lines } of consumers) await until('the consumers wait', () => lines[0] === 'ready')
  const adder = start(t, ['add', directory, String(count)], { without })
  const [one, two] = consumers
  await until('the first has some', () => (one?.lines.length ?? 0) > 5, 8_000).catch(() =>
    expect(false, 'the first consumer was not woken'),
  )
  one?.process.kill('SIGKILL')
  await adder.ended
  const names = (): string[] => consumers.flatMap(({ lines }) => lines.slice(1).map((line) => line.split(' ')[0] ?? ''))
  const all = async (): Promise<boolean> => {
    if (two?.process.exitCode !== null) throw new Error('the second consumer ended')
    return new Set(names()).size === count && (await queue.counts()).leased === 0
  }
  await until('everything is done', all, 6000).catch(() => expect(false, 'not everything was done in time'))
  const twice = names().length - new Set(names()).size
  // What the killed one had in hand, or had done and not yet acknowledged, comes again.
  expect(twice <= 3, `${twice} messages were given out twice`)
  two?.process.kill('SIGKILL')
  await two?.ended
  return seen
}
/** The one that dies may have nothing in hand at that moment: a control is tried until it has. */
const consumedAgain: Check = async (t, without) => {
  for (let tries = 1; ; tries++) {
    const seen = await consumed(t, without)
    if (seen.length > 0 || tries === 4) return seen
  }
}
testPromise('R05: two processes consume what a third adds, and one dies', consumed, [
  {
    without: ['a lease that ran out gives the message back'],
    sees: /not everything was done/,
    check: consumedAgain,
  },
  { without: ['a leased message is nobody else\u2019s'], sees: /given out twice|not everything|not woken/ },
  { without: ['the bell is heard in other processes'], sees: /not woken/ },
])

const late: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const child = start(t, ['late', join(folder(t), 'depot')], { without })
  await child.ended
  expect(child.lines.includes('redelivered true'), 'the message was not redelivered')
  expect(child.lines.includes('late LEASE_LOST'), `a late acknowledgement was answered by ${String(child.lines[1])}`)
  return seen
}
testPromise('R66: a late acknowledgement is refused', late, [
  { without: ['a late consumer is refused'], sees: /answered by late done/ },
])

/** What a child said of a failing disk. */
function judge(lines: readonly string[], isDiskFull: boolean): readonly string[] {
  const { seen, expect } = createFindings()
  const of = (word: string): string[] =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.split(' ')[1] ?? '')
  const there = new Set(of('there'))
  for (const name of of('added')) expect(there.has(name), `message ${name} was acknowledged and is lost`)
  for (const name of of('failed')) expect(!there.has(name), `message ${name} was refused and is there`)
  expect(of('failed').length >= (isDiskFull ? 3 : 1), 'no failure was told')
  for (const line of lines.filter((one) => one.startsWith('failed'))) {
    expect(line.endsWith('DEPOT_WRITE_FAILED'), `a failure was told as: ${line}`)
  }
  expect(lines.includes('after true') && lines.at(-1) === 'end', 'it did not go on afterwards')
  return seen
}

const full: Check = async (t, without) => {
  const small = join(folder(t), 'small')
  mkdirSync(small)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', small]).status !== 0) throw new Error('no mount')
  try {
    const child = start(t, ['fill', join(small, 'depot'), '3000'], { without })
    await child.ended
    return judge(child.lines, true)
  } finally {
    spawnSync('umount', ['-l', small])
  }
}
const syncFails: Check = async (t, without) => {
  // The first syncs make the tables.
  const under = [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'trace=fdatasync',
    '-e',
    'inject=fdatasync:error=EIO:when=40',
  ]
  const child = start(t, ['fill', join(folder(t), 'depot'), '60'], { without, under })
  await child.ended
  return judge(child.lines, false)
}
const failing = [{ without: ['a write that failed is told'], sees: /acknowledged and is lost/ }]
if (isRoot) testPromise('R13: a full disk', full, failing)
else t.test('R13: a full disk', { skip: 'only root can mount a small one' }, (t) => t.end())
if (spawnSync('strace', ['-V']).status === 0) testPromise('R15: a sync that fails once', syncFails, failing)
else t.test('R15: a sync that fails once', { skip: 'strace is not installed' }, (t) => t.end())

t.test('R16: readers that were killed are forgotten, and a queue that stays short stays small', async (t) => {
  const directory = join(folder(t), 'depot')
  for (let round = 0; round < 3; round++) {
    const child = start(t, ['consume', directory, '5'])
    await until('it reads', () => child.lines[0] === 'ready')
    child.process.kill('SIGKILL')
    await child.ended
  }
  const depot = await openDepot(directory)
  t.teardown(() => depot.close())
  t.ok(depot.core.environment.figures().readers <= 2)
  const queue = await depot.queue('in')
  for (let round = 0; round < 60; round++) {
    await Promise.all(Array.from({ length: 20 }, () => queue.add({ message: Buffer.alloc(8000) })))
    for (const delivery of await queue.receive({ max: 20 })) await delivery.ack()
  }
  t.ok(depot.core.environment.figures().fileOctets < 4e6, 'pages are used again', depot.core.environment.figures())
})

t.test(
  'two users of the depot\u2019s group share it',
  { skip: isRoot ? false : 'only root starts processes of others' },
  async (t) => {
    const outer = folder(t)
    chmodSync(outer, 0o755)
    const directory = join(outer, 'depot')
    const gid = 23_456
    const depot = await openDepot(directory, { group: gid })
    t.teardown(() => depot.close())
    const queue = await depot.makeQueue('in')
    const consumer = start(t, ['consume', directory, '5'], { uid: 12_345, gid })
    await until('the consumer waits', () => consumer.lines[0] === 'ready' || consumer.process.exitCode !== null)
    const adder = start(t, ['add', directory, '12'], { uid: 12_346, gid })
    t.equal(await adder.ended, 0)
    await until('all came', () => consumer.lines.length === 13)
    await until('all are acknowledged', async () => (await queue.counts()).leased === 0)
    consumer.process.kill('SIGKILL')
    await consumer.ended
    const stranger = start(t, ['add', directory, '1'], { uid: 12_347, gid: 23_457 })
    t.not(await stranger.ended, 0, 'others have no way in')
  },
)
