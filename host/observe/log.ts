/**
 * The log's way out: lines to standard error and, if set, JSON lines to a file; never waiting, never growing without
 * bound. What does not fit is dropped, counted, and the count is logged when there is room again.
 *
 * The only file that knows sonic-boom, the writer inside pino; docs/adr/0006 says why the rest of pino is not here.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import sonicBoom from 'sonic-boom'
import type { Clock } from '../platform/clock.ts'
import { jsonLine, textLine, type Level, type LogEvent } from './line-format.ts'

/** Takes events. */
export interface Log {
  write(event: LogEvent): void
  /** How many lines were lost so far because the reader was too slow, gone, or the disk full. */
  dropped(): number
  /** Opens the JSON file anew, after a rotation, or because it could not be opened before. */
  reopen(): void
  /** Waits for what is buffered, at most `limitMs`; afterwards nothing more is written. */
  close(limitMs: number): Promise<void>
}

/** Where the log goes. */
export interface LogOptions {
  readonly level: Level
  /** A descriptor for text lines, usually 2; `null` for none. */
  readonly textDescriptor: number | null
  /** A file for JSON lines; `null` for none. */
  readonly jsonFile: string | null
  readonly maxBufferOctets: number
}

/** One way out. */
interface Sink {
  write(line: string): void
  /** Writes what is buffered, now or as soon as it can. */
  flush(): void
  /** Resolves when all is written and safe, or cannot be. */
  flushed(): Promise<void>
  reopen(): void
}

const order: Readonly<Record<Level, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

/** Writing in pieces of at most this size is atomic on a pipe (PIPE_BUF), so lines of several writers do not mix. */
const pipeAtomicOctets = 4096

/** Lines wait this long for others to be written with them: a write costs more than formatting what it writes. */
const gatherMs = 20

/** Whatever the umask: a log tells who writes to whom. */
const fileMode = 0o640

/** Opens the log. A JSON file that cannot be opened is told of in the text; the host goes on without it. */
export function openLog(options: LogOptions, clock: Clock): Log {
  let lost = 0
  let told = 0
  const open = (target: { fd: number } | { dest: string }): Sink => {
    const writer = new sonicBoom.SonicBoom({
      ...target,
      sync: false,
      maxLength: options.maxBufferOctets,
      maxWrite: pipeAtomicOctets,
      minLength: pipeAtomicOctets - 1,
      append: true,
      mode: fileMode,
    })
    let unwritten = 0
    // While it writes or opens it takes no order to write: for what came meanwhile it is told again.
    const sendRest = (): void => {
      if (unwritten > 0) gather()
    }
    writer.on('write', (octets: number) => {
      unwritten -= octets
      sendRest()
    })
    writer.on('ready', sendRest)
    writer.on('drop', (line: string) => {
      unwritten -= Buffer.byteLength(line)
      lost++
    })
    // A reader that went away or a full disk must not end the host, and changes no verdict.
    writer.on('error', () => lost++)
    writer.on('drain', tellLost)
    return {
      write: (line) => {
        unwritten += Buffer.byteLength(line)
        writer.write(line)
      },
      flush: () => {
        if (unwritten > 0) writer.flush()
      },
      flushed: () => new Promise((resolve) => writer.flush(() => resolve())),
      reopen: () => writer.reopen(),
    }
  }
  const text = options.textDescriptor === null ? null : open({ fd: unblocked(options.textDescriptor) })
  let json: Sink | null = null
  let closed = false

  let gathering = false
  function gather(): void {
    if (gathering) return
    gathering = true
    clock.after(gatherMs, () => {
      gathering = false
      text?.flush()
      json?.flush()
    })
  }

  function put(event: LogEvent): void {
    gather()
    text?.write(`${textLine(event)}\n`)
    json?.write(`${jsonLine(event, clock.wallMs())}\n`)
  }

  function tellLost(): void {
    if (closed || lost === told) return
    const lines = lost - told
    told = lost
    put({ level: 'warn', event: 'log-lines-dropped', fields: { lines } })
  }

  function openJson(): void {
    if (options.jsonFile === null) return
    try {
      // The writer opens it a moment later, and would end the host where it cannot.
      const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants
      closeSync(openSync(options.jsonFile, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, fileMode))
      json = open({ dest: options.jsonFile })
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.message : String(thrown)
      put({ level: 'error', event: 'log-file-failed', fields: { file: options.jsonFile, cause } })
    }
  }
  openJson()

  return {
    write: (event) => {
      if (!closed && order[event.level] <= order[options.level]) put(event)
    },
    dropped: () => lost,
    reopen: () => (json === null ? openJson() : json.reopen()),
    close: async (limitMs) => {
      closed = true
      const { promise: late, resolve } = Promise.withResolvers<undefined>()
      const timer = clock.after(limitMs, () => resolve(undefined))
      await Promise.race([Promise.all([text?.flushed(), json?.flushed()]), late])
      timer.cancel()
    },
  }
}

/**
 * A descriptor for the same pipe that never blocks the writer. It is opened anew because O_NONBLOCK belongs to the open
 * file, which the mail server's daemon and its other filters share: setting it there would make their writes fail.
 */
function unblocked(descriptor: number): number {
  try {
    if (!fstatSync(descriptor).isFIFO()) return descriptor
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return descriptor
  }
}
