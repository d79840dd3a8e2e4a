/** `postoffice depot`: is the depot whole, and what can be saved of one that is not. */
import { resolve } from 'node:path'
import { asciiJson } from '../../../../courier-compat/ascii-json.ts'
import { checkDepot, isDepotError, salvage } from '../../../../queue-store/index.ts'
import { exitCodes, usageError, type Command, type CommandIo } from '../command.ts'
import { told } from '../exit-code.ts'
import { countOf, visible } from './text.ts'
import { storeOf, withDepot } from './with-depot.ts'
import { readWords, splitVerb } from './words.ts'

const name = 'depot'

const help = `usage: postoffice depot check [--contents] [--json]
       postoffice depot salvage DIR [--json]

check    Whether the tables of the depot agree with each other, and every message has its file. Others may use it meanwhile.
salvage  Copies the messages out of a depot that cannot be opened any more into a new folder, so far as they can be read: each as
         QUEUE-ID.eml, and all that is known of it as QUEUE-ID.json; "loose-..." are messages of which nothing else is known.
         Nothing may use the depot meanwhile. The depot itself is not changed.

  -C, --config FILE  the ini file whose "store" is the depot (default: as for "postoffice")
      --store DIR    the depot itself
      --contents     reads every message, and compares it with its digest
      --json         one JSON document

Exit status: 0 all is well, or saved; 64 wrong usage; 65 the depot is damaged, or not all could be saved; 66 there is no depot; 73
the folder is there already, or cannot be made; 75 it was ended, try again; 78 broken configuration.
`

/** The command. */
export const depotCommand: Command = {
  name,
  summary: 'check the depot, or save what is in a damaged one',
  help,
  run: (args, io) => {
    const { verb, rest } = splitVerb(args, ['check', 'salvage'])
    if (verb === 'check') return check(rest, io)
    if (verb === 'salvage') return save(rest, io)
    return Promise.resolve(usageError(io, name, 'say which: check or salvage'))
  },
}

async function check(args: readonly string[], io: CommandIo): Promise<number> {
  const given = readWords(args, { contents: { type: 'boolean' } }, [])
  if (typeof given === 'string') return usageError(io, name, given)
  return withDepot(io, name, given, async (depot) => {
    let found
    try {
      found = await checkDepot(depot.core, { withContents: given.is('contents'), signal: io.signal })
    } catch (error) {
      if (io.signal.aborted) return exitCodes.tempFail
      throw error
    }
    const { queues, messages, problems } = found
    if (given.is('json')) io.out(`${asciiJson(found, 2)}\n`)
    else {
      for (const problem of problems) io.out(`${visible(problem)}\n`)
      const said = problems.length === 0 ? 'all is well' : countOf(problems.length, 'problem')
      io.out(`${countOf(queues, 'queue')}, ${countOf(messages)}: ${said}\n`)
    }
    return problems.length === 0 ? exitCodes.ok : exitCodes.dataErr
  })
}

async function save(args: readonly string[], io: CommandIo): Promise<number> {
  const given = readWords(args, {}, ['DIR'])
  if (typeof given === 'string') return usageError(io, name, given)
  const store = storeOf(io, name, given)
  if (typeof store === 'number') return store
  const target = resolve(io.currentDirectory, given.words[0] ?? '')
  let saved
  try {
    saved = await salvage(store, target)
  } catch (error) {
    io.err(`postoffice depot: ${told(error)}\n`)
    return isDepotError(error) ? exitCodes.dataErr : exitCodes.cantCreate
  }
  const { messages, loose, problems } = saved
  if (given.is('json')) io.out(`${asciiJson(saved, 2)}\n`)
  else {
    for (const problem of problems) io.out(`${visible(problem)}\n`)
    io.out(`${countOf(messages + loose)} saved in ${visible(target)}${loose === 0 ? '' : `, ${loose} of them loose`}\n`)
  }
  return problems.length === 0 ? exitCodes.ok : exitCodes.dataErr
}
