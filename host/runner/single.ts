/**
 * A runner of one thread: describes filter modules, or runs the chain under a debugger.
 *
 * It has no time limits and no heartbeat: whoever started it ends it, and it ends itself when its pipe (descriptor 3)
 * closes, or its parent is gone. Filters run in its main thread, where a debugger finds them without looking for threads.
 */
import inspector from 'node:inspector'
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { ReadingLimits } from '../../courier-compat/message/reading.ts'
import type { FilterLog } from '../../courier-compat/filter.ts'
import { failedOutcome, runChain, type ChainOutcome, type ChainTools } from '../chain/chain.ts'
import { describeModule } from '../chain/describe.ts'
import { describeThrown } from '../chain/failure.ts'
import { loadChain, type LoadedChain } from '../chain/loader.ts'
import { editTools } from '../edits.ts'
import { systemFiles } from '../platform/files.ts'
import { callStores, portMaps, setupStores } from '../store/filter-stores.ts'
import { deadPort, type StorePort } from '../store/port.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import { registerOwnModules } from './resolve-hook.ts'
import type { SingleDown, SingleUp } from './single-wire.ts'
import { cutOutcome } from './wire.ts'

type Task<Type extends SingleDown['type']> = Extract<SingleDown, { readonly type: Type }>

const control = new Socket({ fd: 3 })
const reader = createFrameReader()
let chain: LoadedChain | null = null
let messageLimits: ReadingLimits | undefined
let storePort: StorePort = deadPort
let maps = portMaps(storePort)

// A module in an endless loop, or a debugger, keeps this thread from ever reading that the pipe is closed. It leads a
// group of its own, with what modules started in it.
const parentWatch = `const { workerData: parent } = require('node:worker_threads')
setInterval(() => { if (process.ppid !== parent) process.kill(-process.pid, 'SIGKILL') }, 500)`
new Worker(parentWatch, { eval: true, workerData: process.ppid, execArgv: [] }).unref()

registerOwnModules()
control.setEncoding('utf8')
control.on('data', (text: string) => {
  for (const frame of reader.push(text)) void receive(frame as SingleDown)
})
control.on('error', die)
control.on('close', die)

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

function tell(frame: SingleUp): void {
  control.write(encodeFrames([frame]))
}

async function receive(frame: SingleDown): Promise<void> {
  switch (frame.type) {
    case 'describe':
      tell({ type: 'described', module: await describeModule(frame.module, frame.places) })
      return
    case 'debug':
      return debug(frame)
    case 'run': {
      const outcome = chain === null ? failedOutcome('no chain is loaded') : await run(chain, frame)
      tell({ type: 'done', results: [{ key: frame.key, outcome: cutOutcome(outcome) }] })
      return
    }
    default:
      frame satisfies never
  }
}

async function debug({ plan, host, port }: Task<'debug'>): Promise<void> {
  inspector.open(port, host)
  if (inspector.url() === undefined) {
    tell({ type: 'deaf' })
    return
  }
  inspector.waitForDebugger()
  messageLimits = plan.messageLimits
  // Not for those that are only described.
  const { memoryPort } = await import('../store/direct-port.ts')
  storePort = memoryPort()
  maps = portMaps(storePort)
  const loaded = await loadChain(plan, (alias) => logFor(alias, ''), setupStores(storePort, maps))
  if ('problems' in loaded) {
    tell({ type: 'broken', problems: loaded.problems })
    return
  }
  // Every filter is loaded and none has seen a message: set your breakpoints, then let it go on.
  debugger
  chain = loaded
  tell({ type: 'loaded', filters: loaded.described, warnings: loaded.warnings })
}

async function run(loaded: LoadedChain, job: Task<'run'>): Promise<ChainOutcome> {
  const { messageId, bodyPath, controlPaths } = job
  const pair = { bodyPath, controlPaths }
  const tools: ChainTools = {
    monotonicMs: () => performance.now(),
    cpuMs: () => null,
    // A person is looking on: nothing is ever late.
    after: () => ({ cancel: () => undefined }),
    enter: () => undefined,
    leave: () => undefined,
    ...editTools(systemFiles),
    messageLimits,
    storesFor: (filter, isDry) => callStores(storePort, maps, { key: job.key, pair, filter, isDry }),
    logFor,
  }
  try {
    const known = { contents: null, mark: null, cpuMs: null }
    return await runChain(
      loaded.filters,
      { pair, messageId, attempt: 1, leftMs: Infinity, without: [], ...known },
      tools,
    )
  } catch (thrown) {
    return failedOutcome(describeThrown(thrown))
  }
}

function logFor(filter: string, messageId: string): FilterLog {
  const say = (level: 'info' | 'warn' | 'error', text: unknown): void =>
    tell({ type: 'log', level, filter, messageId, text: String(text).slice(0, 2000) })
  return { info: (text) => say('info', text), warn: (text) => say('warn', text), error: (text) => say('error', text) }
}
