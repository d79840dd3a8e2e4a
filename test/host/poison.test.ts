/** Messages that kill: known by their content, counted, run alone, and in the end not run any more. */
import { randomBytes } from 'node:crypto'
import fs, { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { digestLimits, digestMessage } from '../../host/message-digest.ts'
import { createPoisonRegistry, maxPoison } from '../../host/runner/poison.ts'
import type { RunResult } from '../../host/runner/ticket.ts'
import type { JobFrame } from '../../host/runner/wire.ts'
import type { FakeRunner, FakeThread } from '../helpers/fake-runner.ts'
import { entriesOf, loadPlan, openRunnerStage, type RunnerStage } from '../helpers/runner-stage.ts'
import { until } from '../helpers/until.ts'

const trace = (id: string): string => `Received: from a.example.net (a [192.0.2.1])\n  by mx.example.org id ${id}\n`
const fields = 'From: <a@example.net>\nDate: Tue, 01 Dec 2026 12:00:00 +0000\nSubject: x\nX-Own: 1\n'
const big = randomBytes(400_000).toString('base64')

t.test('the digest of a message', (t) => {
  const folder = t.testdir({})
  const digest = (content: string | Buffer, sender = 'a@example.net'): string => {
    const path = join(folder, 'D')
    writeFileSync(path, content)
    return digestMessage(path, sender, fs)
  }
  const bodies: readonly [name: string, body: string][] = [
    ['a small body', 'text\n'],
    ['no body', ''],
    ['a body longer than what is read', big],
  ]
  for (const [name, body] of bodies) {
    const first = digest(`${trace('1')}${fields}\n${body}`)
    const same: readonly [what: string, content: string][] = [
      ['other trace fields', `${trace('a much longer id of another attempt')}${trace('2')}${fields}\n${body}`],
      ['no trace fields', `${fields}\n${body}`],
      [
        'a field of each kind that a retry brings',
        `Return-Path: <x>\nDelivered-To: y\nx-original-to: z\n${fields}\n${body}`,
      ],
      ['a signature that was made anew, folded', `DKIM-Signature: v=1;\n\tt=123;\n b=abc\n${fields}\n${body}`],
    ]
    for (const [what, content] of same) t.equal(digest(content), first, `${name}: the same with ${what}`)
    const other: readonly [what: string, content: string][] = [
      ['subject', `${fields.replace('x\n', 'y\n')}\n${body}`],
      ['date', `${fields.replace('2026', '2027')}\n${body}`],
      ['field of its own', `${fields.replace('X-Own: 1', 'X-Own: 2')}\n${body}`],
      ['folded line of a field that stays', `${fields} more\n\n${body}`],
      ['end', `${fields}\n${body}.`],
      ['beginning', `${fields}\n.${body}`],
      ['length', `${fields}\n${body.slice(0, 200_000)}.${body.slice(200_000)}`],
    ]
    for (const [what, content] of other) t.not(digest(content), first, `${name}: another one with another ${what}`)
    t.not(digest(`${fields}\n${body}`, 'b@example.net'), first, `${name}: another one from another sender`)
  }
  const huge = `X-Long: ${'y'.repeat(3 * digestLimits.head)}`
  t.equal(digest(`${trace('1')}${huge}`), digest(`${trace('22')}${huge}`), 'a header section without an end')
  t.not(digest(`${trace('1')}${huge}`), digest(`${trace('1')}${huge}z`), 'of which the end counts')
  t.type(digest(Buffer.from([0, 10, 255, 13, 10])), 'string', 'bytes of any kind')
  t.type(digest(''), 'string', 'an empty file')

  symlinkSync('D', join(folder, 'link'))
  mkdirSync(join(folder, 'folder'))
  for (const name of ['link', 'folder', 'missing']) {
    t.throws(() => digestMessage(join(folder, name), '', fs), `${name} is not read`)
  }

  let octets = 0
  const counted: typeof fs.readSync = (...args: unknown[]) => {
    const count = (fs.readSync as (...all: unknown[]) => number)(...args)
    octets += count
    return count
  }
  writeFileSync(join(folder, 'D'), `${fields}\n${big}${big}${big}`)
  digestMessage(join(folder, 'D'), '', { ...fs, readSync: counted })
  t.ok(octets <= 256 * 1024, 'no more is read of a large one than of a smaller one', { octets })
  t.end()
})

t.test('the registry', (t) => {
  const registry = createPoisonRegistry(() => 1000)
  t.notOk(registry.mayKnow('a'), 'it knows nobody')
  t.same(registry.killed('d', 'a', 'filter', 0), { kills: 1, lastMs: 0, filter: 'filter' })
  t.same(registry.killed('d', 'a', null, 900), { kills: 2, lastMs: 900, filter: null })
  t.ok(registry.mayKnow('a'))
  t.notOk(registry.mayKnow('b'), 'a message of another sender need not be looked at')
  t.equal(registry.find('d', 1899)?.kills, 2, 'remembered from its last kill on')
  t.equal(registry.find('d', 1900), null, 'and then forgotten')
  t.notOk(registry.mayKnow('a'))

  registry.suspected('s', 'a', 2000)
  t.equal(registry.find('s', 2000)?.kills, 0, 'a suspicion is no kill')
  registry.survived('s')
  t.equal(registry.find('s', 2000), null, 'it ends when the message was run')
  registry.killed('s', 'a', null, 2000)
  registry.suspected('s', 'a', 2100)
  registry.survived('s')
  t.equal(registry.find('s', 2200)?.kills, 1, 'a kill is remembered')

  for (let n = 0; n < maxPoison + 10; n++) registry.killed(`d${n}`, `s${n % 5}`, null, 2500)
  t.equal(registry.size, maxPoison, 'it is bounded')
  t.equal(registry.find('s', 2500), null, 'the oldest goes first')
  t.equal(registry.find(`d${maxPoison}`, 2500)?.kills, 1)
  t.equal(registry.find('x', 9000), null)
  t.equal(registry.size, 0)
  t.notOk(registry.mayKnow('s1'), 'and with the messages their senders')
  t.end()
})

const passes = { verdict: { kind: 'pass' }, by: null, failure: null, trail: [], notes: [], stray: false }
const answer = (thread: FakeThread, job: JobFrame): void =>
  thread.send({
    type: 'done',
    results: [{ key: job.key, outcome: { ...passes, rerunWithout: null, undone: false, version: null } }],
  })
const told = async (result: Promise<RunResult>): Promise<string> => {
  const { outcome, failure, attempts } = await result
  return `${failure?.kind ?? 'fine'} ${outcome?.verdict?.kind ?? 'none'} ${attempts}`
}
const alerts = (stage: RunnerStage): string[] =>
  stage.log.filter((line) => line.includes(' poison-message ')).map((line) => line.replace(/^.*poison-message /, ''))

const poisonous = 'From: <sender@example.net>\nSubject: kills\n\ntext\n'
const attempt = (n: number): string => `${trace(`attempt ${n}`)}${poisonous}`

for (const [policy, heard] of [
  ['defer', 'defer'],
  ['pass', 'accept'],
  ['reject', 'reject'],
] as const) {
  t.test(
    `a message that kills its runner is known when it comes again, and then ${policy} is what it hears`,
    async (t) => {
      const poison = { limit: 3, memoryMs: 60_000, answer: policy }
      const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 4, poison })
      const main = await stage.runner(0)
      const thread = main.thread(0)
      await stage.supervisor.ready
      const first = stage.ask(5000, stage.pair(attempt(1)))
      await thread.job(0)
      main.end('SIGSEGV')
      const solo = await stage.runner(1)
      const fresh = (await stage.runner(2)).thread(0)
      await solo.thread(0).job(0)
      solo.end('SIGSEGV')
      t.equal(await told(first), 'runner-lost none 2')
      t.match(
        alerts(stage),
        [/^id=id queueId=.* sender=sender@example\.net kills=2 cause="ended by SIGSEGV"$/],
        'both runners are counted',
      )

      const good = stage.ask()
      const second = stage.ask(5000, stage.pair(attempt(2)))
      answer(fresh, await fresh.job(0))
      t.equal(await told(good), 'fine pass 1', 'others are served as ever')
      const again = (await stage.runner(3)).thread(0)
      t.equal((await again.job(0)).attempt, 1, 'it goes straight to a process of its own')
      t.equal(fresh.jobs.length, 1)
      ;(await stage.runner(3)).end('SIGSEGV')
      t.equal(await told(second), 'runner-lost none 1', 'where it has one attempt')
      t.match(alerts(stage)[1], / kills=3 /)

      const started = stage.started()
      t.equal(await told(stage.ask(5000, stage.pair(attempt(3)))), `poison ${heard} 0`, 'at the limit it is not run')
      t.match(
        alerts(stage)[2],
        new RegExp(` kills=3 cause="it has killed 3 times and is not run any more: ${policy}"$`),
      )
      t.equal(stage.started(), started, 'and no runner is started for it')
      t.equal(started, 4, 'three runners were killed, and as many started in their place')
    },
  )
}

t.test('what is counted as a kill', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 4, chain: loadPlan(entriesOf('e', 'soft')) })
  const main = await stage.runner(0)
  let thread = main.thread(0)
  await stage.supervisor.ready
  const die = (text: string, more: object = {}): void => {
    thread.close()
    main.say({ type: 'thread-gone', slot: 0, text, ...more } as never)
    thread = main.thread(0)
  }
  const blockedOnce = stage.ask(5000, stage.pair('Subject: blocks\n\n'))
  const job = await thread.job(0)
  main.say({ type: 'blocked', slot: 0, job: job.number, filter: 0, afterMs: 2000 })
  die('ended')
  t.equal(await told(blockedOnce), 'blocked none 1')
  t.match(alerts(stage), [/ kills=1 filter=e cause="did not give its thread back/], 'a blocked thread')

  const [exits, beside] = [stage.ask(5000, stage.pair('Subject: exits\n\n')), stage.ask()]
  const exitJob = await thread.job(0)
  await thread.job(1)
  die('process.exit', { job: exitJob.number, filter: 0 })
  const exitAgain = await thread.job(0)
  t.equal(alerts(stage).length, 1, 'once may have been chance')
  die('process.exit', { job: exitAgain.number, filter: 0 })
  t.match(await exits, { attempts: 2, failure: { kind: 'thread-lost', filter: 'e', text: 'process.exit' } })
  t.match(alerts(stage)[1], / kills=2 filter=e cause=process\.exit$/, 'a thread that a filter ended, by its name')
  answer(thread, await thread.job(0))
  t.equal(await told(beside), 'fine pass 2', 'who was beside it is innocent')

  const soft = stage.ask(5000, stage.pair('Subject: soft\n\n'))
  const softJob = await thread.job(1)
  die('process.exit', { job: softJob.number, filter: 1 })
  die('process.exit', { job: (await thread.job(0)).number, filter: 1 })
  const without = await thread.job(0)
  t.same(without.without, [1], 'a filter that may fail is left out')
  answer(thread, without)
  t.equal(await told(soft), 'fine pass 3')
  t.equal(alerts(stage).length, 2, 'and that is no kill: the message has its verdict')

  const [one, two] = [stage.ask(), stage.ask()]
  await thread.job(2)
  die('gone')
  answer(thread, await thread.job(0))
  answer(thread, await thread.job(1))
  t.same(await Promise.all([told(one), told(two)]), ['fine pass 2', 'fine pass 2'])
  t.equal(alerts(stage).length, 2, 'nor is to have been there')
})

t.test('a slow killer among suspects holds nobody up', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 4 })
  const main = await stage.runner(0)
  const thread = main.thread(0)
  await stage.supervisor.ready
  const results = [1, 2, 3, 4].map(() => stage.ask(20_000))
  await thread.job(3)
  main.end('SIGKILL')
  const first = (await stage.runner(1)).thread(0)
  await first.job(0)
  // The first one of all is slow. The main runner is started again beside.
  const others: FakeRunner[] = []
  await until('another solo process', async () => {
    for (let n = others.length + 2; n < stage.started(); n++) others.push(await stage.runner(n))
    return others.length >= 2
  })
  const threads = others.map((runner) => runner.thread(0))
  const second = await until('a thread of the other one', () => threads.find(({ jobs }) => jobs.length > 0))
  for (let n = 0; n < 3; n++) answer(second, await second.job(n))
  t.same(await Promise.all(results.slice(1).map(told)), ['fine pass 2', 'fine pass 2', 'fine pass 2'])
  t.ok(stage.supervisor.lanes().filter(({ name }) => name === 'solo').length <= 3, 'there are few of them')
  answer(first, first.jobs[0] as JobFrame)
  t.equal(await told(results[0] as Promise<RunResult>), 'fine pass 2')
})

t.test('one that kills too slowly to be found out alone in time begins alone the next time', async (t) => {
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 4 })
  const main = await stage.runner(0)
  const thread = main.thread(0)
  await stage.supervisor.ready
  const slow = stage.ask(900, stage.pair(attempt(1)))
  await thread.job(0)
  main.end('SIGKILL')
  const solo = await stage.runner(1)
  const alone = solo.thread(0)
  await alone.job(0)
  await until('it to be given up', () => solo.heard.some(({ type }) => type === 'kill-thread'))
  alone.close()
  solo.say({ type: 'thread-gone', slot: 0, text: 'ended' })
  t.equal(await told(slow), 'deadline none 2')
  t.same(alerts(stage), [], 'it is only suspected')
  const fresh = (await stage.runner(2)).thread(0)
  const next = solo.thread(0)
  await until('it to serve again', () => stage.supervisor.lanes().every(({ serving }) => serving === 1))
  const retried = stage.ask(5000, stage.pair(attempt(2)))
  answer(next, await next.job(0))
  t.equal(await told(retried), 'fine pass 1', 'alone')
  const third = stage.ask(5000, stage.pair(attempt(3)))
  answer(fresh, await fresh.job(0))
  t.equal(await told(third), 'fine pass 1', 'and among others again, once it was found harmless')
})
