/** The depot of a queue command: opened, worked with, closed. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { OpenedDepot } from '../../../../queue-store/index.ts'
import { exitCodes, type CommandIo } from '../command.ts'
import { openStore, readConfiguration } from '../setup.ts'
import type { Words } from './words.ts'

/** The folder of the depot: `--store`, else the `store` of the ini file; or an exit code, and why was told. */
export function storeOf(io: CommandIo, command: string, given: Words): string | number {
  const named = given.text('store')
  if (named !== null) return resolve(io.currentDirectory, named)
  const configuration = readConfiguration(io, command, { config: given.text('config'), verbose: given.is('verbose') })
  return typeof configuration === 'number' ? configuration : configuration.store
}

/**
 * Works with the depot that the arguments name, and closes it; resolves to the exit code. One that is not there is made only where
 * the command makes something: else a mistyped name would be a new depot.
 */
export async function withDepot(
  io: CommandIo,
  command: string,
  given: Words,
  work: (depot: OpenedDepot) => Promise<number>,
  { isMade = false }: { readonly isMade?: boolean } = {},
): Promise<number> {
  const store = storeOf(io, command, given)
  if (typeof store === 'number') return store
  if (!isMade && !existsSync(join(store, 'depot.json'))) {
    io.err(`postoffice ${command}: there is no depot in ${store}\n`)
    return exitCodes.noInput
  }
  const depot = await openStore({ store })
  try {
    return await work(depot)
  } finally {
    await depot.close()
  }
}
