/** The bundled filters leave nothing behind in their thread: threads that run no others are not looked over. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runChain } from '../../host/chain/chain.ts'
import { bundledFilters, isBundled, loadChain } from '../../host/chain/loader.ts'
import { parseList } from '../../host/chain/list.ts'
import { editTools } from '../../host/edits.ts'
import { systemClock } from '../../host/platform/clock.ts'
import { systemFiles } from '../../host/platform/files.ts'
import { watchRealm } from '../../host/runner/realm-watch.ts'
import { memoryPort } from '../../host/store/direct-port.ts'
import { portMaps, setupStores } from '../../host/store/filter-stores.ts'
import { makeCourierFolder, settingE0 } from '../helpers/courier-folder.ts'
import { makePair } from '../helpers/pair.ts'

// `python` needs an installation; what it runs in its process is another matter.
const names = readdirSync(bundledFilters, { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'python.ts')
  .map(({ name }) => name.replace(/\.ts$/, ''))

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

t.test('the bundled filters leave nothing behind', async (t) => {
  t.ok(names.length >= 9, `there are ${names.length}`)
  const own = process.env['sysconfdir']
  process.env['sysconfdir'] = makeCourierFolder(t.testdir(), settingE0)
  t.teardown(() => {
    if (own === undefined) delete process.env['sysconfdir']
    else process.env['sysconfdir'] = own
  })
  // The one that does nothing without a file of its own; no message of this test is for its queue.
  const ini = join(import.meta.dirname, '../../examples/postoffice/postoffice.ini')
  const lines = names.map((name) => (name === 'postoffice' ? `${name} with ini=${ini}` : name))
  const { entries } = parseList(`${lines.join('\n')}\n`, 'filters.conf', 'nodefilter')
  const port = memoryPort()
  const chain = await loadChain(
    {
      ...{ entries, filterPath: [], modules: { defaults: [], sections: [] }, modulePaths: [], timeLimitMs: 30_000 },
      stateDirectory: t.testdirName,
    },
    () => silent,
    setupStores(port, portMaps(port)),
  )
  if ('problems' in chain) throw new Error(JSON.stringify(chain.problems))
  t.ok(
    chain.described.every(({ file }) => isBundled(file)),
    'they are told from others by their files',
  )
  t.notOk(isBundled(join(t.testdirName, 'noduplicates.ts')), 'and a filter of the same name elsewhere is none')
  const realm = watchRealm()
  for (let count = 0; count < 3; count++) {
    const pair = makePair(t.testdirName, { content: 'Received: by a\nDelivered-To: user@elsewhere.example\n\ntext\n' })
    const outcome = await runChain(
      chain.filters,
      {
        ...{ pair, messageId: 'M1', attempt: 1, leftMs: 60_000, without: [] },
        ...{ contents: null, mark: null, cpuMs: null },
      },
      {
        ...{ monotonicMs: () => performance.now(), cpuMs: () => null, after: systemClock.after, logFor: () => silent },
        ...{ enter: () => undefined, leave: () => undefined, ...editTools(systemFiles) },
      },
    )
    t.equal(outcome.failure, null)
    t.ok(outcome.trail.length > 3, `${outcome.trail.length} of them ran`)
    t.equal(realm.deepLook(), null)
  }
  await chain.close(() => undefined)
})
