/** A worker thread with the watches of a runner's thread, so that what a test changes there stays there. */
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'

/** What the watches saw after a piece of code. */
export interface Seen {
  readonly look: string | null
  readonly deepLook: string | null
  /** The stack of what the code threw. */
  readonly error: string | null
  readonly leftOver: number
  readonly where: string | null
  readonly late: string | null
}

/** The thread. `run` runs the body of an async function of `require` and `state`; `as` says in whose name. */
export interface WatchedThread {
  readonly run: (code: string, as?: 'message' | 'filter') => Promise<Seen>
}

/** Starts one; it ends with the test. `ownFiles` are the files of its filters. */
export function watchedThread(t: Test, ownFiles: readonly string[] = []): WatchedThread {
  const host = (file: string): string => new URL(`../../host/runner/${file}`, import.meta.url).href
  const worker = new Worker(new URL('../fixtures/watched-thread.mjs', import.meta.url), {
    workerData: { timerWatch: host('timer-watch.ts'), realmWatch: host('realm-watch.ts'), ownFiles },
    // What the test runner needs for itself would be loaded there too.
    execArgv: [],
    env: { PATH: process.env['PATH'] },
    stdout: true,
    stderr: true,
  })
  t.teardown(() => worker.terminate())
  let answer: PromiseWithResolvers<Seen> = Promise.withResolvers()
  worker.on('message', (seen: Seen) => answer.resolve(seen))
  worker.on('error', (error) => answer.reject(error))
  worker.on('exit', (code) => answer.reject(new Error(`the thread ended with ${code}`)))
  return {
    run: (code, as = 'message') => {
      answer = Promise.withResolvers()
      worker.postMessage({ code, isMessage: as === 'message' })
      return answer.promise
    },
  }
}
