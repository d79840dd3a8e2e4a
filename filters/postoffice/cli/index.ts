/** The commands by name, in the order of the overview. A new one is a file, and a line here. */
import { checkCommand } from './check.ts'
import type { Command } from './command.ts'
import { explainCommand } from './explain.ts'
import { importCommand } from './import.ts'
import { queueCommands } from './queue-commands/index.ts'

/** All of them. The first is run where none is named. */
export const commands: readonly Command[] = [importCommand, checkCommand, explainCommand, ...queueCommands]
