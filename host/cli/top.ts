/** `nodefilter top`: the running host, live in a terminal. */
import { parseArgs } from 'node:util'
import { parseDuration } from '../../courier-compat/units.ts'
import { systemClock } from '../platform/clock.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { ask, findStateDirectory, placeHelp, placeOptions, tellUnanswered, type HostPlace } from './control.ts'
import { statusIn, watchHost } from './top/live.ts'
import { topScreen } from './top/screen.ts'
import { openScreen } from './top/terminal.ts'
import { usageError } from './usage.ts'

const help = `usage: nodefilter top [-c DIR] [--state-dir DIR] [--interval TIME] [--once]

Shows the running host live: messages a second by verdict, their times, what is in hand and what waits, connections,
failures, the runners with their threads and memory, and the filters, the slowest one first. Rates and times are those
of the last interval; the first screen has those since the start. Leave it with q or Ctrl-C.

${placeHelp}      --interval TIME  how often, as in 500ms, 2s, 1m (default: 1s)
      --once           one interval, printed as plain lines; also where the output is no terminal

A host that is restarted meanwhile is waited for. Without colours where NO_COLOR is set.

Exit status: 0 done; 64 wrong usage; 69 no host runs there; 75 it gives no answer; 77 only root and the host's user may
ask.
`

const intervalLimits = { minMs: 100, maxMs: 3_600_000 } as const

/** The command. */
export const topCommand: Command = {
  name: 'top',
  summary: 'watch the running host in a terminal',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    if (typeof options === 'number') return options
    const stateDirectory = await findStateDirectory(options, io.env)
    const askStatus = () => ask(stateDirectory, 'status')
    const asked = await askStatus()
    if (asked.kind !== 'answer') return tellUnanswered('top', stateDirectory, asked, io)
    const first = statusIn(asked)
    if (first === null) {
      io.err(`nodefilter top: the host is of another release than this one; "nodefilter restart" renews it\n`)
      return exitCodes.tempFail
    }
    const { stdin, stdout } = process
    if (!options.once && stdout.isTTY && io.env['TERM'] !== 'dumb') {
      const isColoured = (io.env['NO_COLOR'] ?? '') === ''
      const screen = openScreen(stdin, stdout, isColoured)
      try {
        await watchHost(askStatus, screen, options.intervalMs, systemClock)
      } finally {
        screen.close()
      }
      return exitCodes.ok
    }
    await new Promise<void>((resolve) => void systemClock.after(options.intervalMs, resolve))
    const again = await askStatus()
    if (again.kind !== 'answer') return tellUnanswered('top', stateDirectory, again, io)
    const second = statusIn(again)
    if (second === null) {
      io.err('nodefilter top: the host answered something else\n')
      return exitCodes.tempFail
    }
    io.out(
      topScreen(second, first, null)
        .map(({ text }) => `${text}\n`)
        .join(''),
    )
    return exitCodes.ok
  },
}

interface TopOptions extends HostPlace {
  readonly intervalMs: number
  readonly once: boolean
}

function parseOptions(args: readonly string[], io: CommandIo): TopOptions | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...placeOptions,
        interval: { type: 'string', default: '1s' },
        once: { type: 'boolean', default: false },
      },
    })
    const { config, interval, once } = values
    const intervalMs = parseDuration(interval)
    if (intervalMs === null || intervalMs < intervalLimits.minMs || intervalMs > intervalLimits.maxMs)
      return usageError(io, 'top', `--interval: "${interval}" is no time from 100ms to 1h, as in 500ms, 2s, 1m`)
    return { config, stateDir: values['state-dir'], intervalMs, once }
  } catch (thrown) {
    return usageError(io, 'top', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
