/** An import in a process of its own, past the lock: what happens when the lock fails two of them. Says its numbers, and its memory. */
import { readPostOffice } from '../../filters/postoffice/configuration.ts'
import { noFaults } from '../../filters/postoffice/import/faults.ts'
import { importMaildir } from '../../filters/postoffice/import/importer.ts'
import { openImportRecords } from '../../filters/postoffice/import/records.ts'
import { reconcileQueues } from '../../filters/postoffice/import/reconcile.ts'
import { openStoreMemory } from '../../filters/postoffice/store-memory.ts'
import { openDepot } from '../../queue-store/index.ts'

const { configuration } = readPostOffice(process.argv[2] ?? '')
if (configuration === null) throw new Error('the configuration of this test is wrong')
const { store, storePrefix, maildir } = configuration
const depot = await openDepot(store, { pollSeconds: 60 })
const memory = openStoreMemory(depot)
const records = openImportRecords(memory.maps, maildir, storePrefix)
await reconcileQueues(depot, configuration, records)
const silent = (): void => undefined
const report = await importMaildir({
  ...{ maildir, depot, memory, records, rules: configuration, now: Date.now, faults: noFaults },
  log: { message: silent, failure: silent, unusable: silent, progress: silent },
  signal: new AbortController().signal,
})
await memory.close()
await depot.close()
process.stdout.write(`${JSON.stringify({ ...report, mostOctets: process.resourceUsage().maxRSS * 1024 })}\n`)
