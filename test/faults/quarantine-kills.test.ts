/**
 * R04 and its like: SIGKILL before each operation on the quarantine's files. A message is in the quarantine, whole, before
 * anybody is told that it is; brought again it is kept once; released it comes once, or not at all and is still kept.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readRecipients } from '../../courier-compat/control.ts'
import { namedFile } from '../../courier-compat/quarantine/names.ts'
import { defaultContent, makePair } from '../helpers/pair.ts'
import { nodeOptions } from '../helpers/node-options.ts'
import { makeQuarantineStage, type QuarantineStage } from '../helpers/quarantine-stage.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { inLanes } from './lanes.ts'

t.setTimeout(240_000)

const recipients = ['amy@example.org']
const dayMs = 86_400_000

interface Order {
  readonly act: 'keep' | 'release'
  readonly killAt: number
  readonly without: readonly string[]
  readonly bodyPath?: string
  readonly controlPaths?: readonly string[]
  readonly id?: string
}

interface Outcome {
  readonly isKilled: boolean
  readonly steps: number
}

/** Runs the child on this stage. */
function runChild(stage: QuarantineStage, order: Order): Promise<Outcome> {
  const child = join(import.meta.dirname, 'quarantine-child.mjs')
  const whole = { ...order, dir: stage.dir, outbox: outboxOf(stage), nowMs: stage.nowMs }
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [...nodeOptions(order.without), child, JSON.stringify(whole)],
      { timeout: 60_000 },
      (error, out, err) => {
        if (error === null) resolve({ isKilled: false, steps: Number(out) })
        else if (error.signal === 'SIGKILL') resolve({ isKilled: true, steps: 0 })
        else reject(new Error(`the child failed: ${err}`))
      },
    )
  })
}

const outboxOf = (stage: QuarantineStage): string => join(stage.dir, '../outbox')

/** What the child's mail server was given: notices, and released messages. */
function outbox(stage: QuarantineStage): { readonly notices: number; readonly released: number } {
  const path = outboxOf(stage)
  const texts = existsSync(path) ? readFileSync(path, 'latin1').split('\n').filter(Boolean) : []
  const all = [
    ...texts.map((line) => (JSON.parse(line) as { sender: string }).sender),
    ...stage.sent.map(({ sender }) => sender),
  ]
  const notices = all.filter((sender) => sender === '').length
  return { notices, released: all.length - notices }
}

const at = (step: number): string => `killed at ${step}`

/** Which of so many steps to die before. */
type Choice = (steps: readonly number[]) => readonly number[]

const keepKilled =
  (choose: Choice): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const top = t.testdir()
    const first = makeQuarantineStage(top)
    const { steps } = await runChild(first, { act: 'keep', killAt: 0, without, ...makePair(top, { recipients }) })
    expect(steps > 20, `there are but ${steps} steps`)
    await inLanes(2, choose(Array.from({ length: steps }, (_, index) => index + 1)), async (step) => {
      const stage = makeQuarantineStage(top)
      const pair = makePair(top, { recipients })
      const { isKilled } = await runChild(stage, { act: 'keep', killAt: step, without, ...pair })
      expect(isKilled, `${at(step)}: the steps are not the same for each message`)
      const quarantine = await stage.open()
      const half = await quarantine.list()
      expect(half.problems.length === 0, `${at(step)}: ${half.problems.join()}`)
      const [entry, ...others] = half.entries
      expect(others.length === 0, `${at(step)}: there are two`)
      const isDone = readRecipients(pair.controlPaths).every(({ done }) => done)
      expect(!isDone || entry !== undefined, `${at(step)}: the message is nowhere`)
      if (entry !== undefined) {
        let text = ''
        for await (const piece of (await quarantine.read(entry.id)) ?? [])
          text += Buffer.from(piece as Uint8Array).toString()
        expect(text === defaultContent, `${at(step)}: the message is not whole`)
      }
      // Its sender, who has heard nothing, brings it again.
      const content = defaultContent.replace('12:00:00', '12:10:00')
      const { id, reply } = await quarantine.keep({ ...makePair(top, { recipients, content }), reason: 'harmful' })
      expect(reply === '050 Ok', `${at(step)}: brought again it hears ${reply}`)
      const { entries } = await quarantine.list()
      expect(entries.length === 1 && entries[0]?.id === id, `${at(step)}: brought again there are ${entries.length}`)
      const { notices } = outbox(stage)
      expect(notices === 1 || notices === 2, `${at(step)}: ${notices} notices`)
      stage.nowMs = Date.now() + 2 * dayMs
      await quarantine.purge({ by: 'a test', orphans: true, days: 36_500 })
      const kinds = stage.names().map((name) => namedFile(name).kind)
      expect(!kinds.includes('temporary'), `${at(step)}: something half made stays`)
      const messages = kinds.filter((kind) => kind === 'message').length
      expect(messages === 1, `${at(step)}: ${messages} files of messages`)
    })
    return seen
  }

const releaseKilled =
  (choose: Choice): Check =>
  async (t: Test, without) => {
    const { seen, expect } = createFindings()
    const top = t.testdir()
    const prepare = async (): Promise<{ stage: QuarantineStage; id: string; word: string }> => {
      const stage = makeQuarantineStage(top)
      const { id } = await (await stage.open()).keep({ ...makePair(top, { recipients }), reason: 'harmful' })
      const [word = ''] = stage.wordsFor('amy@example.org')
      stage.sent.length = 0
      return { stage, id: id ?? '', word }
    }
    const first = await prepare()
    const { steps } = await runChild(first.stage, { act: 'release', killAt: 0, without, id: first.id })
    expect(steps > 8, `there are but ${steps} steps`)
    const states = new Set<string>()
    await inLanes(2, choose(Array.from({ length: steps }, (_, index) => index + 1)), async (step) => {
      const { stage, id, word } = await prepare()
      const { isKilled } = await runChild(stage, { act: 'release', killAt: step, without, id })
      expect(isKilled, `${at(step)}: the steps are not the same for each message`)
      const quarantine = await stage.open()
      const state = (await quarantine.show(id))?.recipients[0]?.state ?? 'gone'
      states.add(state)
      const before = outbox(stage).released
      expect(state !== 'held' || before === 0, `${at(step)}: it went out, and is held`)
      expect(state !== 'released' || before === 1, `${at(step)}: it is called released, and went out ${before} times`)
      const request = { word, sender: 'amy@example.org', isAutomatic: false, oldAddresses: false }
      await quarantine.releaseByMail(request)
      await quarantine.releaseByMail(request)
      const after = outbox(stage).released
      expect(
        after === (state === 'held' ? 1 : before),
        `${at(step)}, ${state}: asked for again it went out ${after} times`,
      )
      expect(after <= 1, `${at(step)}: it went out ${after} times`)
      expect((await quarantine.show(id)) !== null, `${at(step)}: it is kept no more`)
    })
    expect(states.size === 3, `only ${[...states].join()} were seen`)
    return seen
  }

const all: Choice = (steps) => steps
const some: Choice = (steps) => steps.filter((step) => step % 3 === 0)

testPromise(
  'R04 a message that is quarantined while the process is killed is kept once, and lost never',
  keepKilled(all),
  [
    {
      without: ['a message is kept before its recipients are completed'],
      sees: /the message is nowhere/,
      check: keepKilled(some),
    },
  ],
)
testPromise('R58 a release that is killed at any step comes once at most', releaseKilled(all), [
  { without: ['a release is noted before it goes out'], sees: /it went out, and is held/, check: releaseKilled(all) },
])
