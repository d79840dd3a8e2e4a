/** The depot of a queue command: opened, worked with, closed. */
import { lstatSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { OpenedDepot } from '../../../../queue-store/index.ts'
import { exitCodes, type CommandIo } from '../command.ts'
import { exitCodeOf, told } from '../exit-code.ts'
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
 * the command makes something: else a mistyped name would be a new depot. `group` is that of a new one.
 */
export async function withDepot(
  io: CommandIo,
  command: string,
  given: Words,
  work: (depot: OpenedDepot) => Promise<number>,
  { isMade = false, group = null }: { readonly isMade?: boolean; readonly group?: number | null } = {},
): Promise<number> {
  const store = storeOf(io, command, given)
  if (typeof store === 'number') return store
  if (!isMade) {
    try {
      lstatSync(join(store, 'depot.json'))
    } catch (error) {
      const code = exitCodeOf(error)
      io.err(`postoffice ${command}: ${code === exitCodes.noInput ? `there is no depot in ${store}` : told(error)}\n`)
      return code
    }
  }
  const depot = await openStore({ store }, { group })
  try {
    return await work(depot)
  } finally {
    await depot.close()
  }
}
