/** `nodefilter quarantine`: what is in the quarantine, and how it comes out again. */
import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import type { Quarantine, Released } from '../../courier-compat/quarantine.ts'
import { countOf } from './amounts.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { releaseByMail } from './quarantine/by-mail.ts'
import { openConfigured, systemMachine, type QuarantineMachine } from './quarantine/open.ts'
import { entryJson, entryTable, entryText } from './quarantine/show.ts'
import { usageError } from './usage.ts'
import { asciiJson, visible, visibleLine } from './wrap.ts'

const help = `usage: nodefilter quarantine list [-c DIR] [--json]
       nodefilter quarantine show [-c DIR] [--json | --headers | --raw] ID
       nodefilter quarantine release [-c DIR] [--again] ID {RECIPIENT... | --all}
       nodefilter quarantine release [-c DIR] --mail [--old-addresses]
       nodefilter quarantine purge [-c DIR] [--older-than DAYS] [--orphans] [--dry-run]
       nodefilter quarantine rebuild [-c DIR]

The messages that filters keep aside in the folder of [quarantine] dir, and those that pythonfilter kept there.

list     What is kept, the oldest first. A state is "held"; "released"; "in part", to some of the recipients; or
         "unknown", where a release was not finished.
show     One message: all that is known of it, or the message itself.
release  Submits a message to recipients that it was kept from, with its sender of then. It stays in the quarantine, but
         is not released to the same recipient twice.
purge    Removes messages kept longer ago than [quarantine] days.
rebuild  Makes the index again, from the messages.

  -c, --config DIR  folder of nodefilter.conf and modules.conf (default: as for "nodefilter run")
      --json        JSON, an object for each message
      --headers     the header section as it was received, fit to be shown
      --raw         the message as it was received, octet for octet
      --all         to all recipients that it is still held for
      --again       also where it was released before, or perhaps was: it may come twice
      --mail        as Courier runs it for a message to a release address: DEFAULT and SENDER in the environment, the
                    message on standard input
      --old-addresses  takes addresses in pythonfilter's notices as well, which can be guessed
      --older-than DAYS  in place of [quarantine] days; 0 is all
      --orphans     also what processes that died have left, after a day
      --dry-run     only says what would be removed

Run by root, it goes on as the owner of the folder.

Exit status: 0 done; 64 wrong usage; 65 a damaged message; 66 there is no such message; 69 the mail server refuses it; 75
not now, try again; 78 the configuration is broken, or the folder not safe. With --mail 0 also where nothing is released,
since nobody is answered whose token is not good.
`

/** The command on this machine. */
export const quarantineCommand: Command = createQuarantineCommand(systemMachine)

/** The command on any machine. */
export function createQuarantineCommand(machine: QuarantineMachine): Command {
  return {
    name: 'quarantine',
    summary: 'list, show, release and remove messages that filters keep aside',
    help,
    run: async (args, io) => {
      const [verb = '', ...rest] = args
      const act = verbs.get(verb)
      if (act === undefined) {
        const names = [...verbs.keys()].join(', ')
        return usageError(
          io,
          'quarantine',
          verb === '' ? `say which: ${names}` : `"${visible(verb)}" is none of ${names}`,
        )
      }
      const order = readArguments(rest, verb, io)
      if (typeof order === 'number') return order
      try {
        return await act(order, machine, io)
      } catch (thrown) {
        const text = thrown instanceof Error ? thrown.message : String(thrown)
        io.err(`nodefilter quarantine: ${visibleLine(text)}\n`)
        if (order.mail) return exitCodes.tempFail
        if (thrown instanceof RangeError) return exitCodes.usage
        return isSystemError(thrown) ? exitCodes.tempFail : exitCodes.dataErr
      }
    },
  }
}

interface Order {
  readonly config: string | null
  readonly words: readonly string[]
  readonly json: boolean
  readonly raw: boolean
  readonly headers: boolean
  readonly all: boolean
  readonly again: boolean
  readonly mail: boolean
  readonly oldAddresses: boolean
  readonly olderThan: number | null
  readonly orphans: boolean
  readonly dryRun: boolean
}

type Act = (order: Order, machine: QuarantineMachine, io: CommandIo) => Promise<number>

const verbs: ReadonlyMap<string, Act> = new Map([
  ['list', list],
  ['show', show],
  ['release', release],
  ['purge', purge],
  ['rebuild', rebuild],
])

const switchesOf: Readonly<Record<string, readonly string[]>> = {
  list: ['json'],
  show: ['json', 'raw', 'headers'],
  release: ['all', 'again', 'mail', 'old-addresses'],
  purge: ['orphans', 'dry-run'],
}

function readArguments(args: readonly string[], verb: string, io: CommandIo): Order | number {
  const wrong = (problem: string): number => usageError(io, 'quarantine', problem)
  try {
    const switches = Object.fromEntries((switchesOf[verb] ?? []).map((name) => [name, { type: 'boolean' as const }]))
    const olderThan = verb === 'purge' ? { 'older-than': { type: 'string' as const } } : {}
    const options = { config: { type: 'string' as const, short: 'c' }, ...switches, ...olderThan }
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options })
    const given = new Map<string, unknown>(Object.entries(values))
    const is = (name: string): boolean => given.get(name) === true
    const days = given.get('older-than')
    if (typeof days === 'string' && !/^[0-9]{1,5}$/.test(days)) return wrong('--older-than is a number of days')
    const needsId = verb === 'show' || (verb === 'release' && !is('mail'))
    if (!needsId && positionals.length > 0) return wrong(`unexpected argument "${visible(positionals[0] ?? '')}"`)
    if (needsId && positionals.length === 0) return wrong('name a message by its id')
    if (verb === 'show' && positionals.length > 1) return wrong('name one message')
    if (verb === 'show' && ['json', 'raw', 'headers'].filter(is).length > 1) return wrong('show it in one way')
    if (verb === 'release' && needsId && is('all') === positionals.length > 1) {
      return wrong('name its recipients, or all of them with --all')
    }
    if (is('mail') && (is('all') || is('again'))) return wrong('--mail goes with neither --all nor --again')
    if (is('old-addresses') && !is('mail')) return wrong('--old-addresses goes with --mail')
    return {
      ...{ config: typeof given.get('config') === 'string' ? String(given.get('config')) : null, words: positionals },
      ...{ json: is('json'), raw: is('raw'), headers: is('headers'), all: is('all'), again: is('again') },
      ...{ mail: is('mail'), oldAddresses: is('old-addresses'), orphans: is('orphans'), dryRun: is('dry-run') },
      olderThan: typeof days === 'string' ? Number(days) : null,
    }
  } catch (thrown) {
    return wrong(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function list({ config, json }: Order, machine: QuarantineMachine, io: CommandIo): Promise<number> {
  const quarantine = await openConfigured(config, machine, io)
  if (quarantine === null) return exitCodes.config
  const { entries, problems } = await quarantine.list()
  if (json) for (const entry of entries) io.out(`${asciiJson(entryJson(entry))}\n`)
  else io.out(entries.length === 0 ? 'The quarantine is empty.\n' : visible(entryTable(entries)))
  return told(problems, io)
}

async function show(order: Order, machine: QuarantineMachine, io: CommandIo): Promise<number> {
  const { config, words, json, raw, headers } = order
  const [id = ''] = words
  const quarantine = await openConfigured(config, machine, io)
  if (quarantine === null) return exitCodes.config
  const entry = await quarantine.show(id)
  if (entry === null) return unknown(id, io)
  if (!raw && !headers) {
    io.out(json ? `${asciiJson(entryJson(entry))}\n` : visible(entryText(entry)))
    return exitCodes.ok
  }
  const message = await quarantine.read(id)
  if (message === null) return unknown(id, io)
  if (headers) io.out(visible(await headerOf(message)))
  else await machine.write(message)
  return exitCodes.ok
}

async function release(order: Order, machine: QuarantineMachine, io: CommandIo): Promise<number> {
  const { DEFAULT: word, SENDER: sender } = io.env
  if (order.mail && (word === undefined || sender === undefined)) {
    io.err(
      'nodefilter quarantine: Courier runs this for a release address, with DEFAULT and SENDER in the environment\n',
    )
    return exitCodes.config
  }
  const quarantine = await openConfigured(order.config, machine, io)
  // A request is not lost for a mistake that is mended soon.
  if (quarantine === null) return order.mail ? exitCodes.tempFail : exitCodes.config
  if (word !== undefined && sender !== undefined && order.mail) {
    const request = { word, sender, oldAddresses: order.oldAddresses }
    return releaseByMail(quarantine, request, machine.stdin(), io)
  }
  const [id = '', ...recipients] = order.words
  const { all, again } = order
  const who = { recipients: all ? ('all' as const) : recipients, by: machine.who(), again }
  const results = await quarantine.release(id, who)
  if (results === null) return unknown(id, io)
  for (const result of results) io.out(`${visibleLine(`${result.address}: ${releaseWords(result)}`)}\n`)
  return releaseStatus(results)
}

function releaseWords({ outcome, text }: Released): string {
  switch (outcome) {
    case 'released':
      return 'released'
    case 'already':
      return 'was released before; with --again it is released once more'
    case 'unknown':
      return `${text}; look into the mail server's log, then use --again if it did not go out`
    case 'failed':
      return `not released: ${text}`
  }
}

function releaseStatus(results: readonly Released[]): number {
  const failed = results.filter(({ outcome }) => outcome === 'failed' || outcome === 'unknown')
  if (failed.length === 0) return exitCodes.ok
  return failed.every(({ isTemporary, outcome }) => isTemporary || outcome === 'unknown')
    ? exitCodes.tempFail
    : exitCodes.unavailable
}

async function purge(order: Order, machine: QuarantineMachine, io: CommandIo): Promise<number> {
  const { config, olderThan, orphans, dryRun } = order
  const quarantine = await openConfigured(config, machine, io)
  if (quarantine === null) return exitCodes.config
  const days = olderThan === null ? {} : { days: olderThan }
  const purged = await quarantine.purge({ ...days, orphans, dryRun, by: machine.who() })
  const word = dryRun ? 'would be removed' : 'removed'
  for (const id of purged.ids) io.out(`${word}: ${id}\n`)
  for (const file of purged.orphans) io.out(`${word}: ${file}, which belongs to nothing\n`)
  io.out(`${countOf(purged.ids.length, 'message')}, ${countOf(purged.orphans.length, 'file')} ${word}\n`)
  return told(purged.problems, io)
}

async function rebuild({ config }: Order, machine: QuarantineMachine, io: CommandIo): Promise<number> {
  const quarantine: Quarantine | null = await openConfigured(config, machine, io)
  if (quarantine === null) return exitCodes.config
  const { count, problems } = await quarantine.rebuild()
  io.out(`${countOf(count, 'message')} in the index\n`)
  return told(problems, io)
}

function told(problems: readonly string[], io: CommandIo): number {
  for (const problem of problems) io.err(`nodefilter quarantine: ${visibleLine(problem)}\n`)
  return problems.length === 0 ? exitCodes.ok : exitCodes.dataErr
}

function unknown(id: string, io: CommandIo): number {
  io.err(`nodefilter quarantine: there is no message ${visibleLine(id)} in the quarantine\n`)
  return exitCodes.noInput
}

/** A longer one is cut. */
const headerOctets = 1024 * 1024

async function headerOf(message: Readable): Promise<string> {
  let text = ''
  for await (const piece of message) {
    text += Buffer.from(piece as Uint8Array).toString('latin1')
    if (text.length > headerOctets || /\n\r?\n/.test(text)) break
  }
  const end = /\n\r?\n/.exec(text)?.index
  return Buffer.from(
    text.slice(0, Math.min(end === undefined ? text.length : end + 1, headerOctets)),
    'latin1',
  ).toString()
}

/** An error of the system, such as a disk that is full. */
function isSystemError(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && Object.hasOwn(constants.errno, String(thrown.code))
}
