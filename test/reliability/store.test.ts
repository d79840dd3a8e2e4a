/**
 * R04, R13 and R19 for the stores of filters, in a real host: what filters add to queues is there before the mail server hears
 * of an acceptance, once, and nowhere else.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isDepotError, openDepot, type Entry } from '../../queue-store/index.ts'
import type { StorePoint } from '../../host/platform/faults.ts'
import { makePlace, startHost, type HostOptions, type HostProcess, type Place } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { watchMemory } from '../helpers/watch-memory.ts'
import { inLanes } from '../faults/lanes.ts'
import { createFindings, testPromise, type Check } from './check.ts'

/** One filter, told by the message's fields what to add and how to end. */
const adder = `
import { appendFileSync, readFileSync } from 'node:fs'
export async function initFilter(setup) { await setup.stores.makeQueue('mail') }
export async function doFilter(bodyPath, controlPaths, context) {
  const header = readFileSync(bodyPath, 'latin1').slice(0, 2000)
  const said = (name) => new RegExp('^X-' + name + ': (.*)$', 'm').exec(header)?.[1] ?? ''
  const times = Number(said('Times') || 1)
  const addition = said('Key') === 'none' ? { idempotencyKey: null } : {}
  for (let n = 0; n < times; n++) await context.queue(said('Queue') || 'mail').add({ ...addition, facts: { n } })
  if (said('Forget') !== '') void context.queue('mail').add({ message: 'x'.repeat(900_000), idempotencyKey: null })
  if (said('Exit') !== '' && context.attempt === 1) process.exit(3)
  if (said('Throw') !== '') throw new Error('as asked')
  return said('Reply')
}`
const other =
  "export const doFilter = (b, c, context) => context.queue('mail').add({ facts: { by: 'other' }, idempotencyKey: null }).then(() => '')"
const refuser = "export const doFilter = () => '554 5.7.1 no'"

function stage(t: Test, list: readonly string[]): Place {
  const place = makePlace(t, ...list)
  place.filter('adder.mjs', adder)
  place.filter('other.mjs', other)
  place.filter('refuser.mjs', refuser)
  return place
}

async function hostIn(t: Test, place: Place, options: HostOptions): Promise<HostProcess> {
  const host = startHost(t, place, { ...options, set: ['runner.threads=1', ...(options.set ?? [])] })
  await host.ready()
  return host
}

/** What is in the queue once the host is gone; nothing where it never was. */
async function entriesIn(place: Place): Promise<Entry[]> {
  const depot = await openDepot(place.at('s/depot'))
  try {
    return await (await depot.queue('mail')).peek({ max: 100 })
  } catch (thrown) {
    if (isDepotError(thrown, 'QUEUE_UNKNOWN')) return []
    throw thrown
  } finally {
    await depot.close()
  }
}

const accepted = '200 Ok\n'
let messages = 0

/** A message as one attempt to deliver brings it: with a trace of the way that is new each time. */
function contentOf(id: string, fields: readonly string[] = [], body = 'text'): string {
  const traces = [`Received: from x by y with ESMTP id ${++messages};`, '  Tue, 01 Dec 2026 12:00:00 +0000']
  return [...traces, `Message-ID: <${id}@example.com>`, 'Subject: x', ...fields, '', body, ''].join('\n')
}

/** Killed at each step; what is delivered again is there once, and what was accepted is there. */
const killedAt =
  (points: readonly StorePoint[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    await inLanes(3, points, async (point) => {
      const place = stage(t, ['adder'])
      const first = await hostIn(t, place, { faults: `${point}=kill`, without })
      const heard = await first.ask(place.pair({ content: contentOf('a') })).catch(() => '')
      await first.kill()
      if (heard !== '') expect((await entriesIn(place)).length > 0, `${point}: heard ${heard} and nothing is there`)
      const next = await hostIn(t, place, { without })
      for (const id of ['a', 'b']) {
        const again = await next.ask(place.pair({ content: contentOf(id) }))
        expect(again === accepted, `${point}: ${id} heard ${JSON.stringify(again)}`)
      }
      await next.stop()
      const count = (await entriesIn(place)).length
      expect(count === 2, `${point}: of two messages ${count} are there`)
    })
    return seen
  }
testPromise(
  'R04 a host killed at any step of storing: accepted is stored, and delivered again is stored once',
  killedAt(['store.staging', 'store.staged', 'store.publishing', 'store.published']),
  [
    {
      without: ['what is added is there before the answer'],
      sees: /heard 200 Ok\s+and nothing is there/,
      check: killedAt(['store.publishing']),
    },
    {
      without: ['a delivery is recognised when it comes again'],
      sees: /of two messages 3 are there/,
      check: killedAt(['store.published']),
    },
  ],
)

/** Every way in which a message is not accepted, or a filter is not counted. */
const notAdded =
  (wanted: readonly string[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const rows: Readonly<Record<string, readonly [list: string[], fields: string[], heard: RegExp, left: number]>> = {
      'refused by itself': [['adder'], ['X-Reply: 550 no'], /^550 no/, 0],
      'refused by a later filter': [['adder', 'refuser'], ['X-Times: 3'], /^554 /, 0],
      'deferred by a failure': [['adder'], ['X-Throw: yes'], /^451 4\.3\.0 /, 0],
      'failed and may': [['other', 'adder with on_error=pass'], ['X-Throw: yes', 'X-Times: 2'], /^200 /, 1],
      'on trial': [['adder with dry_run=yes', 'other'], ['X-Times: 2'], /^200 /, 1],
      'ran again': [['adder'], ['X-Exit: yes', 'X-Key: none'], /^200 /, 1],
      'no such queue': [['adder'], ['X-Queue: nowhere'], /^451 4\.3\.0 /, 0],
      accepted: [['adder', 'other'], ['X-Times: 2'], /^200 /, 3],
    }
    await inLanes(3, Object.entries(rows), async ([name, [list, fields, heard, left]]) => {
      if (!wanted.includes(name)) return
      const place = stage(t, list)
      const host = await hostIn(t, place, { without })
      const answer = await host.ask(place.pair({ content: contentOf('a', fields) }))
      expect(heard.test(answer), `${name}: heard ${JSON.stringify(answer)}`)
      if (name === 'on trial') {
        const told = await host.logged(/dry-run/, 2000).catch(String)
        expect(told.includes('nothing, and added to'), `${name}: the log says ${told}`)
      }
      await host.stop()
      const count = (await entriesIn(place)).length
      expect(count === left, `${name}: ${count} are there, not ${left}`)
      const files = readdirSync(place.at('s/depot/messages')).length
      expect(files === 0, `${name}: ${files} files are left`)
    })
    return seen
  }
const all = [
  ...['refused by itself', 'refused by a later filter', 'deferred by a failure', 'failed and may', 'on trial'],
  ...['ran again', 'no such queue', 'accepted'],
]
testPromise('R04 what is not accepted is in no queue', notAdded(all), [
  {
    without: ['what was added is dropped with a refusal'],
    sees: /^refused by a later filter: 3 are there/,
    check: notAdded(['refused by a later filter']),
  },
  {
    without: ['what a filter added goes with its failure'],
    sees: /^failed and may: 3 are there/,
    check: notAdded(['failed and may']),
  },
  { without: ['a filter on trial adds nothing'], sees: /^on trial: 3 are there/, check: notAdded(['on trial']) },
  { without: ['a run that was lost adds nothing'], sees: /^ran again: 2 are there/, check: notAdded(['ran again']) },
])

/** The limit is met when the message is added, when it is staged, and by what nobody waited for. */
const fullStore: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = stage(t, ['adder'])
  const host = await hostIn(t, place, { without, set: ['store.max_size=1MiB'] })
  const ask = (id: string, body: string, fields: string[] = []): Promise<string> =>
    host.ask(place.pair({ content: contentOf(id, fields, body) }))
  const half = `${'x'.repeat(76)}\n`.repeat(8000)
  const first = await ask('a', half)
  expect(first === accepted, `the first heard ${JSON.stringify(first)}`)
  for (const [name, body, fields] of [
    ['one more', half, []],
    ['too large alone', half + half, []],
    ['unwaited', 'text', ['X-Forget: yes']],
  ] as const) {
    const heard = await ask(name, body, [...fields])
    expect(/^451 4\.3\.0 /.test(heard), `${name}: heard ${JSON.stringify(heard)}`)
  }
  const small = await ask('small', 'text')
  expect(small === accepted, `afterwards heard ${JSON.stringify(small)}`)
  await host.stop()
  const octets = (await entriesIn(place)).map((entry) => entry.octets)
  expect(octets.length === 2, `there are messages of ${octets.join(', ')} octets`)
  return seen
}
testPromise('R13 a full store is a temporary failure, never an acceptance', fullStore, [
  { without: ['what cannot be added is not accepted'], sees: /^one more: heard "200 / },
])

/** A disk of six megabytes, some of it taken by something that goes away again. */
const fullDisk: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = stage(t, ['adder'])
  const disk = place.at('disk')
  mkdirSync(disk)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'none', disk]).status !== 0)
    throw new Error('no mount')
  try {
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(3 << 20))
    const host = await hostIn(t, place, { without, set: [`store.directory=${join(disk, 'depot')}`] })
    let ids = 0
    const ask = async (): Promise<boolean> => {
      const heard = await host.ask(place.pair({ content: contentOf(`${++ids}`, [], 'x'.repeat(50_000)) }))
      expect(heard === accepted || /^451 4\.3\.0 /.test(heard), `heard ${JSON.stringify(heard)}`)
      return heard === accepted
    }
    const lane = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) await ask()
    }
    await Promise.all([lane(), lane(), lane(), lane()])
    expect(!(await ask()), 'what is full takes more')
    rmSync(join(disk, 'ballast'))
    await until('room', ask, 10_000, 100).catch(() => expect(false, 'with room again it takes nothing'))
    const good = host.log.filter((line) => / settled .* verdict=pass /.test(line)).length
    await host.stop()
    const depot = await openDepot(join(disk, 'depot'))
    const { ready } = await (await depot.queue('mail')).counts()
    await depot.close()
    expect(ready >= good && good > 5, `${good} were accepted and ${ready} are there`)
  } finally {
    spawnSync('umount', ['-l', disk])
  }
  return seen
}
if (process.getuid?.() === 0) {
  testPromise('R13 a full disk is a temporary failure, and room again is found', fullDisk, [
    { without: ['what cannot be added is not accepted'], sees: /were accepted and/ },
  ])
} else t.test('R13 a full disk', { skip: 'only root can mount a small one' }, (t) => t.end())

/** A filter that answers at once while what it adds is on its way to a store that will refuse it. */
const unwaited: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'hasty')
  const source =
    "export async function doFilter(b, c, context) { await 1; void context.queue('nowhere').add(); return '' }"
  place.filter('hasty.mjs', source)
  const host = await hostIn(t, place, { without, set: ['host.deadline=20s'] })
  const heard = await host.ask(place.pair())
  expect(/^451 4\.3\.0 /.test(heard), `heard ${JSON.stringify(heard)}`)
  await host.kill()
  return seen
}
testPromise('R13 what a filter does not wait for counts all the same', unwaited, [
  {
    without: ['what a filter began to add is waited for', 'what is not staged is not published'],
    sees: /^heard "200 /,
  },
])

/** A folder that must not be used, and then may. */
const unopened: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'counter')
  place.filter(
    'counter.mjs',
    "export const doFilter = (b, c, context) => context.ttl('n').increment('k').then(() => '')",
  )
  mkdirSync(place.at('open'))
  chmodSync(place.at('open'), 0o777)
  const host = await hostIn(t, place, { without, set: [`store.directory=${place.at('open')}`] })
  const heard = await host.ask(place.pair())
  expect(/^451 4\.3\.0 /.test(heard), `heard ${JSON.stringify(heard)}`)
  const told = await host.logged(/store-failed/, 2000).catch(String)
  expect(told.includes('can be written by everybody'), `the log says ${told}`)
  chmodSync(place.at('open'), 0o700)
  const later = (): Promise<string> => host.ask(place.pair())
  await until('the store', async () => (await later()) === accepted, 4000, 200).catch(() =>
    expect(false, 'a store that may be used is not'),
  )
  await host.kill()
  return seen
}
testPromise('R19 an unsafe store is refused, with its path, and used when it is mended', unopened, [
  { without: ['a store that could not be opened is tried again'], sees: /^a store that may be used is not/ },
])

const flat: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = stage(t, ['adder'])
  const host = await hostIn(t, place, { without })
  await host.ask(place.pair({ content: contentOf('small') }))
  const pair = place.pair({ content: contentOf('large') })
  const line = `${'x'.repeat(76)}\n`.repeat(13_000)
  const file = openSync(pair.bodyPath, 'a')
  for (let n = 0; n < 80; n++) writeSync(file, line)
  closeSync(file)
  const memory = watchMemory(host.pid)
  const heard = await host.ask(pair)
  const grown = memory.grownBy()
  expect(heard === accepted, `heard ${JSON.stringify(heard)}`)
  expect(grown < 48, `the host grew by ${grown} MiB`)
  await host.stop()
  const octets = (await entriesIn(place)).map((entry) => entry.octets)
  expect((octets[1] ?? 0) > 80_000_000, `there are messages of ${octets.join(', ')} octets`)
  return seen
}
testPromise('R04 a message of 80 MB is stored with flat memory', flat, [
  { without: ['a large message goes through in pieces'], sees: /^the host grew by/ },
])

t.test('an application takes what filters add, while the host runs', async (t) => {
  const place = stage(t, ['adder'])
  const host = await hostIn(t, place, {})
  const depot = await openDepot(place.at('s/depot'))
  const queue = await depot.queue('mail')
  const taken = queue.receive({ waitSeconds: 10 })
  t.equal(await host.ask(place.pair({ content: contentOf('a', ['X-Times: 1']) })), accepted)
  const [delivery] = await taken
  t.match(String(await delivery?.message.bytes()), /^Message-ID: <a@example.com>$/m)
  t.same(delivery?.envelope, { sender: 'sender@example.net', recipients: ['user@example.org'] })
  t.equal(await delivery?.ack(), 'done')
  t.equal(await host.ask(place.pair({ content: contentOf('a', ['X-Times: 1']) })), accepted)
  t.match(await host.logged(/ published .*isNew=false/), 'entry=1', 'what was taken is remembered')
  t.same(await queue.peek(), [], 'and not added again')
  await depot.close()
  await host.stop()
})
