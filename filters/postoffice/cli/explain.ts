/** `postoffice explain FILE`: what would become of a message, step by step. */
import { resolve } from 'node:path'
import { asciiJson } from '../../../courier-compat/ascii-json.ts'
import { openIncoming, type PostEnvelope } from '../incoming.ts'
import { forLog } from '../reasons.ts'
import { sortMessage, type Sorting } from '../sort.ts'
import { commonOptions, parseArguments } from './arguments.ts'
import { exitCodes, usageError, type Command, type CommandIo } from './command.ts'
import { outcomeData, outcomeOf } from './outcome.ts'
import { readConfiguration } from './setup.ts'
import { withMemory } from './with-memory.ts'

/** The command. */
export const explainCommand: Command = {
  name: 'explain',
  summary: 'say step by step what would become of a message',
  help: `usage: postoffice explain [-C FILE] [--envelope-from ADDRESS] [--envelope-to ADDRESS]... [--json] MESSAGE

Says for the message in the file MESSAGE which filters match, which queue it would be put into, and with which marks; or why
into none. Duplicates and fast senders are looked up in the depot. Nothing is remembered, added or moved.

  -C, --config FILE        this ini file
      --envelope-from A    the sender of the envelope, for what is received by SMTP; "" is the null sender
      --envelope-to A      a recipient of the envelope; as often as there are some
      --json               one object: outcome, queue, marks, facts, reason, steps

Exit status: 0, whatever becomes of the message; 66 where it cannot be read, 78 broken configuration, 64 wrong usage.
`,
  run: explain,
}

async function explain(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = parseArguments(args, {
    ...commonOptions,
    'envelope-from': { type: 'string' },
    'envelope-to': { type: 'string', multiple: true },
  })
  if (typeof parsed === 'string') return usageError(io, 'explain', parsed)
  const { values, positionals } = parsed
  const [file, extra] = positionals
  if (file === undefined) return usageError(io, 'explain', 'which message? Name its file')
  if (extra !== undefined) return usageError(io, 'explain', `"${extra}" is too much: one message at a time`)
  const configuration = readConfiguration(io, 'explain', values)
  if (typeof configuration === 'number') return configuration

  const steps: string[] = []
  const sorting = await withMemory(configuration, io, (memory) =>
    sortMessage(
      openIncoming(resolve(io.currentDirectory, file), { envelope: envelopeOf(values) }),
      configuration,
      memory,
      io.now(),
      { mode: 'look', signal: io.signal, onStep: (text) => steps.push(text) },
    ),
  )
  const told = [...stepsUntilQueue(sorting, steps), ...stepsInQueue(sorting)]
  io.out(values.json === true ? `${asciiJson(dataOf(sorting, told))}\n` : describe(sorting, told))
  return exitCodes.ok
}

function envelopeOf(values: {
  readonly 'envelope-from'?: string | undefined
  readonly 'envelope-to'?: string[] | undefined
}): PostEnvelope | null {
  const { 'envelope-from': sender, 'envelope-to': recipients = [] } = values
  if (sender === undefined && recipients.length === 0) return null
  return { sender: sender === undefined || sender === '' || sender === '<>' ? null : sender, recipients }
}

/** What was found on the way. The last word is left to the outcome: here it is one of what would be. */
function stepsUntilQueue({ lines }: Sorting, steps: readonly string[]): readonly string[] {
  return steps.at(-1) === lines.at(-1)?.text ? steps.slice(0, -1) : steps
}

/** What the queue's memory adds. */
function stepsInQueue({ lines }: Sorting): readonly string[] {
  const events = ['auto-response', 'throttled', 'throttle-triggered']
  return lines.filter(({ event }) => events.includes(event)).map(({ text }) => text)
}

function describe(sorting: Sorting, steps: readonly string[]): string {
  const lines = steps.map((text, index) => `${String(index + 1).padStart(2)}. ${forLog(text, 1000)}`)
  lines.push('', outcomeOf(sorting))
  if (sorting.bodyFiltersMissed > 0)
    lines.push('Filters of the body saw none, since the message is over the size limit.')
  if (sorting.outcome === 'queued' && sorting.facts.forgedFields > 0) {
    lines.push(`It came with ${sorting.facts.forgedFields} X-Postoffice-* fields, which count for nothing.`)
  }
  return `${lines.join('\n')}\n`
}

function dataOf(sorting: Sorting, steps: readonly string[]): unknown {
  return { ...outcomeData(sorting), steps }
}
