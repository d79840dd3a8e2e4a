/** `nodefilter check`: the chain over message files, without a mail server. */
import { isIP } from 'node:net'
import { parseArgs } from 'node:util'
import type { DebugAddress } from '../runner/debug.ts'
import type { CheckOptions } from './check/run.ts'
import { checkAgain, checkOnce } from './check/watch.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { usualConfigDirectory } from './config-directory.ts'
import { usageError } from './usage.ts'
import { endsAsked } from './work-folder.ts'

const help = `usage: nodefilter check [OPTION]... MESSAGE...

Runs the filter chain over message files (RFC 5322, LF or CRLF) and shows what each filter said. No mail server is
needed, nothing is sent, and the files are not changed: the filters work on copies. What they would add to queues is shown;
what they remember in TTL maps is forgotten at the end.

  -c, --config DIR     folder of nodefilter.conf and filters.conf (default: as for "nodefilter run")
      --set SECTION.KEY=VALUE   one setting; may be given again
      --from ADDRESS   envelope sender; '' for the null sender (default: sender@example.com)
      --to ADDRESS     envelope recipient; may be given again (default: recipient@example.org)
      --ip ADDRESS     the client's address (default: 192.0.2.1)
      --auth NAME      as if the client had authenticated under this name
      --json           one JSON object a message instead of the table
      --verbose        the filters' own log lines on standard error
      --watch          again whenever a filter, a file of the configuration or a message changes; Ctrl-C ends it
      --inspect[=[HOST:]PORT]  under a debugger (default: 127.0.0.1:9229): waits until one is attached, loads the filters
                       into one thread, stops once before the first is called, and has no time limits; Ctrl-C ends it

Exit status: 0 every message got a verdict, whichever it was, or Ctrl-C ended --watch or --inspect; 64 wrong usage; 66 a
message cannot be read; 73 there is no room for the copies; 75 a message could not be decided, because something failed or
Ctrl-C came first; 78 the configuration or a filter is broken.
`

/** The command. */
export const checkCommand: Command = {
  name: 'check',
  summary: 'run the filters over message files and show what they say',
  help,
  run: async (args, io) => {
    const given = parseOptions(args, io)
    if (typeof given === 'number') return given
    const options = { ...given, directory: given.directory ?? (await usualConfigDirectory(io.env)) }
    const interrupted = endsAsked()
    if (options.watch) {
      await checkAgain(options, io, interrupted)
      return exitCodes.ok
    }
    const result = await checkOnce(options, io, interrupted)
    return result?.code ?? (options.inspect === null ? exitCodes.tempFail : exitCodes.ok)
  },
}

/** Where a debugger looks for a Node that waits for it. */
const inspectDefault = '127.0.0.1:9229'

function parseOptions(args: readonly string[], io: CommandIo): (CheckOptions & { readonly watch: boolean }) | number {
  try {
    const { values, positionals } = parseArgs({
      // As with Node's own, its value can only be given with "=".
      args: args.map((arg) => (arg === '--inspect' ? `--inspect=${inspectDefault}` : arg)),
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        from: { type: 'string', default: 'sender@example.com' },
        to: { type: 'string', multiple: true, default: ['recipient@example.org'] },
        ip: { type: 'string', default: '192.0.2.1' },
        auth: { type: 'string' },
        json: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        watch: { type: 'boolean', default: false },
        inspect: { type: 'string' },
      },
    })
    if (positionals.length === 0) return usageError(io, 'check', 'name at least one message file')
    const { from, to, ip, auth = null, json, verbose, watch } = values
    if ([from, ...to, auth ?? ''].some((text) => /[\r\n\0]/.test(text)))
      return usageError(io, 'check', 'an address or a name is one line')
    if (isIP(ip) === 0) return usageError(io, 'check', `"${ip}" is not an IP address`)
    const inspect = values.inspect === undefined ? null : addressOf(values.inspect)
    if (values.inspect !== undefined && inspect === null)
      return usageError(io, 'check', `"${values.inspect}" is not [HOST:]PORT`)
    const { config: directory = null, set } = values
    return { messages: positionals, directory, set, from, to, ip, auth, json, verbose, watch, inspect }
  } catch (thrown) {
    return usageError(io, 'check', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

function addressOf(text: string): DebugAddress | null {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9A-Fa-f:.]+)\]:|([A-Za-z0-9.-]+):)?([0-9]{1,5})$/.exec(text) ?? []
  return port === '' || Number(port) > 65_535 ? null : { host: bracketed ?? plain ?? '127.0.0.1', port: Number(port) }
}
