/** Looks over an open depot: whether its tables agree with each other, and its messages with their digests. */
import { createHash } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { storedMessage } from './contents.ts'
import { reading, type Core } from './core.ts'
import type { EntryState } from './depot-types.ts'
import type { ReadView, Table } from './environment.ts'
import { inQueue, numberIn, numberKey, queueKey, startingWith } from './keys.ts'
import { asidePrefix } from './ledger-places.ts'
import { readQueue, splitMessage, type EntryRecord, type QueueRecord } from './tables.ts'

/** What was found. */
export interface CheckResult {
  readonly queues: number
  readonly messages: number
  /** A sentence each, at most a thousand; none where all is well. */
  readonly problems: readonly string[]
}

/** How far to look. */
export interface CheckOptions {
  /** Read every message, and compare it with its digest. */
  readonly withContents?: boolean
  readonly signal?: AbortSignal | null
}

const stepEntries = 200
const maxProblems = 1000
const none: Readonly<Record<EntryState, number>> = { ready: 0, held: 0, delayed: 0, leased: 0, buried: 0, dead: 0 }

/** Looks over a depot, some entries at a time; others may use it meanwhile. Errors: the signal's reason. */
export async function checkDepot(
  core: Core,
  { withContents = false, signal = null }: CheckOptions = {},
): Promise<CheckResult> {
  const { tables } = core.books
  const problems: string[] = []
  const report = (problem: string): void => {
    if (problems.length < maxProblems) problems.push(problem)
  }
  const queues = await reading(core, (view) => view.keys(tables.queues, { ...everything, limit: 1_000_000 }))
  let messages = 0
  for (const key of queues) {
    const queue = key.readUInt32BE(0)
    const before = await reading(core, (view) => readQueue(view, tables, queue))
    if (before === null) continue
    const told = `queue ${before.name}`
    const counted = { ...none, octets: 0 }
    const { before: end } = startingWith(queueKey(queue))
    for (let from = inQueue(queue, 0); ;) {
      signal?.throwIfAborted()
      const found = await reading(core, (view) =>
        view.rows(tables.entries, { from, before: end, limit: stepEntries }).map(({ key: at, value }) => {
          const id = numberIn(at, 4)
          return { id, ...look(view, core, queue, id, value) }
        }),
      )
      for (const { id, entry, content, problem } of found) {
        messages++
        if (problem !== null) report(`${told}, message ${id}: ${problem}`)
        if (entry === null) continue
        counted[entry.state]++
        counted.octets += entry.octets
        if (content === null) continue
        const wrong = await wrongContent(core, entry, content, withContents)
        if (wrong !== null && (await isStill(core, queue, id))) report(`${told}, message ${id}: ${wrong}`)
      }
      const last = found.at(-1)
      if (last === undefined) break
      from = inQueue(queue, last.id + 1)
      await turn()
    }
    const after = await reading(core, (view) => readQueue(view, tables, queue))
    // Numbers mean something only where nobody changed them meanwhile.
    if (JSON.stringify(before) !== JSON.stringify(after)) continue
    for (const [name, number] of Object.entries(counted)) {
      const kept = before[name as keyof QueueRecord]
      if (kept !== number) report(`${told}: ${name} is kept as ${kept}, and is ${number}`)
    }
  }
  return { queues: queues.length, messages, problems }
}

const everything = { from: Buffer.alloc(1), before: Buffer.alloc(8, 0xff) }

/** An entry, its small content, and what is wrong with it in the tables. */
function look(view: ReadView, { books: { tables } }: Core, queue: number, id: number, value: Buffer) {
  let entry: EntryRecord
  let content: Buffer
  try {
    entry = JSON.parse(value.toString()) as EntryRecord
    const message = view.get(tables.messages, inQueue(queue, id))
    if (message === null) return { entry, content: null, problem: 'has no content' }
    ;({ content } = splitMessage(message))
  } catch (error) {
    return { entry: null, content: null, problem: `cannot be read: ${String(error)}` }
  }
  const { state, position, dueMs, file } = entry
  const isAside = state === 'buried' || state === 'dead'
  const isIn = (table: Table, key: Buffer): boolean => view.get(table, key) !== null
  const missing =
    (!isAside && !isIn(tables.line, inQueue(queue, position)) && 'line') ||
    (state === 'ready' && !isIn(tables.ready, inQueue(queue, position)) && 'ready') ||
    ((state === 'leased' || state === 'delayed') && !isIn(tables.later, inQueue(queue, dueMs ?? 0, id)) && 'later') ||
    (isAside && !isIn(tables.aside, Buffer.concat([asidePrefix(queue, state), numberKey(id)])) && 'aside') ||
    (file !== null && !isIn(tables.files, Buffer.from(file)) && 'files')
  return { entry, content, problem: missing === false ? null : `is ${state}, and not in the table ${missing}` }
}

async function wrongContent(core: Core, entry: EntryRecord, content: Buffer, isRead: boolean): Promise<string | null> {
  const { folder } = core.contents
  if (entry.file !== null) {
    const stats = lstatSync(join(folder, entry.file), { throwIfNoEntry: false })
    if (stats === undefined) return `its file ${entry.file} is missing`
    if (stats.size !== entry.octets) return `its file ${entry.file} has ${stats.size} octets, not ${entry.octets}`
  } else if (content.length !== entry.octets) return `has ${content.length} octets, not ${entry.octets}`
  if (!isRead) return null
  const hash = createHash('sha256')
  try {
    for await (const piece of storedMessage(entry, content, folder).stream()) hash.update(piece as Buffer)
  } catch (error) {
    return `cannot be read: ${String(error)}`
  }
  return hash.digest('hex') === entry.digest ? null : 'is not what was added: its digest differs'
}

/** A message that was settled while its content was looked at is no problem. */
async function isStill({ environment, books }: Core, queue: number, id: number): Promise<boolean> {
  return environment.write((view) => view.get(books.tables.entries, inQueue(queue, id)) !== null)
}
