/** `nodefilter status`: what the running host is, does and has done. */
import { parseArgs } from 'node:util'
import { statusFormat, type HostPhase } from '../control/status.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { ask, findStateDirectory, placeHelp, placeOptions, tellUnanswered, type HostPlace } from './control.ts'
import { statusText } from './status-text.ts'
import { usageError } from './usage.ts'
import { asciiJson, visible } from './wrap.ts'

const help = `usage: nodefilter status [-c DIR] [--state-dir DIR] [--verbose | --json]

Asks the running host what it is, which configuration it runs, and what it has done since it was started: messages by
verdict, failures by kind, for each filter its runs, outcomes and times, its runners and threads.

${placeHelp}      --verbose        all settings, not only those that differ from their defaults
      --json           everything as one JSON object; times in ms, moments in ms since the epoch

Exit status: 0 the host serves; 64 wrong usage; 69 no host runs there; 75 it is starting or stopping, or gives no
answer; 77 only root and the host's user may ask; 78 it runs, but its configuration is broken and no mail is filtered.
`

/** The command. */
export const statusCommand: Command = {
  name: 'status',
  summary: 'show what the running host is and does',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const stateDirectory = await findStateDirectory(options, io.env)
    const asked = await ask(stateDirectory, 'status')
    if (asked.kind !== 'answer') return tellUnanswered('status', stateDirectory, asked, io)
    const { answer } = asked
    if (answer.type !== 'status') {
      io.err(`nodefilter status: ${answer.type === 'refused' ? answer.text : 'the host answered something else'}\n`)
      return exitCodes.tempFail
    }
    const { status } = answer
    if (options.json) io.out(`${asciiJson(status)}\n`)
    else if (status.format === statusFormat) io.out(visible(statusText(status, options.verbose)))
    else {
      io.err(`nodefilter status: the host is nodefilter ${status.version}, another release than this one; see --json\n`)
    }
    return exitCodeOf[status.phase] ?? exitCodes.tempFail
  },
}

const exitCodeOf: Readonly<Partial<Record<HostPhase, number>>> = {
  serving: exitCodes.ok,
  broken: exitCodes.config,
}

interface StatusOptions extends HostPlace {
  readonly verbose: boolean
  readonly json: boolean
}

function parseOptions(args: readonly string[], io: CommandIo): StatusOptions | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...placeOptions,
        verbose: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const { config, verbose, json } = values
    return { config, stateDir: values['state-dir'], verbose, json }
  } catch (thrown) {
    return usageError(io, 'status', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
