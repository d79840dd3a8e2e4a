/** The commands upon queues, in the order of the overview. */
import type { Command } from '../command.ts'
import { depotCommand } from './depot.ts'
import { exportCommand } from './export.ts'
import { listCommand } from './list.ts'
import { purgeCommand } from './purge.ts'
import { queuesCommand } from './queues.ts'
import { receiveCommand } from './receive.ts'
import { requeueCommand } from './requeue.ts'
import { serveCommand } from './serve.ts'
import { ackCommand, buryCommand, extendCommand, nackCommand } from './settle.ts'
import { showCommand } from './show.ts'

/** All of them. */
export const queueCommands: readonly Command[] = [
  queuesCommand,
  listCommand,
  showCommand,
  receiveCommand,
  ackCommand,
  nackCommand,
  extendCommand,
  buryCommand,
  requeueCommand,
  purgeCommand,
  exportCommand,
  serveCommand,
  depotCommand,
]
