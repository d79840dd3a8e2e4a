/**
 * R70 Depots of each format there ever was: read, or refused with the reason and left as they are.
 *
 * A release that changes the format adds a fixture of the one before (test/fixtures/depots/make.ts) and says here what becomes of
 * it. The fixture's numbers are in the order of the machines on which LMDB's pages have 4 KiB.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { endianness } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkDepot } from '../../queue-store/check.ts'
import { openDepot } from '../../queue-store/depot.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { changeHead, format } from '../../queue-store/tables.ts'
import { depotPort, openTtlMaps } from '../../queue-store/ttl/index.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { depotFolder, startDepotProcess } from './depot-process.ts'

const fixtures = join(import.meta.dirname, '../fixtures/depots')
// The clock of the fixture's maker, and some seconds.
const madeMs = 1_767_225_600_000
const hasItsOrder = endianness() === 'LE'
const skip = hasItsOrder ? false : 'the fixture is of machines with the other order of octets'

/** A copy, as an installation has it: version control keeps no modes and no empty folders. */
function copyOf(t: Test, name: string): string {
  const directory = join(depotFolder(t), 'depot')
  cpSync(join(fixtures, name), directory, { recursive: true })
  mkdirSync(join(directory, 'messages'), { recursive: true })
  return directory
}

/** Every file of a folder with its octets and its time. */
function contentsOf(directory: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(directory, { recursive: true }).map(String).sort()) {
    const path = join(directory, name)
    const stats = statSync(path)
    if (stats.isFile()) found[name] = `${stats.mtimeMs} ${readFileSync(path).toString('base64')}`
  }
  return found
}

t.test('R70 every format up to this one has a fixture', (t) => {
  const known = readdirSync(fixtures).filter((name) => name.startsWith('format-'))
  t.same(
    known.sort(),
    Array.from({ length: format }, (_, index) => `format-${index + 1}`),
  )
  t.end()
})

t.test('R70 format 1 is read as it was written, and worked on', { skip }, async (t) => {
  const directory = copyOf(t, 'format-1')
  const clock = { nowMs: madeMs + 5000 }
  const depot = await openDepot(directory, { now: () => clock.nowMs })
  t.teardown(() => depot.close())
  t.same(await checkDepot(depot.core, { withContents: true }), { queues: 3, messages: 10, problems: [] })
  t.same((await depot.queues()).sort(), ['by key', 'in', 'one by one'])
  const queue = await depot.queue('in')
  t.match(queue.settings(), { order: 'none', maxDeliveries: 2, firstRetrySeconds: 30 })
  t.match(await queue.counts(), { ready: 3, held: 0, delayed: 1, leased: 1, buried: 1, dead: 1, oldestMs: 5000 })
  t.match(await queue.peek({ what: 'dead' }), [{ facts: { name: 'dead' }, reason: 'twice', deliveries: 2 }])
  t.match(await queue.peek({ what: 'buried' }), [{ facts: { name: 'buried' }, reason: 'poison' }])
  const [small, large, keyed] = await queue.receive({ max: 3 })
  t.match(small, {
    envelope: { sender: 'sender@example.com', recipients: ['one@example.org', 'two@example.org'] },
    facts: { name: 'small', list: [1, null, { a: 'ö' }] },
    addedMs: madeMs,
  })
  t.equal((await large?.message.bytes())?.toString(), Buffer.alloc(1500, 'large ').toString())
  t.match(await queue.add({ message: Buffer.from('keyed'), idempotencyKey: 'a key' }), {
    isNew: false,
    id: keyed?.id ?? 'none',
  })
  clock.nowMs = madeMs + 601_000
  const [leased] = await queue.receive()
  t.match(leased, { facts: { name: 'leased' }, deliveries: 2 }, 'its lease ended')
  clock.nowMs = madeMs + 3_601_000
  t.match((await queue.receive({ max: 9 })).at(0), { facts: { name: 'delayed' }, reason: 'not yet' })
  const chained = await (await depot.queue('by key')).receive({ max: 9 })
  t.same(await Promise.all(chained.map(async ({ message }) => (await message.bytes()).toString())), ['a 1', 'b 1'])
  t.equal((await depot.queue('one by one')).settings().order, 'strict')
  const maps = openTtlMaps(depotPort(depot.core.environment), {
    clock: { wallMs: () => madeMs + 1000, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) },
    sweep: null,
  })
  const map = maps.ttlMap('senders', { ttlMs: 86_400_000 })
  t.equal((await map.get('one'))?.value, 'value')
  t.equal(await map.increment('counter'), 2)
  t.equal(await map.rate('rate', { windowMs: 60_000, by: 0 }), 1)
  t.equal((await map.stats()).entries, 3)
  t.same((await checkDepot(depot.core, { withContents: true })).problems, [])
})

/** Marks of depots that are not of this format, and what is said of each. */
const marks: readonly { readonly mark: string; readonly says: RegExp }[] = [
  { mark: `{"format":${format + 1},"group":null}`, says: new RegExp(`says ${format + 1}, this is ${format}`) },
  { mark: '{"format":0,"group":null}', says: /says 0, this is/ },
  { mark: '{"format":"1","group":null}', says: /says "1", this is/ },
  { mark: '{"group":null}', says: /says undefined, this is/ },
  { mark: 'null', says: /says undefined, this is/ },
]

const refused: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const copies = marks.map(({ mark }) => {
    const directory = copyOf(t, 'format-1')
    writeFileSync(join(directory, 'depot.json'), `${mark}\n`)
    return directory
  })
  const before = copies.map(contentsOf)
  // In a process of its own, from which a protection can be taken.
  const child = startDepotProcess(t, ['look', ...copies], { without })
  await child.ended
  for (const [index, { mark, says }] of marks.entries()) {
    const directory = copies[index] ?? ''
    const line = child.lines.find((one) => !one.startsWith('look') && one.split(' ')[1] === directory) ?? 'nothing'
    expect(line.includes('DEPOT_FORMAT') && says.test(line), `of ${mark} it says: ${line}`)
    expect(line.includes(join(directory, 'depot.json')), `of ${mark} it does not say where`)
    expect(JSON.stringify(contentsOf(directory)) === JSON.stringify(before[index]), `${mark}: it was not left alone`)
  }
  return seen
}
if (hasItsOrder) {
  testPromise('R70 a depot of another format is refused with the reason, and not touched', refused, [
    { without: ['the mark is read'], sees: /it says: found|not left alone/ },
  ])
}

t.test('R70 a store whose own mark is another one is refused', { skip }, async (t) => {
  const directory = copyOf(t, 'format-1')
  const depot = await openDepot(directory)
  await depot.core.environment.write((view) =>
    changeHead(view, depot.core.books.tables, (head) => Object.assign(head, { format: format + 1 })),
  )
  await depot.close()
  const before = readFileSync(join(directory, 'store.mdb'))
  const error: unknown = await openDepot(directory).catch((thrown: unknown) => thrown)
  t.ok(isDepotError(error, 'DEPOT_FORMAT'), String(error))
  t.ok(before.equals(readFileSync(join(directory, 'store.mdb'))), 'and not touched')
})
