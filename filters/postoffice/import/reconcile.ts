/**
 * Makes the depot's queues those of the configuration: what is missing is made, what is no longer configured goes, if it may.
 *
 * Source: spec postoffice 10. A queue goes only where `prune_queues` says so, where it holds nothing in whatever state, and where it is one
 * that this configuration had: other programs have queues in the depot, too.
 */
import { isDepotError, type Depot, type QueueSettings } from '../../../queue-store/index.ts'
import type { PostofficeSettings } from '../configuration.ts'
import type { ImportRecords } from './records.ts'

/** What was done, or is to be looked at. */
export interface Reconciled {
  readonly event: 'queue-created' | 'queue-removed' | 'queue-kept' | 'queue-order'
  readonly level: 'info' | 'warn'
  readonly queue: string
  readonly text: string
}

/** Reconciles; tells what it did. Errors: DepotError. */
export async function reconcileQueues(
  depot: Depot,
  { queues, pruneQueues }: Pick<PostofficeSettings, 'queues' | 'pruneQueues'>,
  records: ImportRecords,
): Promise<Reconciled[]> {
  const told: Reconciled[] = []
  const before = new Set(await depot.queues())
  for (const { name, order, maxDeliveries } of queues) {
    const settings: Partial<QueueSettings> = maxDeliveries === null ? {} : { maxDeliveries }
    try {
      await depot.makeQueue(name, order === null ? settings : { ...settings, order })
    } catch (error) {
      if (!isDepotError(error, 'QUEUE_NOT_EMPTY')) throw error
      await depot.makeQueue(name, settings)
      const text = `Queue ${name} keeps its order: it is changed only while the queue is empty`
      told.push({ event: 'queue-order', level: 'warn', queue: name, text })
    }
    await records.noteQueue(name)
    if (!before.has(name)) {
      told.push({ event: 'queue-created', level: 'info', queue: name, text: `Created queue ${name}` })
    }
  }
  const configured = new Set(queues.map(({ name }) => name))
  for (const name of before) {
    if (configured.has(name) || !(await records.isNotedQueue(name))) continue
    const outcome = await removeOrKeep(depot, name, pruneQueues)
    if (outcome === null) continue
    if (outcome.event === 'queue-removed') await records.forgetQueue(name)
    told.push(outcome)
  }
  return told
}

async function removeOrKeep(depot: Depot, name: string, isAllowed: boolean): Promise<Reconciled | null> {
  if (isAllowed) {
    try {
      await depot.removeQueue(name)
      return { event: 'queue-removed', level: 'info', queue: name, text: `Removed queue ${name}` }
    } catch (error) {
      if (!isDepotError(error, 'QUEUE_NOT_EMPTY')) throw error
    }
  }
  const counts = await (await depot.queue(name)).counts()
  const { ready, held, delayed, leased, buried, dead } = counts
  const left = ready + held + delayed + leased + buried + dead
  if (left === 0) return null
  const text = `Queue ${name} is no longer configured, and still has ${left} ${left === 1 ? 'message' : 'messages'}`
  return { event: 'queue-kept', level: 'warn', queue: name, text }
}
