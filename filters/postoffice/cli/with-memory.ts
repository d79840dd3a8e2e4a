/** The memory of the depot for commands that only look. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { PostofficeSettings } from '../configuration.ts'
import { createPostMemory, type PostMemory } from '../memory.ts'
import { openStoreMemory } from '../store-memory.ts'
import { exitCodes, type CommandIo } from './command.ts'
import { exitCodeOf, told } from './exit-code.ts'
import { openStore } from './setup.ts'

/**
 * Runs `work` with the memory. A depot that is not there yet is not made for a question; where it cannot be asked, that is told, and the memory
 * is empty.
 */
export async function withMemory<T>(
  configuration: PostofficeSettings,
  io: CommandIo,
  work: (memory: PostMemory) => Promise<T>,
): Promise<T> {
  if (!existsSync(join(configuration.store, 'depot.json'))) {
    io.err(`There is no depot ${configuration.store} yet: nothing is known of earlier messages.\n`)
    return work(createPostMemory())
  }
  let depot
  try {
    depot = await openStore(configuration)
  } catch (error) {
    if (exitCodeOf(error) === exitCodes.tempFail) throw error
    io.err(`The depot cannot be asked, so nothing is known of earlier messages: ${told(error)}\n`)
    return work(createPostMemory())
  }
  const memory = openStoreMemory(depot, io.now)
  try {
    return await work(memory)
  } finally {
    await memory.close()
    await depot.close()
  }
}
