/** Checks with kills, which the suite runs for a few rounds and the system tests for many. */
import { join } from 'node:path'
import { checkDepot } from '../../queue-store/check.ts'
import { openDepot } from '../../queue-store/depot.ts'
import type { Entry, Queue } from '../../queue-store/depot-types.ts'
import { until } from '../helpers/until.ts'
import { createFindings, type Check } from '../reliability/check.ts'
import { depotFolder, startDepotProcess, wordsAfter } from './depot-process.ts'

/** All live messages of a queue. */
export async function everyEntry(queue: Queue): Promise<Entry[]> {
  const found: Entry[] = []
  for (let page = await queue.peek({ max: 1000 }); page.length > 0;) {
    found.push(...page)
    page = await queue.peek({ max: 1000, after: page.at(-1)?.id ?? null })
  }
  return found
}

/**
 * What is wrong with a depot in which `work` of depot-child.ts was cut short, by all that was said in all rounds: what was
 * acknowledged is there or was taken, what was done does not come again, pairs are whole, numbers and contents are right.
 */
export async function judgeWork(directory: string, lines: readonly string[]): Promise<readonly string[]> {
  const { seen, expect } = createFindings()
  const depot = await openDepot(directory)
  try {
    const { problems } = await checkDepot(depot.core, { withContents: true })
    seen.push(...problems.slice(0, 5))
    const found = (await everyEntry(await depot.queue('in'))).map(({ facts }) => facts['name'] as string)
    const there = new Set(found)
    const tried = new Set(wordsAfter(lines, 'try'))
    expect(there.size === found.length, 'a message is there twice')
    for (const pair of wordsAfter(lines, 'added')) {
      for (const half of ['a', 'b']) {
        const name = `${pair}${half}`
        expect(there.has(name) || tried.has(name), `message ${name} was acknowledged and is lost`)
      }
    }
    for (const name of found) {
      const other = `${name.slice(0, -1)}${name.endsWith('a') ? 'b' : 'a'}`
      expect(there.has(other) || tried.has(other), `the pair of ${name} has 1 halves`)
    }
    for (const name of wordsAfter(lines, 'done'))
      expect(!there.has(name), `message ${name} was done and is there again`)
  } finally {
    await depot.close()
  }
  const done = new Set<string>()
  for (const line of lines) {
    const [word = '', name = ''] = line.split(' ')
    if (word === 'done') done.add(name)
    else if (word === 'try') expect(!done.has(name), `message ${name} was done and came again`)
  }
  return seen
}

/** Kills in commits, so many rounds on one depot. */
export const killed =
  (rounds: number): Check =>
  async (t, without) => {
    const directory = join(depotFolder(t), 'depot')
    const lines: string[] = []
    for (let round = 0; round < rounds; round++) {
      const child = startDepotProcess(t, ['work', directory, String(round)], { without })
      const enough = 4 + ((round * 37) % 120)
      await until('it works', () => child.lines.length >= enough || child.process.exitCode !== null, 30_000, 2)
      await child.kill()
      lines.push(...child.lines)
      const seen = await judgeWork(directory, lines)
      if (seen.length > 0) return seen
    }
    const { seen, expect } = createFindings()
    expect(wordsAfter(lines, 'added').length >= rounds, 'nothing was added')
    expect(wordsAfter(lines, 'done').length >= rounds, 'nothing was taken')
    return seen
  }

/** The calls that write, in which `steps` of depot-child.ts is killed. */
const writingCalls = 'fdatasync,fsync,pwrite64,pwritev,ftruncate,rename,unlink,mkdir,fchmod,chmod'

/** Kills at the n-th writing call, for n from `first` on in steps of `by`, until one run comes through; from the empty folder on. */
export const killedAtSteps =
  (by: number, first = 1): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    let isThrough = false
    let kills = 0
    for (let step = first; !isThrough && seen.length === 0; step += by) {
      const directory = join(depotFolder(t), 'depot')
      const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${writingCalls}`]
      const child = startDepotProcess(t, ['steps', directory], {
        without,
        under: [...under, '-e', `inject=${writingCalls}:signal=SIGKILL:when=${step}`],
        env: { UV_THREADPOOL_SIZE: '1' },
      })
      isThrough = (await child.ended) === 0
      if (!isThrough) kills++
      for (const problem of await judgeSteps(directory, child.lines)) {
        expect(false, `killed at call ${step}: ${problem}`)
      }
    }
    expect(kills > 2, `it was killed ${kills} times only`)
    t.comment(`${kills} kills`)
    return seen
  }

async function judgeSteps(directory: string, lines: readonly string[]): Promise<readonly string[]> {
  const { seen, expect } = createFindings()
  const depot = await openDepot(directory)
  try {
    seen.push(...(await checkDepot(depot.core, { withContents: true })).problems)
    const names = async (queue: string): Promise<string[]> => {
      if (!(await depot.queues()).includes(queue)) return []
      return (await everyEntry(await depot.queue(queue))).map(({ facts }) => facts['name'] as string)
    }
    const [inside, outside] = [await names('in'), await names('out')]
    const there = [...inside, ...outside]
    expect(new Set(there).size === there.length, 'a message is there twice')
    const isSaid = (line: string): boolean => lines.includes(line)
    const has = (name: string): boolean => there.includes(name)
    // What was asked for last may have happened, or not.
    if (isSaid('added small')) expect(has('small') || isSaid('added pair0'), 'small is lost')
    if (isSaid('added large0')) expect(has('large0'), 'large0 is lost')
    if (isSaid('added pair0') && !isSaid('moved large0')) expect(has('pair') && has('pair0'), 'the pair is lost')
    if (!isSaid('added pair')) expect(has('pair') === has('pair0'), 'the pair is torn')
    if (isSaid('done small')) expect(!has('small'), 'small is there again')
    if (isSaid('moved large0')) expect(outside.includes('large0'), 'large0 was not moved')
    if (isSaid('moved large0')) expect(has('pair') !== has('reply0'), 'pair and reply0 are not one transaction')
    if (isSaid('added reply0')) expect(has('reply0'), 'reply0 is lost')
    if (isSaid('done pair0')) expect(!has('pair0'), 'pair0 is there again')
    const again = await depot.makeQueue('in')
    await again.add({ message: Buffer.alloc(90_000) })
    expect((await again.receive({ max: 9 })).length > 0, 'the depot does not work afterwards')
  } finally {
    await depot.close()
  }
  return seen
}

/** Readers are killed with a snapshot in hand, so many, while the depot stays open in a process that goes on writing. */
export const abandoned =
  (readers: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const directory = join(depotFolder(t), 'depot')
    const writer = startDepotProcess(t, ['churn', directory], { without })
    await until('it is ready', () => writer.lines[0] === 'ready', 30_000)
    for (let begun = 0; begun < readers; begun += 4) {
      const some = Array.from({ length: Math.min(4, readers - begun) }, () =>
        startDepotProcess(t, ['read', directory], { without }),
      )
      await until('they read', () => some.every(({ lines }) => lines[0] === 'ready'), 30_000)
      await Promise.all(some.map((one) => one.kill()))
    }
    writer.process.kill('SIGUSR2')
    await writer.ended
    const figures = JSON.parse(writer.lines[1] ?? '{}') as Record<string, number>
    const { fileOctets = Infinity, usedOctets = 0, readers: places = Infinity } = figures
    t.comment(JSON.stringify(figures))
    expect(fileOctets <= 2 * usedOctets + 2 ** 20, `the file has ${fileOctets} octets for ${usedOctets}`)
    expect(places <= 16, `${places} places of readers are taken`)
    return seen
  }
