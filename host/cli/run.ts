/** `nodefilter run`: the daemon, from its start to its stop. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { configDirectories, findConfigDirectory, readConfiguration, type Configuration } from '../config/read.ts'
import { startDaemon, type Daemon } from '../daemon.ts'
import { onStandardInputEnd, signalReady } from '../doors/courierfilter/startup.ts'
import { createEvents } from '../observe/events.ts'
import { openLog, type Log } from '../observe/log.ts'
import { parseFaults } from '../platform/faults.ts'
import { faultyFiles } from '../platform/faulty-files.ts'
import { keepYoungHeapSmall } from '../platform/memory.ts'
import { systemPlatform } from '../platform/platform.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { startAgainStatus, startsAgain } from './courier/launcher.ts'
import { findCourier } from './courier/layout.ts'
import { usageError } from './usage.ts'
import { packageVersion } from './version.ts'

const help = `usage: nodefilter [run] [-c DIR] [--set SECTION.KEY=VALUE]... [--state-dir DIR] [--name NAME]

Runs the host in the foreground: loads the filters, opens Courier's filter socket, answers until it is told to stop.
Courier starts it by the launcher that "nodefilter courier enable" installs; run by hand it does the same.

  -c, --config DIR           folder of nodefilter.conf and filters.conf (default: the first of /etc/nodefilter,
                             /usr/local/etc/nodefilter and nodefilter in Courier's sysconfdir that exists)
      --set SECTION.KEY=VALUE  one setting; wins over nodefilter.conf; may be given again
      --state-dir DIR        folder of the lock and the sockets (default: /var/lib/nodefilter)
      --name NAME            name of the socket in Courier's folder (default: nodefilter)
      --door courierfilter   the door to open (there is one so far)

Signals: HUP reads the configuration again, as "nodefilter reload" does, which also tells what came of it; USR1 opens the
log file anew; TERM and INT finish what is in hand and stop, a second one stops at once. The end of standard input stops
it as well, where that is a pipe.

Exit status: 0 stopped; 64 wrong usage; 69 the socket cannot be opened; 75 another host has the state folder;
${startAgainStatus} "nodefilter restart" was asked for, and the launcher that started it starts it again.
A broken configuration does not end it: it answers 451 to all mail and says why in its log.
`

/** The command. */
export const runCommand: Command = {
  name: 'run',
  summary: 'run the host (the default)',
  help,
  run: async (args, io) => {
    const options = parseOptions(args, io)
    return typeof options === 'number' ? options : run(options, io)
  },
}

interface RunOptions {
  readonly config: string | undefined
  readonly set: readonly string[]
  readonly stateDir: string | undefined
  readonly name: string
}

function parseOptions(args: readonly string[], io: CommandIo): RunOptions | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        'state-dir': { type: 'string' },
        name: { type: 'string', default: 'nodefilter' },
        door: { type: 'string', default: 'courierfilter' },
      },
    })
    if (values.door !== 'courierfilter')
      return usageError(io, 'run', `there is no door "${values.door}"; the one door is courierfilter`)
    if (!/^[^./][^/]*$/.test(values.name))
      return usageError(io, 'run', `"${values.name}" cannot be the name of a socket`)
    return { config: values.config, set: values.set, stateDir: values['state-dir'], name: values.name }
  } catch (thrown) {
    return usageError(io, 'run', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function run(options: RunOptions, io: CommandIo): Promise<number> {
  keepYoungHeapSmall()
  const { promise: ended, resolve: end } = Promise.withResolvers<string>()
  let daemon: Daemon | null = null
  let code: number = exitCodes.ok
  let asked = false
  const { promise: serving, resolve: tellServing } = Promise.withResolvers<Daemon>()
  let log: Log | null = null
  const reload = (): void => {
    // What was written while it started counts as well.
    void serving.then((host) => host.reload())
  }
  const drain = (reason: string): void => {
    const failed = (thrown: unknown): void => io.err(`ERR: nodefilter: the stop failed: ${String(thrown)}\n`)
    void daemon
      ?.stop(reason)
      .catch(failed)
      .then(() => end(reason))
  }
  const stop = (reason: string): void => {
    // While it starts nothing is in hand. Asked again: only messages without an answer are lost, and their senders try again.
    if (daemon === null || (asked && reason.startsWith('SIG'))) end(reason)
    asked = true
    // Also while it restarts: whoever wants it stopped wants no other one.
    code = exitCodes.ok
    drain(reason)
  }
  const restart = (): void => {
    if (asked) return
    code = startAgainStatus
    drain('restart')
  }
  // From the first moment: unhandled, a signal would end the process, and an end of the input wait for the filters.
  process.on('SIGHUP', reload)
  process.on('SIGUSR1', () => log?.reopen())
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  onStandardInputEnd(() => stop('end of standard input'))

  const faultText = io.env['NODEFILTER_FAULTS'] ?? ''
  const faults = parseFaults(faultText)
  const platform = { ...systemPlatform, faults, files: faultyFiles(systemPlatform.files, faults) }
  const courier = await findCourier({ env: io.env })
  const read = (): Configuration =>
    readConfiguration({
      directory: options.config ?? findConfigDirectory(configDirectories(courier.found ? courier.sysconfdir : null)),
      sets: options.set,
    })
  const first = read()
  const { level, file, maxBuffer } = first.remaining.log
  log = openLog({ level, textDescriptor: 2, maxBufferOctets: maxBuffer, jsonFile: file }, platform.clock)
  let unread: Configuration | null = first
  const starting = startDaemon(
    {
      version: packageVersion(),
      name: options.name,
      courier: {
        socketDirectory: join(courier.localstatedir, 'allfilters'),
        spoolDirectory: join(courier.localstatedir, 'tmp'),
      },
      stateDirectory: options.stateDir ?? null,
      readConfiguration: () => {
        // Whoever changed the files may have moved the log's as well.
        if (unread === null) log.reopen()
        const next = unread ?? read()
        unread = null
        return next
      },
      restart: { isPossible: () => startsAgain(io.env, process.ppid), begin: restart },
      faults: faultText,
    },
    platform,
    log,
  )
  const started = await Promise.race([starting, ended])
  if (typeof started === 'string') {
    // Its runner ends with this process, and the next host takes over a lock whose holder is gone.
    createEvents(log).hostStopped(started)
    await log.close(500)
    return exitCodes.ok
  }
  if ('kind' in started) {
    io.err(`ERR: nodefilter: ${started.text}\n`)
    await log.close(500)
    return started.kind === 'another-instance' ? exitCodes.tempFail : exitCodes.unavailable
  }
  daemon = started
  signalReady()
  tellServing(daemon)
  await ended
  await log.close(500)
  return code
}
