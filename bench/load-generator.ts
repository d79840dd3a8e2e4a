/** The load generator, seen from the benchmark: a process that is handed loads, one after the other. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** What to ask for how long. Two requests under way are never the same, as long as there are more than `concurrency`. */
export interface Load {
  readonly socketPath: string
  readonly requests: readonly string[]
  readonly concurrency: number
  readonly seconds: number
}

/** What came of it. `otherReplies`: each reply but `200 Ok`, and how often it came. */
export type LoadResult =
  | {
      readonly seconds: number
      readonly latenciesMs: readonly number[]
      readonly otherReplies: readonly (readonly [string, number])[]
    }
  | { readonly failure: string }

/** One measured run. */
export interface Run {
  readonly perSecond: number
  readonly latenciesMs: readonly number[]
}

/** A process that was started for a benchmark. */
export interface Helper {
  readonly pid: number
  stop(): Promise<void>
}

/** A running load generator. */
export interface LoadGenerator extends Helper {
  /** Errors: Error if any message was answered with anything but `200 Ok`: then something else was measured. */
  run(load: Load): Promise<Run>
}

/** Starts a load generator. */
export function startLoadGenerator(): LoadGenerator {
  const child = fork(join(import.meta.dirname, 'load.ts'), { serialization: 'advanced' })
  const helper = helperOf(child)
  let answer: (result: LoadResult) => void = () => undefined
  child.on('message', (result) => answer(result as LoadResult))
  child.once('exit', () => answer({ failure: 'the load generator ended' }))
  return {
    ...helper,
    run: async (load) => {
      const result = await new Promise<LoadResult>((resolve) => {
        answer = resolve
        child.send(load)
      })
      if ('failure' in result) throw new Error(result.failure)
      const [other] = result.otherReplies
      if (other !== undefined) throw new Error(`${other[1]} messages were answered ${JSON.stringify(other[0])}`)
      return { perSecond: result.latenciesMs.length / result.seconds, latenciesMs: result.latenciesMs }
    },
  }
}

/** Starts the bare server; resolves when it listens. */
export function startBareServer(socketPath: string): Promise<Helper> {
  return startServer('bare-server.ts', [socketPath])
}

/** Starts a server of this folder; resolves when it listens. */
export async function startServer(program: string, words: readonly string[]): Promise<Helper> {
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return helperOf(child)
}

function helperOf(child: ChildProcess): Helper {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    pid: child.pid ?? 0,
    stop: () => {
      child.kill()
      return ended
    },
  }
}
