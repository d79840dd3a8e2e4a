/** How runners are watched, held to their memory, recycled, and ended with all that came from them. */
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { PassThrough, Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { findOwnGroups, groupMembers, keyedNumber } from '../../host/platform/cgroup-paths.ts'
import { systemClock } from '../../host/platform/clock.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { carriesMark, parseStatm, systemProcesses, type Processes } from '../../host/platform/processes.ts'
import type { Spawner } from '../../host/platform/spawner.ts'
import { runnerVariable } from '../../host/runner/environment.ts'
import type { LineServer } from '../../host/runner/line-server.ts'
import { memoryLimits } from '../../host/runner/memory-limits.ts'
import { createRecycleJudge } from '../../host/runner/recycling.ts'
import { startRunner, type RunnerEvents } from '../../host/runner/runner.ts'
import type { RunResult } from '../../host/runner/ticket.ts'
import type { ControlDown, JobFrame } from '../../host/runner/wire.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import type { FakeThread } from '../helpers/fake-runner.ts'
import { entriesOf, loadPlan, openRunnerStage } from '../helpers/runner-stage.ts'
import { until } from '../helpers/until.ts'

const mebi = 1024 * 1024

t.test('how much memory a runner may use', (t) => {
  const open = { threads: 2, maxHeap: 256 * mebi, maxMemory: null, recycleMemory: null }
  const rows: readonly [
    what: string,
    settings: Partial<typeof open> | object,
    machine: number,
    max: number,
    recycle: number,
  ][] = [
    ['by default what its threads may use, and most of one heap', {}, 16_384, 896, 352],
    ['three quarters of a small machine', {}, 1024, 768, 352],
    ['not less than a runner needs', {}, 128, 256, 230],
    ['with many threads more', { threads: 16 }, 65_536, 5376, 1024],
    ['what is set', { maxMemory: 500 * mebi, recycleMemory: 300 * mebi }, 16_384, 500, 300],
    ['what is set, however large', { maxMemory: 5000 * mebi }, 1024, 5000, 352],
    ['recycled before it is ended', { maxMemory: 200 * mebi, recycleMemory: 300 * mebi }, 16_384, 200, 180],
  ]
  for (const [what, settings, machine, max, recycle] of rows) {
    const { maxOctets, recycleOctets } = memoryLimits({ ...open, ...settings }, machine * mebi)
    t.same(
      [maxOctets, recycleOctets].map((octets) => Math.floor(octets / mebi)),
      [max, recycle],
      what,
    )
  }
  t.end()
})

t.test('when a runner is recycled', (t) => {
  let limits = { maxMessages: 10, memoryOctets: 100 }
  const judge = createRecycleJudge(() => limits)
  const at = (ms: number) => () => ms
  t.equal(judge.afterMessage(9, at(0)), null)
  t.equal(judge.afterMessage(10, at(0)), 'messages', 'after so many messages')
  t.equal(judge.afterLook(60, 0), null, 'small as it is')
  t.equal(judge.afterLook(100, 0), null, 'at the limit')
  t.equal(judge.afterLook(101, 0), 'memory', 'above it')
  judge.failed(1000)
  t.equal(judge.afterMessage(11, at(1999)), null, 'not while a failed start is just over')
  t.equal(judge.afterLook(200, 1999), null)
  t.equal(judge.afterMessage(11, at(2000)), 'messages')
  judge.failed(2000)
  t.equal(judge.afterLook(200, 3999), null, 'later and later')
  t.equal(judge.afterLook(200, 4000), 'memory')
  for (let n = 0; n < 20; n++) judge.failed(5000)
  t.equal(judge.afterLook(200, 64_999), null)
  t.equal(judge.afterLook(200, 65_000), 'memory', 'at least once a minute')

  judge.replaced(70_000, 400)
  t.equal(judge.afterMessage(99, at(73_999)), null, 'the processor is not spent on loading filters')
  t.equal(judge.afterLook(90, 74_000), null)
  t.equal(judge.afterLook(134, 74_000), null, 'one that was as large when it was fresh is left in peace')
  t.equal(judge.afterLook(136, 74_000), 'memory', 'until it has grown by half')
  limits = { maxMessages: 0, memoryOctets: 1e9 }
  t.equal(judge.afterMessage(1e9, at(1e9)), null, '0 is never')
  t.end()
})

t.test('what the system tells', (t) => {
  t.equal(parseStatm('1000 25 3 4 0 5 0\n'), 25 * 4096)
  t.equal(parseStatm(''), null)
  const mark = { variable: 'M', value: 'a.1' }
  for (const [environment, carries] of [
    ['M=a.1\0', true],
    ['X=1\0M=a.1\0Y=2\0', true],
    ['XM=a.1\0', false],
    ['M=a.12\0', false],
    ['X=M=a.1\0', false],
    ['', false],
  ] as const) {
    t.equal(carriesMark(environment, mark), carries, JSON.stringify(environment))
  }
  t.ok(carriesMark('M=a.12\0', { ...mark, value: 'a.*' }), 'a mark that ends in * is the beginning of one')

  const mount = (root: string, place: string, kind: string): string =>
    `35 31 0:32 ${root} ${place} rw,relatime - ${kind}`
  const rows: readonly [
    what: string,
    cgroup: string,
    mounts: readonly string[],
    unified: string | null,
    memory: string | null,
  ][] = [
    ['version 2', '0::/a/b\n', [mount('/', '/sys/fs/cgroup', 'cgroup2 cgroup2 rw')], '/sys/fs/cgroup/a/b', null],
    ['the root of version 2', '0::/\n', [mount('/', '/c', 'cgroup2 cgroup2 rw')], '/c', null],
    [
      'version 1',
      '9:cpu,cpuacct:/x\n4:memory:/m/n\n',
      [mount('/', '/c/memory', 'cgroup cgroup rw,memory')],
      null,
      '/c/memory/m/n',
    ],
    [
      'both',
      '4:memory:/m\n1:name=systemd:/\n0::/u\n',
      [mount('/', '/c/memory', 'cgroup cgroup rw,memory'), mount('/', '/c/unified', 'cgroup2 none rw')],
      '/c/unified/u',
      '/c/memory/m',
    ],
    [
      'a mount that shows a part',
      '4:memory:/docker/1/x\n',
      [mount('/docker/1', '/c', 'cgroup cgroup rw,memory')],
      null,
      '/c/x',
    ],
    ['a mount that does not show us', '0::/other\n', [mount('/docker/1', '/c', 'cgroup2 none rw')], null, null],
    ['outside of what we may see', '0::/../x\n', [mount('/', '/c', 'cgroup2 none rw')], null, null],
    ['another controller', '4:memory:/m\n', [mount('/', '/c', 'cgroup cgroup rw,cpu')], null, null],
    ['a place with a blank', '0::/a\n', [mount('/', '/c\\040d', 'cgroup2 none rw')], '/c d/a', null],
    ['nothing', '', [], null, null],
  ]
  for (const [what, cgroup, mounts, unified, memory] of rows) {
    t.same(findOwnGroups(cgroup, mounts.join('\n')), { unified, memory }, what)
  }
  t.equal(keyedNumber('low 0\noom 2\noom_kill 3\n', 'oom_kill'), 3)
  t.equal(keyedNumber('', 'oom_kill'), 0)
  t.same(groupMembers('12\n345\n'), [12, 345])
  t.end()
})

/** A runner whose process answers as the test says, on a clock that the test moves. */
function watched(t: Test, maxMemoryOctets = 1000) {
  const clock = makeClock()
  const child = Object.assign(new EventEmitter(), {
    ...{ pid: 4242, stdin: null, stdout: null, stderr: null, kill: () => true },
  })
  const heard: ControlDown[] = []
  let answers = true
  const control: Duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      for (const line of chunk.toString().trim().split('\n')) {
        const frame = JSON.parse(line) as ControlDown
        heard.push(frame)
        if (frame.type === 'ping' && answers)
          control.push(`${JSON.stringify({ type: 'pong', number: frame.number })}\n`)
      }
      done()
    },
  })
  const killed: number[] = []
  const memory = new Map([[4242, 100]])
  const ended: string[] = []
  const state = { busy: true, memory, killed, children: [] as number[], ended, environment: {} as NodeJS.ProcessEnv }
  const processes: Processes = {
    memoryOf: (pid) => memory.get(pid) ?? null,
    descendantsOf: () => state.children,
    kill: (pid) => {
      killed.push(pid)
      if (pid === -4242) child.emit('exit', null, 'SIGKILL')
      return true
    },
    endMarked: () => Promise.resolve(),
  }
  const events: RunnerEvents = {
    ...{ frame: () => undefined, lineClosed: () => undefined, stalled: () => undefined, blocked: () => undefined },
    ...{ threadGone: () => undefined, stuck: () => undefined, output: () => undefined, memory: () => undefined },
    ended: (cause) => ended.push(cause),
    isBusy: () => state.busy,
  }
  const spawner: Spawner = (_program, _args, env) => {
    state.environment = env
    return Object.assign(child, { stdio: [null, new PassThrough(), null, control] }) as unknown as ReturnType<Spawner>
  }
  const server: LineServer = { path: '/x', register: () => () => undefined, close: () => undefined }
  const start = {
    threads: 1,
    maxHeapOctets: 1,
    chain: loadPlan(entriesOf('e')),
    blockedLimitMs: 1,
    linesPerSecond: 1,
    faults: '',
  }
  const runner = startRunner(
    start,
    { maxMemoryOctets, cgroups: null },
    server,
    { ...systemPlatform, clock, spawner, processes },
    events,
  )
  t.teardown(() => runner.kill())
  const pings = (): number => heard.filter(({ type }) => type === 'ping').length
  const pingsIn = async (ms: number): Promise<number> => {
    const before = pings()
    await clock.advance(ms)
    return pings() - before
  }
  return { clock, runner, state, pingsIn, freeze: () => (answers = false), thaw: () => (answers = true) }
}

t.test('a runner that stands still is ended', async (t) => {
  const rows: readonly [what: string, prepare: (it: ReturnType<typeof watched>) => Promise<void>, withinMs: number][] =
    [
      ['with messages in hand', ({ clock }) => clock.advance(10_000), 3500],
      [
        'at rest',
        ({ clock, state }) => {
          state.busy = false
          return clock.advance(60_000)
        },
        13_000,
      ],
      [
        'before it has ever answered',
        ({ freeze }) => {
          freeze()
          return Promise.resolve()
        },
        11_000,
      ],
    ]
  for (const [what, prepare, withinMs] of rows) {
    const it = watched(t)
    await prepare(it)
    t.same(it.state.ended, [], `${what}: as long as it answers it lives`)
    it.freeze()
    await it.clock.advance(withinMs)
    t.match(it.state.ended, [/^ended by SIGKILL: heartbeat \(/], `${what}: it is noticed, and told why`)
  }
})

t.test('a runner that stands still is not ended for what the host missed', async (t) => {
  const it = watched(t)
  await it.clock.advance(5000)
  it.freeze()
  await it.clock.advance(2000)
  // The host itself stands still, and the runner's answers wait to be read.
  it.clock.pass(60_000)
  it.thaw()
  await it.clock.advance(10_000)
  t.same(it.state.ended, [])
})

t.test('at rest it is left in peace, and the first message wakes it', async (t) => {
  const it = watched(t)
  await it.clock.advance(10_000)
  t.ok((await it.pingsIn(10_000)) >= 19, 'twice a second while there are messages')
  it.state.busy = false
  await it.clock.advance(10_000)
  t.ok((await it.pingsIn(60_000)) <= 12, 'every five seconds at rest')
  t.ok(it.clock.timers() <= 1, 'by one timer')
  it.state.busy = true
  it.runner.send(0, [])
  t.equal(await it.pingsIn(1), 1, 'at once')
  t.ok((await it.pingsIn(5000)) >= 9, 'and at full pace from then on')
})

t.test('a runner that uses too much is ended with what its filters started', async (t) => {
  const it = watched(t, 1000)
  await it.clock.advance(2000)
  t.equal(it.runner.memoryOctets, 100)
  it.state.children = [5001, 5002]
  it.state.memory.set(5001, 400).set(5002, 500)
  await it.clock.advance(1500)
  t.same(it.state.ended, [], 'at the limit')
  it.state.memory.set(5002, 501)
  await it.clock.advance(1500)
  t.match(it.state.ended, [/^ended by SIGKILL: memory \(/], 'above')
  t.same([...new Set(it.state.killed)].sort(), [-4242, 5001, 5002].sort(), 'the group, and those that left it')
  t.match(it.state.environment[runnerVariable], /^[0-9a-f]{12}\.[0-9]+-[0-9]+\.[0-9a-f]{12}$/, 'it carries a mark')
})

t.test('whatever a process has started can be found and ended', async (t) => {
  const mark = { variable: 'NODEFILTER_TEST_MARK', value: `${process.pid}` }
  // One in its group, one that has left it, one whose parent is gone as well.
  const script = 'sleep 600 & setsid sleep 600 & (setsid sleep 600 &) ; echo ready; wait'
  const child = spawn('sh', ['-c', script], {
    detached: true,
    env: { PATH: process.env['PATH'], [mark.variable]: mark.value },
  })
  const pid = child.pid ?? 0
  t.teardown(() => void systemProcesses.kill(-pid))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  t.ok((systemProcesses.memoryOf(pid) ?? 0) > 0, 'its memory is known')
  await until('its descendants', () => systemProcesses.descendantsOf(pid).length === 2)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  await systemProcesses.endMarked(mark, systemClock, 5000, `${process.pid}`)
  t.equal(child.signalCode, null, 'those of a running host are spared')
  await systemProcesses.endMarked(mark, systemClock, 5000)
  await exited
  t.equal(child.signalCode, 'SIGKILL')
  t.same(systemProcesses.descendantsOf(pid), [])
  t.equal(systemProcesses.memoryOf(pid), null)
  await until('nobody to be left in its group', () => !systemProcesses.kill(-pid))
})

const passes = { verdict: { kind: 'pass' }, by: null, failure: null, trail: [], notes: [], stray: false }
const answer = (thread: FakeThread, job: JobFrame): void =>
  thread.send({
    type: 'done',
    results: [{ key: job.key, outcome: { ...passes, rerunWithout: null, undone: false, version: null } }],
  })
const told = async (result: Promise<RunResult>): Promise<string> => {
  const { outcome, failure, attempts } = await result
  return `${failure?.kind ?? outcome?.verdict?.kind ?? 'nothing'} ${attempts}`
}

t.test('a runner that has answered enough is replaced without a gap', async (t) => {
  const recycle = { maxMessages: 2, memoryOctets: 1e9 }
  const stage = await openRunnerStage(t, { threads: 1, messagesPerThread: 2, recycle })
  const old = await stage.runner(0)
  const thread = old.thread(0)
  await stage.supervisor.ready
  const asked = [stage.ask(), stage.ask()]
  const held = stage.ask(70_000)
  for (const n of [0, 1]) answer(thread, await thread.job(n))
  t.same(await Promise.all(asked.map(told)), ['pass 1', 'pass 1'])

  const broken = await stage.runner(1)
  const problem = { file: 'f', line: 1, text: 'does not load', cure: null }
  broken.thread(0, { loads: false }).send({ type: 'broken', problems: [problem] })
  await until('the failed start to be told', () =>
    stage.log.some((line) => / recycle-failed .*does not load/.test(line)),
  )
  t.notOk(thread.isLeaving(), 'a successor that cannot be started changes nothing')
  const between = stage.ask()
  answer(thread, await thread.job(3))
  t.equal(await told(between), 'pass 1', 'the old one serves on')

  // After the pause the next answer asks again.
  const more: Promise<RunResult>[] = []
  let jobs = 4
  await until(
    'another start',
    async () => {
      more.push(stage.ask())
      answer(thread, await thread.job(jobs++))
      return stage.started() > 2
    },
    5000,
    100,
  )
  const fresh = (await stage.runner(2)).thread(0)
  await until('the old thread to be told to leave', () => thread.isLeaving())
  const late = stage.ask()
  answer(fresh, await fresh.job(0))
  t.equal(await told(late), 'pass 1', 'the successor takes what comes')
  t.match(
    await Promise.all(more.map(told)),
    more.map(() => 'pass 1'),
  )
  t.match(
    stage.supervisor.lanes().map(({ role, recycled, answered }) => ({ role, recycled, answered })),
    [{ role: 'finishing' }, { role: 'serving', recycled: { messages: 1, memory: 0 }, answered: 1 }],
  )
  t.equal(stage.log.filter((line) => line.includes(' recycle-failed ')).length, 1, 'a failure is told once')
  t.equal(stage.log.filter((line) => / runner-recycled .*reason=messages/.test(line)).length, 1)
  answer(thread, await thread.job(2))
  t.equal(await told(held), 'pass 1', 'what the old one had in hand it finishes')
  old.end('SIGTERM')
  await until('it to be gone', () => stage.supervisor.lanes().length === 1)
})

t.test('a reload and a stop overtake a recycling', async (t) => {
  const recycle = { maxMessages: 1, memoryOctets: 1e9 }
  const stage = await openRunnerStage(t, { threads: 1, recycle })
  const thread = (await stage.runner(0)).thread(0)
  await stage.supervisor.ready
  const first = stage.ask()
  answer(thread, await thread.job(0))
  t.equal(await told(first), 'pass 1')
  const successor = await stage.runner(1)
  const replaced = stage.supervisor.replace(stage.plan)
  const taker = (await stage.runner(2)).thread(0)
  t.match(await replaced, { kind: 'serving' })
  successor.thread(0)
  const next = stage.ask()
  answer(taker, await taker.job(0))
  t.equal(await told(next), 'pass 1', 'the new plan serves, not the fresh runner of the old one')
  successor.end('SIGKILL')
})

for (const [without, ended] of [
  [[], false],
  [['a deadline that the host missed is judged anew'], true],
] as const) {
  const name = 'R66 an answer that was given in time counts, though the host stood still at its deadline'
  t.test(`${name} (without: ${without.join() || 'nothing'})`, async (t) => {
    const stage = await openRunnerStage(t, { threads: 1 }, without)
    const runner = await stage.runner(0)
    const thread = runner.thread(0)
    await stage.supervisor.ready
    const result = stage.ask(200)
    const job = await thread.job(0)
    // Of what is ready after this, timers come first: the answer is read after the deadline's.
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        answer(thread, job)
        const untilMs = performance.now() + 2000
        while (performance.now() < untilMs);
        resolve()
      })
    })
    t.equal(await told(result), 'pass 1')
    const isEnded = runner.heard.some(({ type }) => type === 'kill-thread')
    t.equal(isEnded, ended, 'its thread, with all who are in it, is ended only without the protection')
  })
}
