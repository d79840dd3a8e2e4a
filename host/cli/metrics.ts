/** `nodefilter metrics`: the running host's metrics as text, without HTTP. */
import { parseArgs } from 'node:util'
import type { MetricsFormat } from '../observe/open-metrics.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { ask, findStateDirectory, placeHelp, placeOptions, tellUnanswered, type HostPlace } from './control.ts'
import { usageError } from './usage.ts'

const help = `usage: nodefilter metrics [-c DIR] [--state-dir DIR] [--format openmetrics|prometheus]

Prints what the running host has counted and measured: messages by verdict, failures, each filter's runs and times,
queue, connections, runners, memory. The same text as [metrics] listen of nodefilter.conf gives over HTTP; docs/metrics.md
lists all metrics.

${placeHelp}      --format FORM    openmetrics (the default), or prometheus: the older form, for node_exporter's textfiles

Exit status: 0 done; 64 wrong usage; 69 no host runs there; 75 it gives no answer; 77 only root and the host's user may
ask.
`

/** The command. */
export const metricsCommand: Command = {
  name: 'metrics',
  summary: 'print the metrics of the running host',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const stateDirectory = await findStateDirectory(options, io.env)
    const asked = await ask(stateDirectory, { ask: 'metrics', format: options.format })
    if (asked.kind !== 'answer') return tellUnanswered('metrics', stateDirectory, asked, io)
    const { answer } = asked
    if (answer.type !== 'metrics') {
      io.err(`nodefilter metrics: ${answer.type === 'refused' ? answer.text : 'the host answered something else'}\n`)
      return exitCodes.tempFail
    }
    io.out(answer.text)
    return exitCodes.ok
  },
}

interface MetricsOptions extends HostPlace {
  readonly format: MetricsFormat
}

function parseOptions(args: readonly string[], io: CommandIo): MetricsOptions | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { ...placeOptions, format: { type: 'string', default: 'openmetrics' } },
    })
    const { config, format } = values
    if (format !== 'openmetrics' && format !== 'prometheus')
      return usageError(io, 'metrics', `--format: "${format}" is neither openmetrics nor prometheus`)
    return { config, stateDir: values['state-dir'], format }
  } catch (thrown) {
    return usageError(io, 'metrics', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
