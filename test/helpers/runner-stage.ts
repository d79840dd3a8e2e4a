/** A supervisor in this process, with runners that a test plays (`fake-runner.ts`). */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { noModuleConfig } from '../../courier-compat/module-config/merge.ts'
import type { ChainEntry } from '../../host/chain/list.ts'
import type { LoadPlan } from '../../host/chain/loader.ts'
import { createEvents } from '../../host/observe/events.ts'
import { textLine } from '../../host/observe/line-format.ts'
import { openPair, openSpool, type OpenedPair } from '../../host/pair.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import type * as lineServerModule from '../../host/runner/line-server.ts'
import type * as supervisorModule from '../../host/runner/supervisor.ts'
import type { Supervisor, SupervisorPlan } from '../../host/runner/supervisor.ts'
import type { RunResult } from '../../host/runner/ticket.ts'
import { noStores, type Stores } from '../../host/store/stores.ts'
import { fakeRunners, type FakeRunner } from './fake-runner.ts'
import { makePair } from './pair.ts'
import { importWithout } from './without.mjs'

/** The stage. */
export interface RunnerStage {
  readonly supervisor: Supervisor
  readonly log: string[]
  /** Waits for the n-th runner that was started, counted from 0. */
  readonly runner: (n: number) => Promise<FakeRunner>
  /** How many were started. */
  readonly started: () => number
  /** A pair in the spool; each is another message unless its content is handed in. */
  readonly pair: (content?: string) => OpenedPair
  /** Runs a message, with so much time left. */
  readonly ask: (limitMs?: number, pair?: OpenedPair) => Promise<RunResult>
  readonly plan: SupervisorPlan
}

/** A list of filters by their aliases; `soft` ones have `on_error = pass`. */
export function entriesOf(...aliases: readonly string[]): ChainEntry[] {
  return aliases.map((alias, index) => ({
    ...{ name: alias, alias, skips: [], onError: alias.startsWith('soft') ? 'pass' : null, timeLimitMs: null },
    ...{ dryRun: false, rerun: true, settings: {}, file: 'filters.conf', line: index + 1 },
  }))
}

/** What a runner is told of a chain. */
export function loadPlan(entries: readonly ChainEntry[]): LoadPlan {
  return {
    entries,
    filterPath: [],
    modules: noModuleConfig,
    modulePaths: [],
    timeLimitMs: 30_000,
    stateDirectory: '/nonexistent',
  }
}

/** Opens the stage; it is struck when the test ends. `without` names protections, see without.mjs. */
export async function openRunnerStage(
  t: Test,
  changes: Partial<SupervisorPlan> = {},
  without: readonly string[] = [],
  stores: Stores = noStores,
): Promise<RunnerStage> {
  const { openLineServer } = (await importWithout('host/runner/line-server.ts', without)) as typeof lineServerModule
  const { startSupervisor } = (await importWithout('host/runner/supervisor.ts', without)) as typeof supervisorModule
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  mkdirSync(join(root, 'tmp'))
  const log: string[] = []
  const asked: Promise<RunResult>[] = []
  const runners = fakeRunners()
  const platform = { ...systemPlatform, spawner: runners.spawner }
  const events = createEvents({
    ...{ write: (event) => log.push(textLine(event)), dropped: () => 0, reopen: () => undefined },
    close: () => Promise.resolve(),
  })
  const lines = await openLineServer(join(root, 'threads.sock'), platform.files)
  const plan: SupervisorPlan = {
    chain: loadPlan(entriesOf('e')),
    ...{ maxMemoryOctets: 1e9, cgroup: 'off', recycle: { maxMessages: 0, memoryOctets: 1e9 } },
    poison: { limit: 3, memoryMs: 86_400_000, answer: 'defer' },
    ...{ threads: 2, messagesPerThread: 1, maxHeapOctets: 1e8, blockedLimitMs: 2000, startLimitMs: 9000 },
    ...{ linesPerSecond: 100, maxWaiting: 10, faults: '' },
    ...changes,
  }
  const supervisor = startSupervisor(plan, lines, platform, events, stores)
  t.teardown(async () => {
    await Promise.all(asked)
    const drained = supervisor.drain(9000)
    runners.endAll()
    await drained
    lines.close()
    rmSync(root, { recursive: true, force: true })
  })
  const spool = openSpool(join(root, 'tmp'), platform.files)
  let pairs = 0
  const pair = (content = `Subject: ${++pairs}\n\ntext\n`): OpenedPair =>
    openPair(makePair(spool.path, { content }), spool, platform.files)
  return {
    ...{ supervisor, log, runner: runners.next, started: runners.started, pair, plan },
    ask: (limitMs = 2500, opened = pair()) => {
      const result = new Promise<RunResult>((resolve) => {
        supervisor.run('id', opened, performance.now() + limitMs, resolve)
      })
      asked.push(result)
      return result
    },
  }
}
