/** Adding messages and asking TTL maps in one transaction. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openDepot, type Decision, type Staged } from '../../queue-store/index.ts'
import { depotPort, openTtlMaps } from '../../queue-store/ttl/index.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { until } from '../helpers/until.ts'

const day = 86_400_000

t.test('what is decided about staged messages happens with their adding, or not at all', async (t) => {
  const directory = join(memoryFolder(t), 'depot')
  const depot = await openDepot(directory, { insideOctets: 100, pollSeconds: 60 })
  const maps = openTtlMaps(depotPort(depot.core.environment), { sweep: null })
  const seen = maps.ttlMap('seen', { ttlMs: day })
  const queue = await depot.makeQueue('in')
  const stage = (name: string, octets = 10): Promise<Staged> =>
    depot.stage({ queue: 'in', message: Buffer.alloc(octets, name), facts: { name, staged: true } })
  const files = (): number => readdirSync(join(directory, 'messages')).length
  /** Adds those whose name was not seen. */
  const publish = (staged: readonly Staged[], names: readonly string[], fail = false) =>
    depot.publishWith(staged, maps, (apply) => {
      const decisions = names.map((key): Decision => {
        const [{ isNew }] = apply([{ op: 'firstSeen', map: 'seen', key, value: null }])
        return isNew ? { facts: { name: key, decided: true } } : null
      })
      if (fail) throw new RangeError('on purpose')
      return decisions
    })

  const names = ['a', 'b', 'a', 'large', 'large']
  const staged = await Promise.all(names.map((name) => stage(name, name === 'large' ? 5000 : 10)))
  t.equal(files(), 2, 'the content of large ones is in files')
  const added = await publish(staged, names)
  t.same(
    added.map((one) => one?.isNew ?? null),
    [true, true, null, true, null],
    'one that comes later in the list sees those before it',
  )
  t.same(
    (await queue.peek({ max: 10 })).map(({ facts }) => facts),
    [
      { name: 'a', decided: true },
      { name: 'b', decided: true },
      { name: 'large', decided: true },
    ],
    'with the facts that were decided',
  )
  await until('the file of the one that was not added is gone', () => files() === 1)

  const failing = [await stage('c'), await stage('d', 5000)]
  await t.rejects(publish(failing, ['c', 'd'], true), RangeError)
  t.equal(await seen.has('c'), false, 'what was remembered is undone')
  t.equal((await queue.counts()).ready, 3, 'nothing was added')
  await until('its file is gone', () => files() === 1)
  await t.rejects(publish(failing, ['c', 'd']), TypeError, 'a staged message is published once')

  const unknown = [await stage('e')]
  await t.rejects(
    depot.publishWith(unknown, maps, (apply) => {
      apply([{ op: 'get', map: 'never opened', key: 'k' }])
      return [null]
    }),
    { code: 'TTL_MAP_UNKNOWN' },
  )
  t.same(
    await depot.publishWith([], maps, (apply) => (apply([{ op: 'set', map: 'seen', key: 'z', value: 1 }]), [])),
    [],
  )
  t.equal((await seen.get('z'))?.value, 1, 'without messages it is a transaction on the maps')
  t.same(await depot.publishWith([await stage('f')], maps, () => []), [null], 'what is not decided about is not added')
  await maps.close()
  await depot.close()
})
