/** The host's side of a runner of one thread: its process, its frames, its end. */
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Platform } from '../platform/platform.ts'
import { runnerEnvironment } from './environment.ts'
import { createFrameReader, encodeFrames } from './frames.ts'
import type { SingleDown } from './single-wire.ts'
import { isRecord } from './wire.ts'

/** What its owner must know. No event comes after `ended`. */
export interface SingleEvents {
  /** Unchecked but for being an object. */
  frame(frame: Record<string, unknown>): void
  /** What the filters, and Node's debugger, print. */
  output(text: string): void
  ended(cause: string): void
}

/** A running one. */
export interface SingleProcess {
  send(frame: SingleDown): void
  /** Ends the process and its children now; `ended` does not follow. */
  kill(): void
}

/** Starts the process; `modulePaths` are the files of filter settings. Errors show as `ended`. */
export function startSingle(modulePaths: readonly string[], platform: Platform, events: SingleEvents): SingleProcess {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const program = fileURLToPath(new URL(`./single.${ending}`, import.meta.url))
  // Two processes cannot listen for debuggers at one address.
  const options = process.execArgv.filter((option) => !option.startsWith('--inspect'))
  const child = platform.spawner(process.execPath, [...options, program], runnerEnvironment(modulePaths))
  // Where descriptors are used up there are no pipes at all, and `error` follows.
  const control = (child.stdio as typeof child.stdio | undefined)?.[3] as Duplex | null | undefined
  let over = false

  const end = (): void => {
    over = true
    if (child.pid === undefined) return
    try {
      // The whole group: what a module started must not outlive it.
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      child.kill('SIGKILL')
    }
  }
  const finish = (cause: string): void => {
    if (over) return
    end()
    events.ended(cause)
  }
  child.once('error', (error) => finish(`cannot be started: ${error.message}`))
  child.once('close', (code, signal) =>
    finish(signal === null ? `ended with status ${code ?? 0}` : `ended by ${signal}`),
  )
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('error', () => undefined)
    stream?.on('data', (text: string) => {
      if (!over) events.output(text)
    })
  }
  const reader = createFrameReader()
  control?.setEncoding('utf8')
  control?.on('error', () => undefined)
  control?.on('data', (text: string) => {
    try {
      for (const frame of reader.push(text)) {
        if (!isRecord(frame)) throw new Error('a frame is no object')
        if (!over) events.frame(frame)
      }
    } catch {
      finish("wrote to descriptor 3, which is no filter's")
    }
  })
  return {
    send: (frame) => {
      if (!over) control?.write(encodeFrames([frame]))
    },
    kill: end,
  }
}
