/** What most commands begin with: find the ini file, read it, open the depot that it names. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { openDepot, type DepotOptions, type OpenedDepot } from '../../../queue-store/index.ts'
import { readPostOffice, type PostofficeSettings } from '../configuration.ts'
import type { PostofficeProblem } from '../problem.ts'
import { exitCodes, usageError, type CommandIo } from './command.ts'

/** The places of an ini file, in the order in which they are looked at. */
export function iniPlaces(io: Pick<CommandIo, 'currentDirectory' | 'program'>): string[] {
  const beside = io.program === '' ? [] : [join(dirname(dirname(resolve(io.currentDirectory, io.program))), 'etc')]
  return [io.currentDirectory, join(io.currentDirectory, 'etc'), ...beside, '/etc'].map((folder) =>
    join(folder, 'postoffice.ini'),
  )
}

/** The ini file that was named, or the first there is; or an exit code, and why was told. */
export function findIni(io: CommandIo, command: string, named: string | null): string | number {
  if (named !== null) return resolve(io.currentDirectory, named)
  const places = iniPlaces(io)
  const found = places.find((place) => existsSync(place))
  if (found !== undefined) return found
  return usageError(
    io,
    command,
    `unable to find configuration: there is no ${places.join(', ')}; name one with -C FILE`,
  )
}

/**
 * The configuration of the ini file that was named or found; or an exit code, and why was told.
 * Warnings are told only to whoever wants them: `postoffice check` is the place for them.
 */
export function readConfiguration(
  io: CommandIo,
  command: string,
  { config = null, verbose = false }: { readonly config?: string | null; readonly verbose?: boolean } = {},
): PostofficeSettings | number {
  const file = findIni(io, command, config)
  if (typeof file === 'number') return file
  const { configuration, problems, warnings } = readPostOffice(file, { currentDirectory: io.currentDirectory })
  if (verbose) for (const warning of warnings) io.err(`warning: ${formatProblem(warning)}\n`)
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`)
  return configuration ?? exitCodes.config
}

/** The depot of a configuration, made where it is missing. It must be closed. Errors: DepotError. */
export function openStore(
  { store }: Pick<PostofficeSettings, 'store'>,
  options: DepotOptions = {},
): Promise<OpenedDepot> {
  return openDepot(store, options)
}

/** A problem on one line, as nodefilter tells all of them: `FILE:LINE:COLUMN: text; cure`. */
export function formatProblem({ file, line, column, text, cure }: PostofficeProblem): string {
  const place = [file, line, column].filter((part) => part !== null).join(':')
  const told = cure === null ? text : `${text}; ${cure}`
  return `${place}: ${told}`.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}
