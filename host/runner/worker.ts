/**
 * A worker thread: loads the chain, then runs it over the messages that come down its line until it is told to leave.
 *
 * To the pool this is one task that lasts as long as the thread (docs/adr/0003): messages reach the thread on a line of
 * its own, several in one write where several wait, and never through the runner's main thread.
 */
import { connect, type Socket } from 'node:net'
import { threadId, type MessagePort } from 'node:worker_threads'
import { trustConfiguration } from '../../courier-compat/config.ts'
import { failedOutcome, runChain, type ChainOutcome, type ChainTools } from '../chain/chain.ts'
import { describeThrown } from '../chain/failure.ts'
import { isBundled, loadChain, type LoadedChain, type LoadPlan } from '../chain/loader.ts'
import { editTools, type Pair } from '../edits.ts'
import { systemClock, type Timer } from '../platform/clock.ts'
import { parseFaults, type Faults } from '../platform/faults.ts'
import { systemFiles } from '../platform/files.ts'
import { callStores, portMaps, setupStores } from '../store/filter-stores.ts'
import { createLinePort, type LinePort, type StoreFrame } from '../store/port.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import { beatIntervalMs, openPulse, type PulseWriter } from './pulse.ts'
import { paceLooks, watchRealm } from './realm-watch.ts'
import { registerOwnModules } from './resolve-hook.ts'
import { createThreadLog } from './thread-log.ts'
import { installTimerWatch, type TimerWatch } from './timer-watch.ts'
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
  /** Says `true` when the thread is to show that it turns, `false` when it may rest. */
  readonly wakes: MessagePort
}

/** An administrator's change to Courier's configuration acts this much later in a filter. */
const trustConfigurationMs = 200

let timers: TimerWatch | null = null

/** Serves until told to leave. Rejects when the host is gone or the line broke: the thread is then of no more use. */
export default async function serve(task: ThreadTask): Promise<void> {
  // Once a thread; before any filter's module is loaded.
  if (timers === null) registerOwnModules()
  timers ??= installTimerWatch()
  trustConfiguration(trustConfigurationMs)
  const pulse = openPulse(task.pulses, task.slot, threadId)
  const line = connect(task.linePath)
  const broken = new Promise<never>((_, reject) => {
    line.once('error', reject)
    line.once('close', () => reject(new Error('the line to the host was closed')))
  })
  // Whoever waits for `broken` hears of it; nobody may be waiting yet.
  broken.catch(() => undefined)
  const up = createUplink(line)
  const log = createThreadLog((frame) => up.send(frame), task.linesPerSecond, systemClock)
  const logFor = log.loggerFor
  const port = createLinePort((frame) => up.ask(frame))
  const maps = portMaps(port)
  const down = readDown(line, port)
  up.send({ type: 'hello', token: task.token, slot: task.slot })

  const loading = loadChain(task.plan, (alias) => logFor(alias, ''), setupStores(port, maps))
  const loaded = await Promise.race([loading, down.broken, broken])
  if ('problems' in loaded) {
    up.send({ type: 'broken', problems: loaded.problems })
    await Promise.race([down.broken, broken])
    return
  }
  timers.ownFiles(loaded.described.map(({ file }) => file))
  const beats = createBeats(pulse, task.wakes)
  up.send({ type: 'loaded', filters: loaded.described, warnings: loaded.warnings })
  // Our own filters leave nothing behind: a look after each of their messages would cost more than they do.
  if (!loaded.described.every(({ file }) => isBundled(file))) up.watch(createLook(timers))
  const tools: ThreadTools = {
    pulse,
    timers,
    faults: parseFaults(task.faults),
    storesFor: (key, pair) => (filter, isDry) => callStores(port, maps, { key, pair, filter, isDry }),
    shared: {
      monotonicMs: () => performance.now(),
      cpuMs: threadCpuMs,
      after: systemClock.after,
      ...editTools(systemFiles),
      messageLimits: task.plan.messageLimits,
      logFor,
    },
  }
  try {
    await Promise.race([serveJobs(down, up, loaded, tools), down.broken, broken])
    await loaded.close((alias, text) => logFor(alias, '').error(text))
    log.close()
    up.flush()
  } finally {
    beats.stop()
    log.drop()
    line.destroySoon()
  }
}

/** What was left behind in this thread since now, in a sentence; `null` if nothing was. */
function createLook(timers: TimerWatch): () => string | null {
  const lookAtRealm = paceLooks(watchRealm(), () => performance.now())
  return () => {
    const place = timers.late()
    return place === null ? lookAtRealm() : `a timer was begun after its message was settled, by ${place}`
  }
}

/** Shows that the thread turns, for as long as anybody looks. */
function createBeats(pulse: PulseWriter, wakes: MessagePort): { stop(): void } {
  let beats: Timer | null = null
  const beat = (isAwake: boolean): void => {
    beats?.cancel()
    beats = isAwake ? systemClock.every(beatIntervalMs, () => pulse.beat()) : null
    pulse.beat()
  }
  wakes.on('message', beat)
  beat(true)
  return {
    stop: () => {
      beats?.cancel()
      wakes.close()
    },
  }
}

/** What comes down the line. Answers of the stores are handed on at once: filters may wait for them while they are loaded. */
interface Downlink {
  /** From now on messages are handed on, those that came before first. */
  serve(run: (jobs: readonly JobFrame[]) => void, leave: () => void): void
  /** Rejects when something came that is no frame. */
  readonly broken: Promise<never>
}

function readDown(line: Socket, port: LinePort): Downlink {
  const reader = createFrameReader()
  const { promise: broken, reject } = Promise.withResolvers<never>()
  broken.catch(() => undefined)
  const early: LineDown[] = []
  let take = (frame: LineDown): void => void early.push(frame)
  line.setEncoding('utf8')
  line.on('data', (text: string) => {
    try {
      for (const frame of reader.push(text)) {
        if (!isRecord(frame)) throw new Error('the host sent a frame that is no object')
        const down = frame as unknown as LineDown
        if (down.type === 'store') port.receive(down)
        else take(down)
      }
    } catch (thrown) {
      reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  })
  return {
    broken,
    serve: (run, leave) => {
      take = (frame) => {
        if (frame.type === 'run') run(frame.jobs)
        else leave()
      }
      for (const frame of early.splice(0)) take(frame)
    },
  }
}

/** Resolves once the host said `leave` and the last message is answered. */
function serveJobs(down: Downlink, up: Uplink, chain: LoadedChain, tools: ThreadTools): Promise<void> {
  const { faults, timers } = tools
  return new Promise((resolve, reject) => {
    let running = 0
    let leaving = false
    const endIfDone = (): void => {
      if (leaving && running === 0) resolve()
    }
    const run = (job: JobFrame, cpuMs: number | null): void => {
      running++
      faults.at('worker.job-read')
      up.began()
      const own = timers.open()
      own
        .during(() => runJob(chain, job, cpuMs, tools))
        .then(async (outcome) => {
          // What is due this very turn is nearly over.
          if (own.leftOver() > 0) await nextTurn()
          const left = own.leftOver()
          running--
          if (left > 0) up.heldBack(`${left} timers were left set, the first by ${own.where() ?? 'unknown code'}`)
          up.answer(job.key, cutOutcome(left > 0 ? { ...outcome, stray: true } : outcome))
          faults.at('worker.result-sent')
          endIfDone()
        }, reject)
    }
    /** The thread is busy from one message to the next, so its CPU clock is read once for all of them. */
    const runAll = (jobs: readonly JobFrame[]): void => {
      const cpuMs = threadCpuMs()
      const sinceMs = performance.now()
      for (const job of jobs) run(job, cpuMs === null ? null : cpuMs + performance.now() - sinceMs)
    }
    down.serve(
      (jobs) => {
        // The host ends an unclean thread, and has these run elsewhere.
        if (!up.isUnclean()) runAll(jobs)
      },
      () => {
        leaving = true
        endIfDone()
      },
    )
  })
}

async function runJob(
  chain: LoadedChain,
  job: JobFrame,
  cpuMs: number | null,
  tools: ThreadTools,
): Promise<ChainOutcome> {
  try {
    const { key, number, messageId, attempt, leftMs, without, bodyPath, controlPaths, contents, mark } = job
    const pair = { bodyPath, controlPaths }
    return await runChain(
      chain.filters,
      { pair, messageId, attempt, leftMs, without, contents, mark, cpuMs },
      { ...toolsFor(number, tools), storesFor: tools.storesFor(key, pair) },
    )
  } catch (thrown) {
    return failedOutcome(describeThrown(thrown))
  }
}

/** Not a filter's timer, and told from one by being taken before any is watched. */
const { setImmediate: setOriginalImmediate } = globalThis

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setOriginalImmediate(resolve))
}

/** What all messages of a thread have in common. */
interface ThreadTools {
  readonly pulse: PulseWriter
  readonly timers: TimerWatch
  readonly faults: Faults
  readonly storesFor: (key: string, pair: Pair) => NonNullable<ChainTools['storesFor']>
  readonly shared: Omit<ChainTools, 'enter' | 'leave' | 'storesFor'>
}

/** The chain's tools for one message. */
function toolsFor(number: number, { pulse, faults, shared }: ThreadTools): ChainTools {
  return {
    ...shared,
    enter: (index) => {
      pulse.enter(number, index)
      faults.at('chain.filter-start')
    },
    leave: () => {
      faults.at('chain.filter-end')
      pulse.leave()
    },
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
  /** Asks the stores: at once, outcomes that wait for the end of the turn go on waiting. */
  ask(frame: StoreFrame): void
  /** From now on `look` is asked before outcomes are sent: what the messages left behind in the thread, or `null`. */
  watch(look: () => string | null): void
  /** Something was left behind: the thread is about to be ended. */
  isUnclean(): boolean
  /** A message begins to run. */
  began(): void
  /** A message's outcome, which comes next, must wait for the end of the thread. */
  heldBack(cause: string): void
  answer(key: string, outcome: ChainOutcome): void
  flush(): void
}

/**
 * Collects the outcomes of one turn of the event loop: what is ready together travels together.
 *
 * Before they leave, the thread is looked over. If something was left behind, and more than one message ran since it was
 * last clean, nobody can tell which of them it has misled: none of their outcomes is sent, and no further one ever.
 */
function createUplink(line: Socket): Uplink {
  let results: { key: string; outcome: ChainOutcome }[] = []
  let look: (() => string | null) | null = null
  let running = 0
  let beganSinceLook = 0
  let isUnclean = false
  const write = (frames: readonly LineUp[]): void => void line.write(encodeFrames(frames))
  const flush = (): void => {
    if (results.length === 0) return
    const frames: LineUp[] = [{ type: 'done', results }]
    results = []
    if (isUnclean) return
    const cause = look?.() ?? null
    const isAlone = beganSinceLook <= 1 && running === 0
    beganSinceLook = running
    if (cause === null) return write(frames)
    isUnclean = true
    if (isAlone) write([...frames, { type: 'unclean', cause, mode: 'alone' }])
    else write([{ type: 'unclean', cause, mode: 'shared' }])
  }
  return {
    send: (frame) => {
      flush()
      write([frame])
    },
    ask: (frame) => write([frame]),
    watch: (to) => (look = to),
    isUnclean: () => isUnclean,
    began: () => {
      running++
      beganSinceLook++
    },
    heldBack: (cause) => {
      flush()
      write([{ type: 'unclean', cause, mode: 'held' }])
    },
    answer: (key, outcome) => {
      running--
      if (results.push({ key, outcome }) === 1) setOriginalImmediate(flush)
    },
    flush,
  }
}
