/**
 * A worker thread: loads the chain, then runs it over the messages that come down its line until it is told to leave.
 *
 * To the pool this is one task that lasts as long as the thread (docs/adr/0003): messages reach the thread on a line of
 * its own, several in one write where several wait, and never through the runner's main thread.
 */
import { connect, type Socket } from 'node:net'
import { threadId } from 'node:worker_threads'
import type { FilterLog } from '../../courier-compat/filter.ts'
import { runChain, type ChainOutcome, type ChainTools } from '../chain/chain.ts'
import { describeThrown } from '../chain/failure.ts'
import { loadChain, type LoadedChain, type LoadPlan } from '../chain/loader.ts'
import { editTools } from '../edits.ts'
import { createRateLimit } from '../observe/rate-limit.ts'
import { systemClock } from '../platform/clock.ts'
import { parseFaults, type Faults } from '../platform/faults.ts'
import { systemFiles } from '../platform/files.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import { beatIntervalMs, openPulse, type PulseWriter } from './pulse.ts'
import { registerOwnModules } from './resolve-hook.ts'
import { cutOutcome, isRecord, type JobFrame, type LineDown, type LineUp } from './wire.ts'

/** What the runner's main thread hands to a new thread. */
export interface ThreadTask {
  readonly slot: number
  readonly linePath: string
  readonly token: string
  readonly plan: LoadPlan
  readonly pulses: SharedArrayBuffer
  readonly linesPerSecond: number
  readonly faults: string
}

let hooked = false

/** Serves until told to leave. Rejects when the host is gone or the line broke: the thread is then of no more use. */
export default async function serve(task: ThreadTask): Promise<void> {
  if (!hooked) registerOwnModules()
  hooked = true
  const pulse = openPulse(task.pulses, task.slot, threadId)
  const line = connect(task.linePath)
  const broken = new Promise<never>((_, reject) => {
    line.once('error', reject)
    line.once('close', () => reject(new Error('the line to the host was closed')))
  })
  // Whoever waits for `broken` hears of it; nobody may be waiting yet.
  broken.catch(() => undefined)
  const up = createUplink(line)
  const logFor = createThreadLog(up, task.linesPerSecond)
  up.send({ type: 'hello', token: task.token, slot: task.slot })

  const loaded = await Promise.race([loadChain(task.plan, (alias) => logFor(alias, '')), broken])
  if ('problems' in loaded) {
    up.send({ type: 'broken', problems: loaded.problems })
    await Promise.race([new Promise<never>(() => undefined), broken])
    return
  }
  const beats = systemClock.every(beatIntervalMs, () => pulse.beat())
  pulse.beat()
  up.send({ type: 'loaded', filters: loaded.described, warnings: loaded.warnings })
  try {
    await Promise.race([serveJobs(line, up, loaded, pulse, logFor, parseFaults(task.faults)), broken])
    await loaded.close((alias, text) => logFor(alias, '').error(text))
    up.flush()
  } finally {
    beats.cancel()
    line.destroySoon()
  }
}

/** Resolves once the host said `leave` and the last message is answered. */
function serveJobs(
  line: Socket,
  up: Uplink,
  chain: LoadedChain,
  pulse: PulseWriter,
  logFor: (alias: string, messageId: string) => FilterLog,
  faults: Faults,
): Promise<void> {
  const reader = createFrameReader()
  return new Promise((resolve, reject) => {
    let running = 0
    let leaving = false
    const endIfDone = (): void => {
      if (leaving && running === 0) resolve()
    }
    const run = (job: JobFrame): void => {
      running++
      faults.at('worker.job-read')
      runJob(chain, job, pulse, logFor, faults).then((outcome) => {
        running--
        up.answer(job.key, cutOutcome(outcome))
        faults.at('worker.result-sent')
        endIfDone()
      }, reject)
    }
    line.setEncoding('utf8')
    line.on('data', (text: string) => {
      try {
        for (const frame of reader.push(text)) {
          if (!isRecord(frame)) throw new Error('the host sent a frame that is no object')
          const down = frame as unknown as LineDown
          if (down.type === 'leave') leaving = true
          else for (const job of down.jobs) run(job)
        }
        endIfDone()
      } catch (thrown) {
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    })
  })
}

async function runJob(
  chain: LoadedChain,
  job: JobFrame,
  pulse: PulseWriter,
  logFor: (alias: string, messageId: string) => FilterLog,
  faults: Faults,
): Promise<ChainOutcome> {
  const tools: ChainTools = {
    monotonicMs: () => performance.now(),
    cpuMs: threadCpuMs,
    after: systemClock.after,
    enter: (index) => {
      pulse.enter(job.number, index)
      faults.at('chain.filter-start')
    },
    leave: () => {
      faults.at('chain.filter-end')
      pulse.leave()
    },
    ...editTools(systemFiles),
    logFor,
  }
  try {
    const { messageId, attempt, leftMs, without, bodyPath, controlPaths } = job
    return await runChain(
      chain.filters,
      { pair: { bodyPath, controlPaths }, messageId, attempt, leftMs, without },
      tools,
    )
  } catch (thrown) {
    // Our own steps between the filters failed, for instance because the files are gone.
    const failure = { kind: 'internal', filter: null, text: describeThrown(thrown) } as const
    return { verdict: null, by: null, failure, trail: [], notes: [], stray: false, rerunWithout: null }
  }
}

/** `process.threadCpuUsage` came with Node 23.9. */
function threadCpuMs(): number | null {
  if (typeof process.threadCpuUsage !== 'function') return null
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

interface Uplink {
  send(frame: LineUp): void
  answer(key: string, outcome: ChainOutcome): void
  flush(): void
}

/** Collects the outcomes of one turn of the event loop: what is ready together travels together. */
function createUplink(line: Socket): Uplink {
  let results: { key: string; outcome: ChainOutcome }[] = []
  const flush = (): void => {
    if (results.length === 0) return
    line.write(encodeFrames([{ type: 'done', results } satisfies LineUp]))
    results = []
  }
  return {
    send: (frame) => {
      flush()
      line.write(encodeFrames([frame]))
    },
    answer: (key, outcome) => {
      if (results.push({ key, outcome }) === 1) setImmediate(flush)
    },
    flush,
  }
}

/** The loggers that filters get: cut, limited in rate, sent up the line. */
function createThreadLog(up: Uplink, linesPerSecond: number): (alias: string, messageId: string) => FilterLog {
  const limits = new Map<string, ReturnType<typeof createRateLimit>>()
  return (alias, messageId) => {
    const say = (level: 'info' | 'warn' | 'error', text: unknown): void => {
      let limit = limits.get(alias)
      if (limit === undefined) limits.set(alias, (limit = createRateLimit(linesPerSecond, () => performance.now())))
      if (!limit.allow()) return
      const refused = limit.takeRefused()
      if (refused > 0)
        up.send({ type: 'log', level: 'warn', filter: alias, messageId: '', text: `${refused} lines were left out` })
      up.send({ type: 'log', level, filter: alias, messageId, text: String(text).slice(0, 2000) })
    }
    return { info: (text) => say('info', text), warn: (text) => say('warn', text), error: (text) => say('error', text) }
  }
}
