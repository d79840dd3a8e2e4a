/** `postoffice check`: reads the ini file, says every fault with its line, and what it found. */
import { asciiJson } from '../../../courier-compat/ascii-json.ts'
import { readPostOffice, type PostofficeSettings, type ReadPostOffice } from '../configuration.ts'
import { forLog } from '../reasons.ts'
import type { PostofficeFilter } from '../types.ts'
import { commonOptions, parseArguments } from './arguments.ts'
import { exitCodes, usageError, type Command, type CommandIo } from './command.ts'
import { findIni, formatProblem } from './setup.ts'

/** The command. */
export const checkCommand: Command = {
  name: 'check',
  summary: 'check the ini file, and show what it says',
  help: `usage: postoffice check [-C FILE] [--json]

Reads the ini file and the files of expressions that it names. Each fault and each warning is told on standard error with
its place (FILE:LINE:COLUMN), and on standard output the queues with their filters, in the order in which they are tried.
Nothing is written, and neither the depot nor the Maildir is opened.

  -C, --config FILE  this ini file
      --json         one object: file, files, problems, warnings, configuration

Exit status: 0 without faults, 78 with any, 64 wrong usage.
`,
  run: (args, io) => Promise.resolve(check(args, io)),
}

function check(args: readonly string[], io: CommandIo): number {
  const parsed = parseArguments(args, commonOptions)
  if (typeof parsed === 'string') return usageError(io, 'check', parsed)
  const [extra] = parsed.positionals
  if (extra !== undefined) return usageError(io, 'check', `"${extra}" is too much`)
  const file = findIni(io, 'check', parsed.values.config ?? null)
  if (typeof file === 'number') return file
  const read = readPostOffice(file, { currentDirectory: io.currentDirectory })
  if (parsed.values.json === true) io.out(`${asciiJson(dataOf(file, read))}\n`)
  else {
    for (const problem of read.problems) io.err(`${formatProblem(problem)}\n`)
    for (const warning of read.warnings) io.err(`warning: ${formatProblem(warning)}\n`)
    if (read.configuration !== null) io.out(describe(read.configuration))
  }
  return read.configuration === null ? exitCodes.config : exitCodes.ok
}

function describe({ file, store, maildir, sorting, rejectFilters, queues, ...rest }: PostofficeSettings): string {
  const { loopFrequency, throttleMs, maxMessageOctets, messageId, duplicateWindowMs } = sorting
  const lines = [
    file,
    `  store     ${store}`,
    `  maildir   ${maildir}`,
    `  messages  ${maxMessageOctets === null ? 'of any size' : `of at most ${maxMessageOctets} octets whole`}`,
    `            without a Message-Id are ${messageId === 'require' ? 'dropped' : 'given one'}`,
    `            are duplicates within ${duplicateWindowMs / 1000} s`,
    loopFrequency === 0
      ? '  senders   of any speed'
      : `  senders   of more than ${loopFrequency} messages a minute are marked for ${throttleMs / 1000} s`,
    `  queues    that are no longer here are ${rest.pruneQueues ? 'removed when empty' : 'kept'}`,
    ...(rejectFilters.length === 0 ? [] : ['', 'Any of these rejects:', ...rejectFilters.map(filterLine)]),
    '',
    queues.length === 0 ? 'There are no queues.' : 'Queues, in the order in which they are tried:',
  ]
  for (const { name, filters, place } of queues) {
    lines.push(`  ${forLog(name)} (line ${place.line})`)
    lines.push(...(filters.length === 0 ? ['    nothing is sorted into it'] : filters.map(filterLine)))
  }
  return `${lines.join('\n')}\n`
}

/** Expressions of a file are counted, not listed. */
function filterLine(filter: PostofficeFilter): string {
  return `    ${filter.kind}: ${argumentOf(filter)}`
}

function argumentOf(filter: PostofficeFilter): string {
  if (filter.kind === 'to_hostname') {
    const { hosts, headers } = filter
    return forLog(`${hosts.map(({ written }) => written).join(' ')} in ${headers.join(', ')}`)
  }
  if (filter.kind.endsWith('_file')) return `${filter.expressions.length} expressions`
  return forLog(filter.expressions.map(({ source }) => source).join(' '))
}

function dataOf(file: string, { configuration, problems, warnings, files }: ReadPostOffice): unknown {
  return {
    file,
    ...{ files, problems, warnings },
    configuration:
      configuration === null
        ? null
        : {
            ...configuration,
            sorting: { ...configuration.sorting, autoResponse: [...configuration.sorting.autoResponse] },
            rejectFilters: configuration.rejectFilters.map(filterData),
            queues: configuration.queues.map((queue) => ({ ...queue, filters: queue.filters.map(filterData) })),
          },
  }
}

function filterData(filter: PostofficeFilter): unknown {
  return { kind: filter.kind, line: filter.place.line, argument: argumentOf(filter) }
}
