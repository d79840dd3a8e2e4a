/**
 * The benchmark of the store: durable additions beside deliveries into a Maildir in the same run, sorting, and what queues
 * and maps cost when they are long.
 *
 *     npm run bench:store                  some five minutes
 *     npm run bench:store:here -- --help   its options
 *
 * docs/benchmarks.md says how to read the result.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeHome, removeHome } from '../examples/lib/host-process.ts'
import { formatTable } from '../host/cli/table.ts'
import { openDepot, openMaps } from '../queue-store/index.ts'
import { storeHeading, storeTargets, type StoreFigures } from './store-figures.ts'
import {
  addition,
  fillMap,
  fillQueue,
  largeMessage,
  lookUp,
  maildirDelivery,
  openSorter,
  rateOf,
  rateOfMany,
  receiveOne,
  startSortingHost,
  timeOf,
} from './store-work.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    many: { type: 'string' },
    large: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5))
const seconds = Number(options.seconds ?? (options.quick ? 0.5 : 2))
const many = Number(options.many ?? (options.quick ? 20_000 : 1_000_000))
const largeMiB = Number(options.large ?? (options.quick ? 64 : 1024))
const producers = 32
/** Of both: in a turn of the same time the faster one would be held up by how much the disk can take. */
const messages = Math.ceil(2000 * seconds)
const messageOctets = 8192
const few = 1000
const fewKeys = 10_000
const dayMs = 86_400_000

const help = `usage: npm run bench:store:here -- [OPTION]...

  --quick             short rounds, short queues: a look, not a measurement
  --json              one JSON object instead of the table
  --rounds N          rounds, in each of which everything has its turn (${rounds})
  --seconds S         length of a turn (${seconds})
  --many N            messages that wait, and keys that are remembered, where there are many (${many})
  --large N           size of the large message in MiB (${largeMiB})

The figures are in a folder for temporary files: what TMPDIR names should be on the disk that is meant.
`

if (options.help) process.stdout.write(help)
else await benchmark()

async function benchmark(): Promise<void> {
  if (!(rounds > 0) || !(seconds > 0) || !(many >= few) || !(largeMiB > 0)) {
    throw new Error('a number among the options cannot be used; see --help')
  }
  const home = makeHome('nf-bench-store-')
  try {
    report(await measure(home))
  } finally {
    removeHome(home)
  }
}

async function measure(home: string): Promise<StoreFigures> {
  const depot = await openDepot(join(home, 'depot'))
  const maps = openMaps(depot, { sweep: null })
  try {
    const figures = { ...empty() }
    const deliver = maildirDelivery(join(home, 'maildir'), messageOctets)
    const add = addition(await depot.makeQueue('adds'), messageOctets)
    const sorter = await openSorter(home, depot)
    for (let round = 0; round < rounds; round++) {
      note(`round ${round + 1} of ${rounds}: additions, deliveries, sorting`)
      settleDisk()
      figures.deliveries.push(await rateOfMany(producers, messages, deliver))
      settleDisk()
      figures.adds.push(await rateOfMany(producers, messages, add))
      figures.sorted.push(await rateOf(producers, seconds, sorter.one))
    }

    const sorting = await startSortingHost(join(home, 'host'))
    try {
      await sorting.take(500, producers)
      for (let round = 0; round < rounds; round++) {
        note(`round ${round + 1} of ${rounds}: sorting by the filter`)
        figures.filtered.push(await sorting.take(Math.ceil(1000 * seconds), producers))
      }
    } finally {
      await sorting.host.stop()
    }

    const [short, long] = [await depot.makeQueue('short'), await depot.makeQueue('long')]
    await fillQueue(short, few, () => undefined)
    await fillQueue(long, many, progress('messages wait', many))
    for (let round = 0; round < rounds; round++) {
      note(`round ${round + 1} of ${rounds}: a short queue, a long one`)
      const [addShort, addLong] = [addition(short, 20), addition(long, 20)]
      figures.addFewUs.push(await costOf(addShort))
      figures.addManyUs.push(await costOf(addLong))
      figures.receiveFewUs.push(await costOf(() => receiveOne(short)))
      figures.receiveManyUs.push(await costOf(() => receiveOne(long)))
    }

    const fewMap = maps.ttlMap('few', { ttlMs: dayMs })
    const manyMap = maps.ttlMap('many', { ttlMs: dayMs })
    const setIn = (map: string) => (keys: readonly string[]) =>
      maps.apply(keys.map((key) => ({ op: 'set' as const, map, key, value: 'x' })))
    await fillMap(fewKeys, setIn('few'), () => undefined)
    await fillMap(2 * many, setIn('many'), progress('keys are remembered', 2 * many))
    const [lookFew, lookMany] = [lookUp(fewMap, fewKeys), lookUp(manyMap, 2 * many)]
    for (const name of ['seen few', 'seen many', 'pace few', 'pace many']) maps.ttlMap(name, { ttlMs: dayMs })
    const firstIn = (map: string) => (keys: readonly string[]) =>
      maps.apply(keys.map((key) => ({ op: 'firstSeen' as const, map, key, value: null })))
    const pace = { windowMs: 240_000, leastGapMs: 60_000, atMost: 4, throttleMs: 300_000 }
    const paceIn = (map: string) => (keys: readonly string[]) =>
      maps.apply(keys.map((key) => ({ op: 'pace' as const, map, key, pace })))
    await fillMap(few, firstIn('seen few'), () => undefined)
    await fillMap(few, paceIn('pace few'), () => undefined)
    await fillMap(many, firstIn('seen many'), progress('ids are remembered', many))
    await fillMap(many, paceIn('pace many'), progress('senders are remembered', many))
    let count = 0
    for (let round = 0; round < rounds; round++) {
      note(`round ${round + 1} of ${rounds}: few keys, many keys`)
      figures.lookUpFewUs.push(await timeOf(5000, lookFew))
      figures.lookUpManyUs.push(await timeOf(5000, lookMany))
      // Of most messages the id is new.
      figures.checkFewUs.push(await costOf(() => firstIn('seen few')([`new ${count++}`])))
      figures.checkManyUs.push(await costOf(() => firstIn('seen many')([`new ${count++}`])))
      figures.paceFewUs.push(await costOf(() => paceIn('pace few')([`key ${(count += 7919) % few}`])))
      figures.paceManyUs.push(await costOf(() => paceIn('pace many')([`key ${(count += 7919) % many}`])))
    }

    const large = await depot.makeQueue('large')
    for (let round = 0; round < Math.min(rounds, 3); round++) {
      note(`round ${round + 1}: ${largeMiB} MiB in and out`)
      figures.largeGrownOctets.push(await largeMessage(home, large, largeMiB * 2 ** 20))
    }
    await sorter.memory.close()
    return figures
  } finally {
    await maps.close()
    await depot.close()
  }
}

/** What one turn has left for the disk to write is not to be written in the next one's. */
function settleDisk(): void {
  spawnSync('sync')
}

/** What one costs where many are asked for at once, as they are in a mail server. Units: µs. */
async function costOf(one: () => Promise<unknown>): Promise<number> {
  return 1_000_000 / (await rateOf(producers, seconds / 2, one))
}

function empty(): { -readonly [Name in keyof StoreFigures]: number[] } {
  return {
    ...{ adds: [], deliveries: [], sorted: [], filtered: [] },
    ...{ addFewUs: [], addManyUs: [], receiveFewUs: [], receiveManyUs: [] },
    ...{ lookUpFewUs: [], lookUpManyUs: [], checkFewUs: [], checkManyUs: [], paceFewUs: [], paceManyUs: [] },
    largeGrownOctets: [],
  }
}

function report(figures: StoreFigures): void {
  const machine = { node: process.version, cores: availableParallelism(), rounds, seconds }
  const sizes = { waiting: many, keys: many, largeOctets: largeMiB * 2 ** 20 }
  if (options.json) return void process.stdout.write(`${JSON.stringify({ machine, sizes, figures }, null, 2)}\n`)
  process.stdout.write(formatTable(storeHeading, storeTargets(figures, sizes)))
  process.stdout.write(`Node ${machine.node}, ${machine.cores} cores, ${rounds} x ${seconds} s a turn.\n`)
}

/** Tells at most every two seconds how many there are. */
function progress(what: string, all: number): (done: number) => void {
  let toldMs = 0
  return (done) => {
    if (performance.now() - toldMs < 2000 && done < all) return
    toldMs = performance.now()
    note(`${done} of ${all} ${what}`)
  }
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
