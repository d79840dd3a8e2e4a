/**
 * The stores of a host that serves: a depot on disk, in a thread of its own.
 *
 * The thread is started when it is first asked for something: a host whose filters use no store pays nothing for it. It is
 * never ended from here but by asking it to close. Should it end all the same, whatever was asked has failed with STORE_LOST and
 * the next request starts another one.
 */
import { Worker } from 'node:worker_threads'
import { describeThrown } from '../chain/failure.ts'
import type { Events } from '../observe/events.ts'
import type { Clock } from '../platform/clock.ts'
import { errorOf, StoreError } from './requests.ts'
import { noCounts, type Stores } from './stores.ts'
import type { ThreadCall, ThreadCalls, ThreadPlan, ThreadUp } from './thread-wire.ts'

/** A thread that ended is not started again sooner. */
const restartMs = 1000

/** Requests without an answer. */
const mostOpen = 50_000

/** The same trouble is told once in so long. */
const reportMs = 60_000

/** Where new objects of the thread are made, as in other threads. */
const youngHeapMiB = 6

interface Open {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** Makes the stores of a depot. Opens nothing yet. `start` is handed in by tests. */
export function openStores(
  plan: ThreadPlan,
  clock: Pick<Clock, 'monotonicMs' | 'after'>,
  log: Pick<Events, 'storeOpened' | 'storeFailed'>,
  start: (plan: ThreadPlan) => Worker = startThread,
): Stores {
  const counts = noCounts()
  const open = new Map<number, Open>()
  let worker: Worker | null = null
  let lastNumber = 0
  let endedMs = -Infinity
  let isClosing = false
  let isOpen = false
  let problem: string | null = null
  let toldMs = -Infinity
  let toldText = ''

  const report = (text: string): void => {
    const nowMs = clock.monotonicMs()
    if (text === toldText && nowMs - toldMs < reportMs) return
    toldMs = nowMs
    toldText = text
    log.storeFailed(plan.directory, text)
  }

  const take = (number: number): Open | undefined => {
    const found = open.get(number)
    open.delete(number)
    if (open.size === 0) worker?.unref()
    return found
  }

  const receive = (frame: ThreadUp): void => {
    switch (frame.type) {
      case 'answer':
        return take(frame.number)?.resolve(frame.result as never)
      case 'fault':
        return take(frame.number)?.reject(errorOf(frame.fault))
      case 'opened':
        problem = frame.problem
        isOpen = problem === null
        if (problem === null) log.storeOpened(plan.directory)
        else report(problem)
        toldText = problem ?? ''
        return
      case 'trouble':
        return report(frame.text)
      default:
        frame satisfies never
    }
  }

  const lose = (ended: Worker, text: string): void => {
    if (worker !== ended) return
    worker = null
    isOpen = false
    endedMs = clock.monotonicMs()
    if (!isClosing) {
      problem = `its thread ended: ${text}`
      report(problem)
    }
    const left = [...open.values()]
    open.clear()
    for (const { reject } of left) reject(new StoreError('STORE_LOST', `the thread of the stores ended: ${text}`))
  }

  const begin = (): Worker => {
    const begun = start(plan)
    worker = begun
    let cause = ''
    begun.on('message', receive)
    begun.on('error', (error) => (cause = describeThrown(error)))
    begun.on('exit', (code) => lose(begun, cause === '' ? `with code ${code}` : cause))
    return begun
  }

  const send = <Call extends ThreadCall>(
    call: Call,
    ask: ThreadCalls[Call]['ask'],
  ): Promise<ThreadCalls[Call]['result']> =>
    new Promise((resolve, reject) => {
      if (isClosing && call !== 'close') return reject(new StoreError('STORE_LOST', 'the host is being stopped'))
      if (open.size >= mostOpen) return reject(new StoreError('STORE_BUSY', `${open.size} requests wait already`))
      if (worker === null && clock.monotonicMs() - endedMs < restartMs) {
        return reject(new StoreError('STORE_LOST', problem ?? 'the thread of the stores has ended'))
      }
      const number = ++lastNumber
      open.set(number, { resolve, reject })
      try {
        const asked = worker ?? begin()
        // It keeps the process alive only while somebody waits for an answer.
        asked.ref()
        asked.postMessage({ number, call, ask })
      } catch (thrown) {
        open.delete(number)
        reject(new StoreError('STORE_LOST', describeThrown(thrown)))
      }
    })

  const counted = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (thrown) {
      counts.failures++
      throw thrown
    }
  }
  const asked = <T>(answer: Promise<T>): Promise<T> => {
    counts.requests++
    return counted(answer)
  }

  return {
    ttl: (maps, operations) => asked(send('ttl', { maps, operations })),
    makeQueue: async (queue, settings) => {
      await asked(send('makeQueue', { queue, settings }))
    },
    queues: () => asked(send('queues', null)),
    demandQueue: async (queue) => {
      await asked(send('demandQueue', { queue }))
    },
    stage: async (entry) => {
      const staged = await counted(send('stage', entry))
      counts.staged++
      return staged
    },
    publish: async (handles) => {
      const added = await counted(send('publish', { handles }))
      counts.published += added.length
      counts.known += added.filter(({ isNew }) => !isNew).length
      return added
    },
    drop: (handles) => {
      if (handles.length === 0 || worker === null) return
      counts.dropped += handles.length
      send('drop', { handles }).catch((thrown: unknown) => report(describeThrown(thrown)))
    },
    identify: (path) => send('identify', { path }),
    status: () => ({
      ...{ directory: plan.directory, problem, counts: { ...counts } },
      state: isOpen ? 'open' : problem === null ? 'unused' : 'failed',
    }),
    close: async (limitMs) => {
      const left = worker
      if (left === null || isClosing) {
        isClosing = true
        return
      }
      // Asked for before nothing more is taken: what was sent before it is answered first.
      const closed = send('close', null).catch(() => null)
      isClosing = true
      const { promise: late, resolve } = Promise.withResolvers<null>()
      const timer = clock.after(limitMs, () => resolve(null))
      await Promise.race([closed, late])
      timer.cancel()
    },
  }
}

function startThread(plan: ThreadPlan): Worker {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new Worker(new URL(`./thread.${ending}`, import.meta.url), {
    ...{ name: 'store', workerData: plan },
    resourceLimits: { maxYoungGenerationSizeMb: youngHeapMiB },
  })
}
