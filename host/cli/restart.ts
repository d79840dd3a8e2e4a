/** `nodefilter restart`: the running host ends in good order, and its launcher starts it again. */
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostStatus } from '../control/status.ts'
import { formatProblem } from '../problem.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { ask, findStateDirectory, placeHelp, placeOptions, tellUnanswered, type HostPlace } from './control.ts'
import { usageError } from './usage.ts'

/** Up to 14 s for what is in hand, a moment for the filters' end, 30 s for loading them. */
const limitMs = 60_000

const lookAgainMs = 100

const help = `usage: nodefilter restart [-c DIR] [--state-dir DIR]

Ends the running host in good order (messages in hand finish within [host] grace) and waits until its launcher has
started it again and it serves. Courier's socket file stays where it is, so until then Courier answers "432, try again
later": no message passes unfiltered, none is lost.

This is how a new release of nodefilter, or of Node, is taken into service, as long as both stand at the paths that the
launcher has (they do after an update in place; otherwise run "nodefilter courier enable" first, then "courierfilter
stop; courierfilter start"). For a changed configuration "nodefilter reload" is enough, and defers nothing.

${placeHelp}
Exit status: 0 the new host serves; 64 wrong usage; 69 no host runs there, or nothing would start it again; 75 it was
not back within ${limitMs / 1000} s; 77 only root and the host's user may ask; 78 it is back, but its configuration is broken.
`

/** The command. */
export const restartCommand: Command = {
  name: 'restart',
  summary: 'restart the running host; no message passes unfiltered meanwhile',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const stateDirectory = await findStateDirectory(options, io.env)
    const sinceMs = performance.now()
    const asked = await ask(stateDirectory, 'restart')
    if (asked.kind !== 'answer') return tellUnanswered('restart', stateDirectory, asked, io)
    const { answer } = asked
    if (answer.type !== 'restart') {
      io.err(`nodefilter restart: ${answer.type === 'refused' ? answer.text : 'the host answered something else'}\n`)
      return exitCodes.unavailable
    }
    const back = await awaitNext(stateDirectory, answer.instance, sinceMs + limitMs)
    const seconds = ((performance.now() - sinceMs) / 1000).toFixed(1)
    if (back === null) {
      io.err(
        `nodefilter restart: the host is not back after ${seconds} s; the mail log says why, Courier defers mail\n`,
      )
      return exitCodes.tempFail
    }
    return tellBack(back, seconds, io)
  },
}

function tellBack({ phase, version, pid, configuration }: HostStatus, seconds: string, io: CommandIo): number {
  const who = `nodefilter ${version}, process ${pid}`
  if (phase === 'serving') {
    io.out(`restarted in ${seconds} s: ${who}\n`)
    return exitCodes.ok
  }
  for (const problem of configuration.problems) io.err(`${formatProblem(problem)}\n`)
  io.err(`nodefilter restart: back after ${seconds} s (${who}), but broken: mend the above, then "nodefilter reload"\n`)
  return exitCodes.config
}

/** Waits for another host than `instance` that serves or is broken; `null` at the deadline. */
async function awaitNext(stateDirectory: string, instance: string, deadlineMs: number): Promise<HostStatus | null> {
  while (performance.now() < deadlineMs) {
    const asked = await ask(stateDirectory, 'status')
    const status = asked.kind === 'answer' && asked.answer.type === 'status' ? asked.answer.status : null
    const isNext = status !== null && status.instance !== instance
    if (isNext && (status.phase === 'serving' || status.phase === 'broken')) return status
    await sleep(lookAgainMs)
  }
  return null
}

function parseOptions(args: readonly string[], io: CommandIo): HostPlace | number {
  try {
    const { values } = parseArgs({ args: [...args], options: placeOptions })
    return { config: values.config, stateDir: values['state-dir'] }
  } catch (thrown) {
    return usageError(io, 'restart', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
