/**
 * R72 A short soak: good and hostile messages, clients and moments, all mixed. `npm run soak -- --minutes 30` is the long one.
 *
 * NODEFILTER_SOAK_SEED and NODEFILTER_SOAK_SECONDS in the environment choose another one.
 */
import t from 'tap'
import { soak } from '../../bench/soak/run.ts'
import { checksOf, type SoakCounts, type SoakFailure } from '../../bench/soak/verdict.ts'

const seconds = Number(process.env['NODEFILTER_SOAK_SECONDS'] ?? 75)
const seed = Number(process.env['NODEFILTER_SOAK_SEED'] ?? 1)

/** At the end what is under way is waited for, and everything looked through. */
const limitMs = (seconds + 300) * 1000

t.setTimeout(limitMs)

t.test(`a soak of ${seconds} s, seed ${seed}`, async (t) => {
  t.setTimeout(limitMs)
  const note = (text: string): void => {
    t.comment(text)
  }
  const { counts, failures, checks } = await soak({ seconds, seed, goodLanes: 4, hostileLanes: 2, leftOut: [], note })
  t.strictSame(failures.slice(0, 5), [], 'nothing happened that must not')
  for (const { check, figure, bound, isMet } of checks) t.ok(isMet, `${check}: ${figure} (${bound})`)
  t.ok(counts.runnersKilled > 0 && counts.reloads > 0 && counts.calms > 1, 'and it was no rest', counts)
  t.ok(counts.hostile.size > 5 && counts.good.size > 4, 'with messages of many kinds')
})

/** What a soak counts in which all is well. */
const well: SoakCounts = {
  ...{ seconds: 60, good: new Map([['pass', 10_000]]), hostile: new Map([['throw', 100]]), rude: 10 },
  ...{
    deferredBy: new Map(),
    goodMs: [1, 2, 3],
    runnersKilled: 5,
    runnersFrozen: 1,
    reloads: 5,
    calms: 6,
    logLines: 12_000,
  },
  memory: samples(100),
  descriptors: [30, 33, 31, 32, 30, 33],
}

function samples(octetsAMessage: number): SoakCounts['memory'] {
  return Array.from({ length: 30 }, (_, index) => {
    const octets = 3e7 + index * 1000 * octetsAMessage
    return { messages: index * 1000, heldOctets: octets, residentOctets: octets * 3, afterMs: 1 }
  })
}

t.test('control: the checks see what is wrong', (t) => {
  const failed = (what: SoakFailure['what']): [string, Partial<SoakCounts>, readonly SoakFailure[]] => [
    `a failure of the kind "${what}"`,
    {},
    [{ what, text: 'x' }],
  ]
  t.strictSame(
    checksOf(well, []).filter(({ isMet }) => !isMet),
    [],
    'where all is well, all is met',
  )
  const rows: [string, Partial<SoakCounts>, readonly SoakFailure[]][] = [
    ...(['answer', 'edit', 'files', 'processes', 'reload', 'host'] as const).map(failed),
    [
      'a heap that grows by 1.2 KB a message',
      { memory: samples(1200).map((sample) => ({ ...sample, residentOctets: 1e8 })) },
      [],
    ],
    [
      'resident memory that grows, beside a heap that does not',
      { memory: samples(1200).map((sample) => ({ ...sample, heldOctets: 1e7 })) },
      [],
    ],
    ['no sample of the memory', { memory: [] }, []],
    ['a descriptor more at each calm', { descriptors: [30, 31, 32, 33, 34, 35] }, []],
    ['three good messages of a hundred deferred', { deferredBy: new Map([['deadline', 300]]) }, []],
    ['a good message that waits for half a minute', { goodMs: [1, 30_000] }, []],
    ['a log that is flooded', { logLines: 80_000 }, []],
  ]
  for (const [what, changes, failures] of rows) {
    const notMet = checksOf({ ...well, ...changes }, failures).filter(({ isMet }) => !isMet)
    // Without samples neither the heap nor the resident memory can be judged.
    t.equal(notMet.length, what === 'no sample of the memory' ? 2 : 1, what)
  }
  t.end()
})
