/** `nodefilter reload`: the running host reads its configuration again, and says what came of it. */
import { parseArgs } from 'node:util'
import type { ReloadResult } from '../control/protocol.ts'
import { formatProblem } from '../problem.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { ask, findStateDirectory, placeHelp, placeOptions, tellUnanswered, type HostPlace } from './control.ts'
import { usageError } from './usage.ts'

const help = `usage: nodefilter reload [-c DIR] [--state-dir DIR]

Makes the running host read its configuration again, from the folder it was started with, and waits for what comes of
it: either a new runner has loaded the filters and has taken over, without a message refused; or something is wrong,
which is told with file and line, and the host goes on as before. The files of filters are read anew as well.

${placeHelp}
Reloads that are asked for at the same time are done one after the other. What only a restart changes is told.

Exit status: 0 the new configuration is in force; 64 wrong usage; 69 no host runs there; 75 it gives no answer, or is
being stopped; 77 only root and the host's user may ask; 78 the new configuration is broken, the old one goes on.
`

/** The command. */
export const reloadCommand: Command = {
  name: 'reload',
  summary: 'make the running host read its configuration again',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const stateDirectory = await findStateDirectory(options, io.env)
    const asked = await ask(stateDirectory, 'reload')
    if (asked.kind !== 'answer') return tellUnanswered('reload', stateDirectory, asked, io)
    const { answer } = asked
    if (answer.type === 'reload') return tellResult(answer.result, io)
    io.err(`nodefilter reload: ${answer.type === 'refused' ? answer.text : 'the host answered something else'}\n`)
    return exitCodes.tempFail
  },
}

function tellResult({ takenOver, problems, warnings, filters, needRestart }: ReloadResult, io: CommandIo): number {
  for (const warning of warnings) io.err(`warning: ${formatProblem(warning)}\n`)
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`)
  if (!takenOver) {
    const instead = filters.length === 0 ? 'the host goes on as before' : `${countOf(filters)} go on as before`
    io.err(`nodefilter reload: refused, ${instead}\n`)
    return exitCodes.config
  }
  io.out(`reloaded: ${filters.length === 0 ? 'no filter is listed' : `${countOf(filters)}: ${filters.join(' ')}`}\n`)
  if (needRestart.length > 0)
    io.out(`changed, but only "nodefilter restart" takes it over: ${needRestart.join(', ')}\n`)
  return exitCodes.ok
}

function countOf(filters: readonly string[]): string {
  return filters.length === 1 ? '1 filter' : `${filters.length} filters`
}

function parseOptions(args: readonly string[], io: CommandIo): HostPlace | number {
  try {
    const { values } = parseArgs({ args: [...args], options: placeOptions })
    return { config: values.config, stateDir: values['state-dir'] }
  } catch (thrown) {
    return usageError(io, 'reload', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
