/**
 * The runner process: keeps the worker threads, watches them, ends those that stand still, and runs no filter code in
 * its own main thread, which therefore always answers.
 *
 * Started by the host with a control pipe as descriptor 3. When that pipe closes the host is gone, and the runner ends
 * itself the hard way: an orderly exit would wait for threads that sit in native calls.
 */
import { Socket } from 'node:net'
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { describeThrown } from '../chain/failure.ts'
import { systemClock, type Timer } from '../platform/clock.ts'
import { endOwnFamily } from '../platform/processes.ts'
import { runnerVariable } from './environment.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import { clearPulse, createPulses, readPulse } from './pulse.ts'
import { createThreadWatch, watchIntervalMs } from './thread-watch.ts'
import type { ControlDown, ControlUp, StartFrame } from './wire.ts'
import type { ThreadTask } from './worker.ts'

/** Where a thread's new objects are made. A larger one was not faster. */
const youngHeapMiB = 6

/** How long a thread may take to end after it was told to; one that takes longer cannot be ended. */
const endLimitMs = 1000

/** How long what the filters started may be looked for when the host is gone. */
const familyLimitMs = 1000

/** Pauses before a slot gets a new thread, growing while threads end young. */
const respawn = { firstMs: 50, maxMs: 10_000, maxOrderedMs: 200, youngMs: 5_000 } as const

const control = new Socket({ fd: 3 })
const reader = createFrameReader()
let runner: { receive(frame: ControlDown): void } | null = null

control.setEncoding('utf8')
control.on('data', (text: string) => {
  for (const value of reader.push(text)) {
    const frame = value as ControlDown
    if (frame.type === 'start') runner ??= createRunner(frame)
    else runner?.receive(frame)
  }
})
control.on('error', die)
control.on('close', die)

function die(): void {
  endOwnFamily({ variable: runnerVariable, value: process.env[runnerVariable] ?? '?' }, familyLimitMs)
}

function tell(frame: ControlUp): void {
  control.write(encodeFrames([frame]))
}

function createRunner(start: StartFrame): { receive(frame: ControlDown): void } {
  const pulses = createPulses(start.threads)
  const pool = new Piscina<ThreadTask, void>({
    filename: new URL(`./worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href,
    minThreads: start.threads,
    maxThreads: start.threads,
    concurrentTasksPerWorker: 1,
    maxQueue: start.threads,
    // With piscina's default an idle thread's event loop stands still, and with it every filter's timers and sockets.
    atomics: 'disabled',
    recordTiming: false,
    resourceLimits: {
      maxOldGenerationSizeMb: Math.ceil(start.maxHeapOctets / 1024 / 1024),
      // Unless told, it grows to three times 16 MiB in each thread and is never given back.
      maxYoungGenerationSizeMb: youngHeapMiB,
    },
  })
  // A thread that dies between its tasks is told of here; its slot notices by its own promise.
  pool.on('error', () => undefined)

  const workers = new Map<number, Worker>()
  /** To each slot's thread: whether it is to show that it turns. */
  const wakes = new Map<number, MessagePort>()
  /** Threads that were told to end. */
  const ordered = new Set<number>()
  let leaving = false
  let occupied = start.threads

  /** A slot's thread, once it has said which one it is. */
  const workerOf = (slot: number): Worker | undefined => {
    const { threadId: id } = readPulse(pulses, slot)
    return workers.get(slot) ?? pool.threads.find(({ threadId }) => threadId === id)
  }

  /** A slot is free for good; the last one ends the process. */
  const vacate = (slot: number): void => {
    // It gives no more beats, and is not to be taken for one that stands still.
    clearPulse(pulses, slot)
    watch.reset(slot)
    occupied--
    if (occupied === 0) void pool.destroy().then(() => control.destroy())
  }

  /** Gives a slot a thread, and another one whenever it dies, until one leaves in peace. */
  const occupy = (slot: number, pauseMs: number): void => {
    const sinceMs = systemClock.monotonicMs()
    const again = (cause: string): void => {
      const worker = workerOf(slot)
      // It has lost its line, and is of no more use; one that has ended by itself does not mind.
      void worker?.terminate()
      void ended(worker).then((dead) => {
        const { job, filter } = readPulse(pulses, slot)
        workers.delete(slot)
        clearPulse(pulses, slot)
        watch.reset(slot)
        if (!dead) return tell({ type: 'stuck', slot })
        // Whose code ran when the memory was used up says little: another one may have filled it.
        const blamed = job === 0 || cause.includes('memory limit') ? {} : { job, filter }
        tell({ type: 'thread-gone', slot, text: cause, ...blamed })
        const young = systemClock.monotonicMs() - sinceMs < respawn.youngMs
        // One that was ended after it had loaded its filters will load them again.
        const maxMs = ordered.delete(slot) ? respawn.maxOrderedMs : respawn.maxMs
        const nextMs = young ? Math.min(maxMs, Math.max(respawn.firstMs, pauseMs * 2)) : 0
        systemClock.after(nextMs, () => (leaving ? vacate(slot) : occupy(slot, nextMs)))
      })
    }
    const { port1, port2 } = new MessageChannel()
    wakes.get(slot)?.close()
    wakes.set(slot, port1)
    // It must not keep a runner alive whose threads have left.
    port1.unref()
    if (watching === null) port1.postMessage(false)
    const task: ThreadTask = {
      slot,
      linePath: start.linePath,
      token: start.token,
      plan: start.chain,
      pulses,
      linesPerSecond: start.linesPerSecond,
      faults: start.faults,
      wakes: port2,
    }
    pool.run(task, { transferList: [port2] }).then(
      () => vacate(slot),
      (thrown: unknown) => again(describeThrown(thrown)),
    )
  }

  const watch = createThreadWatch(start.threads, start.blockedLimitMs, {
    stalled: (slot, stalled) => tell({ type: 'stalled', slot, stalled }),
    blocked: (slot, pulse, afterMs) => {
      tell({ type: 'blocked', slot, job: pulse.job, filter: pulse.filter, afterMs })
      endThread(slot)
    },
  })
  const lookAll = (): void => {
    for (let slot = 0; slot < start.threads; slot++) {
      const pulse = readPulse(pulses, slot)
      // Kept while the thread lives: a thread that has died is no longer in the pool's list, but its end is waited for.
      const worker = workerOf(slot)
      if (worker !== undefined) workers.set(slot, worker)
      watch.look(slot, pulse, systemClock.monotonicMs())
    }
  }
  let watching: Timer | null = null
  /** An idle runner rests: nothing in it wakes the processor but the host's rare question. */
  const setAwake = (isAwake: boolean): void => {
    if (isAwake === (watching !== null)) return
    watching?.cancel()
    watching = isAwake ? systemClock.every(watchIntervalMs, lookAll) : null
    for (const [slot, port] of wakes) {
      // It counts from now: one that stood still while it rested did nobody any harm.
      watch.reset(slot)
      port.postMessage(isAwake)
    }
  }
  setAwake(true)

  const endThread = (slot: number): void => {
    const worker = workerOf(slot)
    if (worker === undefined) return
    workers.set(slot, worker)
    if (readPulse(pulses, slot).beat > 0) ordered.add(slot)
    void worker.terminate()
    void ended(worker).then((dead) => {
      if (!dead) tell({ type: 'stuck', slot })
    })
  }

  for (let slot = 0; slot < start.threads; slot++) occupy(slot, 0)
  return {
    receive: (frame) => {
      switch (frame.type) {
        case 'ping':
          setAwake(frame.isAwake)
          return tell({ type: 'pong', number: frame.number })
        case 'kill-thread':
          return endThread(frame.slot)
        case 'leave':
          leaving = true
          return
        case 'start':
          return
        default:
          frame satisfies never
      }
    },
  }
}

/** Waits for a thread's end. True once none of its code can run any more; false if it does not end. */
function ended(worker: Worker | undefined): Promise<boolean> {
  // After its end a thread's id is -1.
  if (worker === undefined || worker.threadId === -1) return Promise.resolve(true)
  return new Promise((resolve) => {
    const timer = systemClock.after(endLimitMs, () => resolve(false))
    worker.once('exit', () => {
      timer.cancel()
      resolve(true)
    })
  })
}
