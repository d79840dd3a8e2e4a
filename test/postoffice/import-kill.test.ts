/**
 * Imports that die at any step, and imports at the same time: each message is in its queue once, and in the archive once.
 *
 * The controls take away what this hangs on, and show that these tests would see it.
 */
import { execFile } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { importSteps, parseFaults } from '../../filters/postoffice/import/faults.ts'
import type { ImportReport } from '../../filters/postoffice/import/report.ts'
import { openStoreMemory } from '../../filters/postoffice/store-memory.ts'
import { nodeOptions } from '../helpers/node-options.ts'
import { importClockMs, messageText } from './cases-import.ts'
import { makeStage, queueA, type MaildirStage } from './maildir-stage.ts'

const run = promisify(execFile)
const threeDaysMs = 3 * 86_400_000

/** How often each subject is in queue A. */
async function inQueue(stage: MaildirStage): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { facts } of await stage.entries('A')) {
    const id = facts['messageId'] as string
    counts[id] = (counts[id] ?? 0) + 1
  }
  return counts
}

/** Marks of files that are in their queues. */
function marks(stage: MaildirStage): Promise<number> {
  return stage.withDepot(async (depot) => {
    const memory = openStoreMemory(depot)
    const { entries } = await memory.maps.ttlMap('postoffice-done', { ttlMs: 1e11 }).stats()
    await memory.close()
    return entries
  })
}

async function forgetMarks(stage: MaildirStage): Promise<void> {
  await stage.withDepot(async (depot) => {
    const memory = openStoreMemory(depot)
    await memory.maps.ttlMap('postoffice-done', { ttlMs: 1e11 }).clear()
    await memory.close()
  })
}

const names = ['1', '2', '3']
const once = { '<1@sender.example>': 1, '<2@sender.example>': 1, '<3@sender.example>': 1 }

/** An import of three messages that is killed there; `null` where the step was not met. */
async function killed(t: Test, fault: string): Promise<MaildirStage> {
  const stage = makeStage(t)
  for (const name of names) stage.putBase(name)
  const { code, err } = await stage.spawn(['-C', stage.ini], { POSTOFFICE_FAULTS: fault })
  t.equal(code, null, `${fault}: it was killed`)
  t.match(err, `fault ${fault.replace('@', ' ')}\n`, `${fault}: there`)
  return stage
}

/** Messages that are in the queue, and whose files were not moved to the archive yet: how many a batch has depends on the time. */
async function notMoved(stage: MaildirStage): Promise<string[]> {
  const files = stage.files()
  return Object.keys(await inQueue(stage)).filter((id) => files.includes(`new/${id.slice(1, id.indexOf('@'))}`))
}

t.test('R51 killed at each step: the next import, three days later, completes it', async (t) => {
  const points = importSteps.map((step) => `${step}@1`)
  for (const fault of [...points, 'prepared@2', 'moved@2', 'moved@3']) {
    const stage = await killed(t, fault)
    const waiting = await notMoved(stage)
    if (fault === 'committed@1') t.ok(waiting.length > 0, 'some are')
    const { code, recovered } = await stage.import({ nowMs: Date.now() + threeDaysMs })
    t.equal(code, 0)
    t.same(await inQueue(stage), once, `${fault}: each is in the queue once`)
    const files = stage.files()
    t.equal(files.length, 3, `${fault}: each is there once`)
    t.ok(
      files.every((path) => /^\.\d{4}\.\d\d\.\d\d\/new\/[123]$/.test(path)),
      `${fault}: in the archive`,
    )
    t.equal(await marks(stage), 0, `${fault}: no mark is left`)
    t.equal(recovered, waiting.length, `${fault}: what had only to be moved`)
  }
  t.throws(() => parseFaults('gone@1'), 'a step that is gone is no step')
})

t.test('Q23: killed between queue and archive, and run again after three days', async (t) => {
  const stage = await killed(t, 'committed@1')
  t.ok((await notMoved(stage)).length > 0, 'some are in the queue and in the Maildir')
  await stage.import({ nowMs: Date.now() + threeDaysMs })
  t.same(await inQueue(stage), once, 'one entry in total')
  t.equal(stage.files().length, 3, 'one copy')
})

t.test('Q23, control: without the marks there would be two', async (t) => {
  const stage = await killed(t, 'committed@1')
  const queued = await notMoved(stage)
  await forgetMarks(stage)
  await stage.import({ nowMs: Date.now() + threeDaysMs })
  t.same(await inQueue(stage), { ...once, ...Object.fromEntries(queued.map((id) => [id, 2])) })
})

t.test(
  'a file that comes back after it was archived is a message again, when its duplicates are forgotten',
  async (t) => {
    const stage = makeStage(t)
    stage.putBase('1')
    await stage.import()
    stage.putBase('1')
    t.match(await stage.import({ nowMs: importClockMs + threeDaysMs }), { queued: { A: 1 }, recovered: 0 })
  },
)

/** Delivers so many messages. */
function deliver(stage: MaildirStage, count: number): void {
  for (let index = 0; index < count; index++) stage.putBase(`${1_000_000 + index}`)
}

/** Checks that each of so many messages is in the queue once, and in the archive once. */
async function checkOnce(t: Test, stage: MaildirStage, count: number): Promise<void> {
  const counts = await inQueue(stage)
  t.equal(Object.keys(counts).length, count, 'each message is in the queue')
  t.ok(
    Object.values(counts).every((times) => times === 1),
    'once',
  )
  const files = stage.files()
  t.equal(files.length, count, 'and once in the archive')
  t.ok(files.every((path) => path.startsWith('.20')))
  t.equal(await marks(stage), 0)
}

t.test('Q27: two importers at the same time', async (t) => {
  const stage = makeStage(t)
  deliver(stage, 1000)
  const said = await Promise.all([1, 2].map(() => stage.spawn(['-C', stage.ini, '-v'])))
  t.same(
    said.map(({ code }) => code),
    [0, 0],
  )
  await checkOnce(t, stage, 1000)
})

t.test('Q27: two importers at the same time that no lock keeps apart', async (t) => {
  const stage = makeStage(t)
  // Nothing is a duplicate: the files alone say what is new.
  stage.configure(`duplicate_window = 0s\n${queueA}`)
  deliver(stage, 1000)
  const child = join(import.meta.dirname, 'import-child.ts')
  const said = await Promise.all([1, 2].map(() => run(process.execPath, [...nodeOptions(), child, stage.ini])))
  const reports = said.map(({ stdout }) => JSON.parse(stdout) as ImportReport)
  const added = reports.map(({ queued }) => queued['A'] ?? 0)
  t.equal((added[0] ?? 0) + (added[1] ?? 0), 1000, `${added.join(' and ')} were added`)
  await checkOnce(t, stage, 1000)
})

t.test('a lock that a killed import has left keeps nobody out', async (t) => {
  const stage = await killed(t, 'listed@1')
  t.ok(statSync(join(stage.maildir, 'postoffice.lock')).isFile(), 'it is there')
  const said = await stage.spawn(['-C', stage.ini, '-v'])
  t.match(said, { code: 0, err: /Processed 3 messages\./ })
  t.notOk(statSync(join(stage.maildir, 'postoffice.lock'), { throwIfNoEntry: false }))
})

/** The most memory that an import of one message took, in MiB. */
async function memoryFor(t: Test, octets: number): Promise<number> {
  const stage = makeStage(t)
  stage.configure('[queue:A]\nfilters =\n  to_hostname: example.com\n  body_regexp: ^x\n')
  const file = openSync(stage.put('1', ''), 'w')
  writeSync(file, messageText({ body: 'x\n' }))
  ftruncateSync(file, octets)
  closeSync(file)
  const child = join(import.meta.dirname, 'import-child.ts')
  const { stdout } = await run(process.execPath, [...nodeOptions(), child, stage.ini])
  const report = JSON.parse(stdout) as ImportReport & { mostOctets: number }
  t.match(report, { queued: { A: 1 }, failed: 0 })
  const [entry] = await stage.entries('A')
  t.equal(entry?.octets, octets)
  return report.mostOctets / 1024 ** 2
}

t.test('a message of 200 MB takes hardly more memory than one of 2 KB', async (t) => {
  const small = await memoryFor(t, 2000)
  const large = await memoryFor(t, 200_000_000)
  t.ok(large - small < 32, `${Math.round(small)} and ${Math.round(large)} MiB`)
})
