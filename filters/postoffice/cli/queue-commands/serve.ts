/** `postoffice serve`: the depot over HTTP, for applications in whatever language. */
import { lstatSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { readTextFile } from '../../../../courier-compat/text-file.ts'
import { isDepotError } from '../../../../queue-store/index.ts'
import { serveDepot, type ServeSocket, type ServeTcp } from '../../../../queue-store/http/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { told } from '../exit-code.ts'
import { groupNumber } from '../../../../queue-store/group-number.ts'
import { storeOf, withDepot } from './with-depot.ts'
import { readWords, type Words } from './words.ts'

const name = 'serve'

const help = `usage: postoffice serve --socket PATH [--mode MODE] [--group GROUP] [--json]
       postoffice serve --listen HOST:PORT --token-file FILE [--json]

Serves the depot over HTTP, until it is asked to end (SIGTERM, SIGINT). "GET /v1/openapi.json" describes the calls.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --socket PATH  a Unix socket; whoever may write to it may do everything with the depot
      --mode MODE    its mode, octal (default 0660)
      --group GROUP  its group, name or number (default: this process's)
      --listen HOST:PORT   an address of this machine alone: 127.0.0.1, [::1] or localhost
      --token-file FILE    holds what clients send as "Authorization: Bearer TOKEN", at least 16 characters; readable by its
                           owner and group at most
      --json         where it listens, as JSON, and not as text

Run it as the owner of the depot, or as a member of its group; not as root, unless the depot is root's.

Exit status: 0 it was asked to end; 64 wrong usage; 66 there is no depot; 69 it cannot listen there; 77 run by the wrong user; 78
broken configuration.
`

/** The command. */
export const serveCommand: Command = {
  name,
  summary: 'serve the depot over HTTP',
  help,
  run: async (args, io) => {
    const strings = ['socket', 'mode', 'group', 'listen', 'token-file'].map(
      (one) => [one, { type: 'string' as const }] as const,
    )
    const given = readWords(args, Object.fromEntries(strings), [])
    if (typeof given === 'string') return usageError(io, name, given)
    const where = placeOf(given, io)
    if (typeof where === 'string') return usageError(io, name, where)
    const store = storeOf(io, name, given)
    if (typeof store === 'number') return store
    const owner = statSync(store, { throwIfNoEntry: false })?.uid ?? 0
    if (process.geteuid?.() === 0 && owner !== 0) {
      // What it adds would be root's, and nobody else could read it.
      io.err(`postoffice serve: the depot belongs to user ${owner}: run it as that user\n`)
      return exitCodes.noPerm
    }
    return withDepot(io, name, given, async (depot) => {
      let server
      try {
        server = await serveDepot(depot, where, { onError: (error) => io.err(`postoffice serve: ${told(error)}\n`) })
      } catch (error) {
        io.err(`postoffice serve: ${told(error)}\n`)
        return isDepotError(error, 'DEPOT_OPTION') ? exitCodes.usage : exitCodes.unavailable
      }
      const { address } = server
      if (given.is('json')) io.out(`${asciiJson({ depot: depot.directory, address })}\n`)
      else io.out(`${depot.directory} is served at ${address}\n`)
      await new Promise<void>((done) => {
        if (io.signal.aborted) done()
        else io.signal.addEventListener('abort', () => done())
      })
      await server.close()
      return exitCodes.ok
    })
  },
}

function placeOf(given: Words, io: CommandIo): ServeSocket | ServeTcp | string {
  const [socket, listen] = [given.text('socket'), given.text('listen')]
  if ((socket === null) === (listen === null)) return 'say where: --socket PATH or --listen HOST:PORT'
  return socket === null ? tcpPlace(listen ?? '', given, io) : socketPlace(socket, given, io)
}

function socketPlace(socket: string, given: Words, io: CommandIo): ServeSocket | string {
  if (given.text('token-file') !== null) return '--token-file goes with --listen'
  const mode = given.text('mode') ?? '0660'
  if (!/^0?[0-7]{3}$/.test(mode)) return `--mode ${mode}: an octal mode is wanted, as 0660`
  const named = given.text('group')
  const group = named === null ? null : groupNumber(named)
  if (named !== null && group === null) return `--group ${named}: there is no such group`
  return { socket: resolve(io.currentDirectory, socket), mode: Number.parseInt(mode, 8), group }
}

function tcpPlace(listen: string, given: Words, io: CommandIo): ServeTcp | string {
  if (given.text('mode') !== null || given.text('group') !== null) return '--mode and --group go with --socket'
  const [, host = '', digits = ''] = /^(.*):([0-9]{1,5})$/.exec(listen) ?? []
  const port = Number(digits)
  if (host === '' || port > 65_535) return `--listen ${listen}: HOST:PORT is wanted`
  const file = given.text('token-file')
  if (file === null) return '--listen needs --token-file FILE'
  const path = resolve(io.currentDirectory, file)
  try {
    if ((lstatSync(path).mode & 0o007) !== 0) return `${path} can be read or written by everybody`
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port, token: readTextFile(path, 4096).trim() }
  } catch (error) {
    return `${path} cannot be read: ${told(error)}`
  }
}
