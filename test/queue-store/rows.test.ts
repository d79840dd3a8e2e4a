/** What a depot promises about expiry, harmed files and sizes beyond the usual: rows R17 to R20, with negative controls. */
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openDepot } from '../../queue-store/depot.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { depotPort, openTtlMaps } from '../../queue-store/ttl/index.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { depotFolder, startDepotProcess } from './depot-process.ts'

const isRoot = process.geteuid?.() === 0
t.setTimeout(200_000)

interface Expired {
  readonly removed: number
  readonly slices: number
  readonly mostRemoved: number
  readonly mostWrites: number
  readonly longestMs: readonly number[]
  readonly cpuMs: readonly number[]
  readonly growth: number
}

/** Keys expire, and are swept in the background while the event loop goes round. */
const expired =
  (keys: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const child = startDepotProcess(t, ['expire', join(depotFolder(t), 'depot'), String(keys)], { without })
    await child.ended
    const said = JSON.parse(child.lines[0] ?? '{}') as Expired
    t.comment(child.lines[0])
    expect(said.removed === keys, `${said.removed} of ${keys} were removed`)
    expect(said.mostRemoved <= 400, `${said.mostRemoved} in one transaction`)
    // A key is a record and a place in the index; a map has a row.
    expect(said.mostWrites <= 900, `${said.mostWrites} writes in one transaction`)
    // CPU time, of the second slowest slice: a busy machine and its collector of garbage are not the sweep's.
    expect((said.cpuMs[1] ?? 0) < 50, `a slice took ${said.cpuMs.join(', ')} ms of CPU time`)
    // What is measured by the clock is bounded by what no machine makes of 50 ms.
    expect((said.longestMs[1] ?? 0) < 1000, `the event loop stood still for ${said.longestMs.join(', ')} ms`)
    expect(said.growth <= 1.5, `the file grew to ${said.growth} times its size`)
    return seen
  }
testPromise('R17 a hundred thousand keys expire: in bounded slices, and their room is used again', expired(100_000), [
  { without: ['a sweep goes by slices'], sees: /in one transaction/, check: expired(30_000) },
])

/** A small depot with messages of both kinds. */
async function smallDepot(t: Test): Promise<string> {
  const directory = join(depotFolder(t), 'depot')
  const depot = await openDepot(directory)
  const queue = await depot.makeQueue('in')
  for (let count = 0; count < 12; count++)
    await queue.add({ message: Buffer.alloc(count === 5 ? 70_000 : 3000, count) })
  await depot.close()
  return directory
}

/** Where octets of the first two pages say how the rest is to be read: all that LMDB keeps there. */
const metaOctets = 24 + 16 + 2 * 48 + 16

const flipped: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const whole = await smallDepot(t)
  const store = readFileSync(join(whole, 'store.mdb'))
  const copies: string[] = []
  for (let at = 0; at < 2 * metaOctets; at += 3) {
    const page = at < metaOctets ? 0 : 4096
    const octet = page + (at % metaOctets)
    const bit = at % 8
    const copy = join(depotFolder(t), `octet-${octet}-bit-${bit}`)
    cpSync(whole, copy, { recursive: true })
    const octets = Buffer.from(store)
    octets.writeUInt8(octets.readUInt8(octet) ^ (1 << bit), octet)
    writeFileSync(join(copy, 'store.mdb'), octets)
    copies.push(copy)
  }
  const outcomes: Record<string, number> = {}
  for (let left = copies; left.length > 0;) {
    const child = startDepotProcess(t, ['look', ...left], { without })
    await child.ended
    const last = child.lines.findLast((line) => line.startsWith('look'))?.split(' ')[1]
    if (child.lines.at(-1) !== 'end') expect(false, `the process died of ${String(last).split('/').at(-1)}`)
    for (const line of child.lines) {
      const [word, path = '', ...rest] = line.split(' ')
      const name = path.split('/').at(-1) ?? ''
      outcomes[word ?? ''] = (outcomes[word ?? ''] ?? 0) + 1
      if (word === 'found') {
        // One bit may make the last transaction undone; an empty depot, or one that is partly there, it may not make.
        expect(rest[0] === '1' && Number(rest[1]) >= 11, `${name}: ${rest.join(' ')}`)
        expect(rest[2] === '[]', `${name}: ${rest.join(' ')}`)
      } else if (word === 'refused') {
        expect(rest[0] === 'DEPOT_DAMAGED', `${name}: ${rest.join(' ')}`)
        expect(rest.join(' ').includes(path), `${name}: it is not said which file`)
      }
    }
    left = child.lines.at(-1) === 'end' ? [] : left.slice(left.indexOf(last ?? '') + 1)
  }
  t.comment(JSON.stringify(outcomes))
  return seen
}
testPromise('R18 one bit of the first pages: refused, or all is there', flipped, [
  { without: ['a store is looked over before it is opened'], sees: /died|octet-/ },
])

t.test('R18 a store that is gone is not begun anew', async (t) => {
  const directory = await smallDepot(t)
  renameSync(join(directory, 'store.mdb'), join(directory, 'elsewhere'))
  const before = readdirSync(directory).sort()
  await t.rejects(openDepot(directory), { code: 'DEPOT_DAMAGED', message: /store\.mdb is missing/ })
  t.same(readdirSync(directory).sort(), before, 'nothing was made')
  renameSync(join(directory, 'elsewhere'), join(directory, 'store.mdb'))
  await (await openDepot(directory)).close()
})

t.test('R19 folders that are not safe are refused, by their paths', async (t) => {
  const refused = async (directory: string, told: RegExp): Promise<void> => {
    const error = await openDepot(directory).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    t.ok(isDepotError(error, 'DEPOT_UNSAFE'), String(error))
    t.ok(String(error).includes(directory) && told.test(String(error)), String(error))
  }
  const open = await smallDepot(t)
  chmodSync(open, 0o777)
  await refused(open, /everybody/)
  const link = join(depotFolder(t), 'link')
  symlinkSync(await smallDepot(t), link)
  await refused(link, /not a folder/)
  const file = join(depotFolder(t), 'file')
  writeFileSync(file, 'x')
  await refused(file, /not a folder/)
  const full = depotFolder(t)
  mkdirSync(join(full, 'cur'))
  await refused(full, /cur/)
  t.same(readdirSync(full), ['cur'], 'and left as they are')
})
t.test('R19 a depot of another user', { skip: isRoot ? false : 'only root gives files away' }, async (t) => {
  const outer = depotFolder(t)
  chmodSync(outer, 0o755)
  const directory = join(outer, 'depot')
  mkdirSync(directory, { mode: 0o755 })
  chownSync(directory, 12_345, 12_345)
  const child = startDepotProcess(t, ['look', directory], { uid: 12_346, gid: 12_346 })
  await child.ended
  t.match(child.lines[1], /^refused .*DEPOT_UNSAFE.* belongs to user 12345/)
  t.same(readdirSync(directory), [])
  // As root it is refused, too, where there is no depot yet: its owner could exchange what is made there.
  await t.rejects(openDepot(directory), { code: 'DEPOT_UNSAFE' })
})

t.test('R20 sizes beyond the usual', async (t) => {
  const depot = await openDepot(join(depotFolder(t), 'depot'))
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('in', { order: 'key' })
  const piece = Buffer.alloc(1_000_000, 'a line of a long message\r\n')
  const digest = createHash('sha256')
  for (let count = 0; count < 50; count++) digest.update(piece)
  const recipients = Array.from({ length: 10_000 }, (_, index) => `recipient-${index}@mail.example.com`)
  const keys = ['k'.repeat(600), `\u0000\u0001${'\u00ff'.repeat(300)}`, '\ud800 half a pair', 'x'.repeat(1_000_000)]
  await queue.add({
    message: Readable.from(Array.from({ length: 50 }, () => piece)),
    envelope: { sender: null, recipients },
    facts: { long: 'f'.repeat(5_000_000) },
  })
  for (const key of keys) {
    t.equal((await queue.add({ message: Buffer.from('x'), key, idempotencyKey: key })).isNew, true)
    t.equal((await queue.add({ message: Buffer.from('x'), key, idempotencyKey: key })).isNew, false)
  }
  const [large, ...others] = await queue.receive({ max: 10 })
  if (large === undefined) throw new Error('nothing came')
  t.equal(large.octets, 50_000_000)
  t.equal(large.digest, digest.digest('hex'))
  t.same(large.envelope?.recipients, recipients)
  t.equal((large.facts['long'] as string).length, 5_000_000)
  await t.rejects(large.message.bytes(), { code: 'MESSAGE_UNREADABLE' }, 'not all at once unless it is meant')
  const read = createHash('sha256')
  for await (const one of large.message.stream()) read.update(one as Buffer)
  t.equal(read.digest('hex'), large.digest)
  t.equal(others.length, keys.length)
  for (const delivery of [large, ...others]) t.equal(await delivery.ack(), 'done')
  t.same(readdirSync(join(depot.directory, 'messages')).length <= 1, true, 'and its file goes')

  const maps = openTtlMaps(depotPort(depot.core.environment), { sweep: null })
  t.teardown(() => maps.close())
  const map = maps.ttlMap('m', { ttlMs: 60_000 })
  for (const key of ['k'.repeat(600), Buffer.alloc(600, 0xff), Buffer.from([0, 255, 0]), '']) {
    await map.set(key, 'v')
    t.equal(await map.has(key), true)
  }
  t.equal(await map.has('k'.repeat(601)), false)
  await t.rejects(map.set('k', 'v'.repeat(50_000_000)), { code: 'TTL_ARGUMENT' })
  await t.rejects(map.set('k'.repeat(50_000_000), 'v'), { code: 'TTL_ARGUMENT' })
  t.equal((await map.stats()).entries, 4)
})
