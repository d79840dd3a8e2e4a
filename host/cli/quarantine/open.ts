/** The quarantine that the configuration names, for the command. */
import { once } from 'node:events'
import { lstatSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { librarySettings } from '../../../courier-compat/module-config/library-sections.ts'
import { openQuarantine, type Quarantine } from '../../../courier-compat/quarantine.ts'
import { readConfiguration } from '../../config/read.ts'
import { formatProblem } from '../../problem.ts'
import type { CommandIo } from '../command.ts'
import { usualConfigDirectory } from '../config-directory.ts'

/** What the command uses of the machine, so that tests can put something else in its place. */
export interface QuarantineMachine {
  readonly open: typeof openQuarantine
  readonly stdin: () => NodeJS.ReadableStream
  readonly nowMs: () => number
  /** Writes octets to standard output. */
  readonly write: (message: Readable) => Promise<void>
  /** Who runs the command, for the history. */
  readonly who: () => string
  /** Goes on as another user, for good, where this process is root's; what root makes the mail server could not read. */
  readonly become: (uid: number, gid: number) => void
}

/** This machine. */
export const systemMachine: QuarantineMachine = {
  open: openQuarantine,
  stdin: () => process.stdin,
  nowMs: Date.now,
  write: async (message) => {
    for await (const piece of message)
      if (!process.stdout.write(piece as Uint8Array)) await once(process.stdout, 'drain')
  },
  // Root goes on as another user: who it was is what the environment says.
  who: () => `command of ${process.env['SUDO_USER'] ?? process.env['USER'] ?? `user ${process.getuid?.() ?? -1}`}`,
  become: (uid, gid) => {
    if (process.geteuid?.() !== 0 || uid === 0) return
    process.setgroups?.([gid])
    process.setgid?.(gid)
    process.setuid?.(uid)
  },
}

/** The opened quarantine, or `null` where it cannot be used, which has been told then. */
export async function openConfigured(
  config: string | null,
  machine: QuarantineMachine,
  io: CommandIo,
): Promise<Quarantine | null> {
  const fail = (text: string): null => {
    io.err(`nodefilter quarantine: ${text}\n`)
    return null
  }
  const directory = config ?? (await usualConfigDirectory(io.env))
  if (directory === null) return fail('there is no configuration: name its folder with -c')
  const configuration = readConfiguration({ directory, sets: [] })
  const { quarantine: settings, problems } = librarySettings(configuration.modules)
  // Whatever else is wrong there: mail can be got out of the quarantine.
  for (const problem of problems) if (problem.section === 'quarantine') io.err(`${formatProblem(problem)}\n`)
  if (problems.some(({ section }) => section === 'quarantine')) return null
  if (settings.dir === null) {
    for (const problem of configuration.problems) io.err(`${formatProblem(problem)}\n`)
    return fail(`${configuration.modulePaths.join(', ')}: there is no dir in [quarantine]`)
  }
  try {
    const stats = lstatSync(settings.dir)
    if (stats.isDirectory()) machine.become(stats.uid, stats.gid)
    const log = { info: () => undefined, warn: (text: string) => io.err(`warning: ${text}\n`) }
    return await machine.open({ settings, log, nowMs: machine.nowMs })
  } catch (thrown) {
    return fail(thrown instanceof Error ? thrown.message : String(thrown))
  }
}
