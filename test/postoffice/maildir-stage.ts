/** A post office with a Maildir for tests: its ini file, its mail, its program with a clock of its own, and what came of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import type { Test } from 'tap'
import type { CommandIo } from '../../filters/postoffice/cli/command.ts'
import { runProgram } from '../../filters/postoffice/cli/program.ts'
import type { ImportReport } from '../../filters/postoffice/import/report.ts'
import { openDepot, type Entry, type OpenedDepot } from '../../queue-store/index.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { nodeOptions } from '../helpers/node-options.ts'
import { importClockMs, messageText } from './cases-import.ts'

/** The program as a file. */
export const program = join(import.meta.dirname, '../../filters/postoffice/cli/main.ts')

/** One queue for `example.com`. */
export const queueA = '[queue:A]\nfilters =\n  to_hostname: example.com\n'

/** How a command ended and what it said. */
export interface Said {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** How to run it. */
export interface RunOptions {
  readonly nowMs?: number
  /** A clock, in place of a moment. */
  readonly now?: () => number
  readonly env?: NodeJS.ProcessEnv
  readonly currentDirectory?: string
  readonly signal?: AbortSignal
  /** Hears what it says on standard error, as it is said. */
  readonly onErr?: (text: string) => void
}

/** The stage. */
export interface MaildirStage {
  readonly folder: string
  readonly maildir: string
  readonly ini: string
  /** Writes the ini file: what follows the two required lines. */
  configure(lines: string): void
  /** Delivers a message; one character an octet. */
  put(name: string, text: string, how?: { readonly place?: 'new' | 'cur'; readonly timeMs?: number }): string
  /** Delivers the base message with a Message-Id of its own, and this subject. */
  putBase(name: string, subject?: string): void
  /** Runs the program in this process. */
  run(args?: readonly string[], options?: RunOptions): Promise<Said>
  /** Imports, and gives its numbers. */
  import(options?: RunOptions): Promise<ImportReport & { readonly code: number | null; readonly err: string }>
  /** Runs the program in a process of its own. */
  spawn(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Said>
  withDepot<T>(work: (depot: OpenedDepot) => Promise<T>): Promise<T>
  /** What is in a queue; `[]` where there is none. */
  entries(queue: string): Promise<Entry[]>
  /** The files of the Maildir, as `new/NAME` or `.2015.06.01/cur/NAME`, sorted. */
  files(): string[]
}

/** Makes one, with an empty Maildir and queue A. */
export function makeStage(t: Pick<Test, 'teardown'>): MaildirStage {
  const folder = memoryFolder(t)
  const maildir = join(folder, 'Maildir')
  const ini = join(folder, 'postoffice.ini')
  for (const place of ['new', 'cur', 'tmp']) mkdirSync(join(maildir, place), { recursive: true })
  const stage: MaildirStage = {
    folder,
    maildir,
    ini,
    configure: (lines) => {
      writeFileSync(ini, `[post office]\nstore = %(here)s/depot\nmaildir = %(here)s/Maildir\n${lines}`)
    },
    put: (name, text, { place = 'new', timeMs = importClockMs } = {}) => {
      const path = join(maildir, place, name)
      writeFileSync(path, text, 'latin1')
      utimesSync(path, timeMs / 1000, timeMs / 1000)
      return path
    },
    putBase: (name, subject = 'Hello') => {
      const fields = [`Message-Id: <${name}@sender.example>`, `Subject: ${subject}`]
      stage.put(name, messageText({ fields }))
    },
    run: (args = [], options = {}) => run(['-C', ini, ...args], { currentDirectory: folder, ...options }),
    import: async (options) => {
      const { code, out, err } = await stage.run(['-v', '--json'], options)
      return { ...(JSON.parse(out) as ImportReport), code, err }
    },
    spawn: async (args, env = {}) => {
      const child = spawn(process.execPath, [...nodeOptions(), program, ...args], {
        cwd: folder,
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 60_000,
      })
      const said = Promise.all([textOf(child.stdout), textOf(child.stderr)])
      await once(child, 'close')
      const [out, err] = await said
      return { code: child.exitCode, out, err }
    },
    withDepot: async (work) => {
      const depot = await openDepot(join(folder, 'depot'), { pollSeconds: 60 })
      try {
        return await work(depot)
      } finally {
        await depot.close()
      }
    },
    entries: (queue) =>
      stage.withDepot(async (depot) =>
        (await depot.queues()).includes(queue) ? (await depot.queue(queue)).peek({ max: 10_000 }) : [],
      ),
    files: () =>
      readdirSync(maildir, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory() && entry.name !== 'maildirfolder')
        .map((entry) => join(entry.parentPath, entry.name).slice(maildir.length + 1))
        .sort(),
  }
  stage.configure(queueA)
  return stage
}

/** Runs the program in this process. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Said> {
  const said = { out: '', err: '' }
  const output = new Writable({
    write: (chunk: Buffer | string, _, done) => {
      said.out += chunk.toString()
      done()
    },
  })
  const io: CommandIo = {
    out: (text) => void (said.out += text),
    err: (text) => {
      said.err += text
      options.onErr?.(text)
    },
    output,
    input: new PassThrough(),
    env: options.env ?? {},
    currentDirectory: options.currentDirectory ?? '/nonexistent',
    program: '',
    isErrTty: false,
    signal: options.signal ?? new AbortController().signal,
    now: options.now ?? (() => options.nowMs ?? importClockMs),
  }
  return { code: await runProgram(args, io), ...said }
}

/** The octets of a message in a queue, one character an octet. */
export async function contentOf(stage: MaildirStage, queue: string, id: string): Promise<string> {
  return stage.withDepot(async (depot) => {
    const { message } = await (await depot.queue(queue)).open(id)
    return (await message.bytes()).toString('latin1')
  })
}

/** A file's octets, one character an octet. */
export function octetsOf(path: string): string {
  return readFileSync(path, 'latin1')
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const piece of stream) text += String(piece)
  return text
}
