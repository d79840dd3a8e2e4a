/** What the commands that talk to a running host share: where it is, how it is asked, what is said where it is not. */
import { join, resolve } from 'node:path'
import { configDirectories, findConfigDirectory, readConfiguration } from '../config/read.ts'
import { askHost, type Asked } from '../control/client.ts'
import type { ControlAsk, ControlRequest } from '../control/protocol.ts'
import { controlSocketName } from '../control/server.ts'
import { lockHolder } from '../instance-lock.ts'
import { systemFiles } from '../platform/files.ts'
import { defaultStateDirectory } from '../state-folder.ts'
import { exitCodes, type CommandIo } from './command.ts'
import { usualConfigDirectory } from './config-directory.ts'

/** Which host is meant. */
export interface HostPlace {
  readonly config: string | undefined
  readonly stateDir: string | undefined
}

/** For `parseArgs`: the options by which a host is found. */
export const placeOptions = {
  config: { type: 'string', short: 'c' },
  'state-dir': { type: 'string' },
} as const

/** The same, for the help texts. */
export const placeHelp = `  -c, --config DIR     the host's configuration folder, to find its state folder (default: as for "nodefilter run")
      --state-dir DIR  its state folder (default: [host] state_dir of nodefilter.conf, else ${defaultStateDirectory})
`

/** The state folder of the host that is meant. */
export async function findStateDirectory({ config, stateDir }: HostPlace, env: NodeJS.ProcessEnv): Promise<string> {
  if (stateDir !== undefined) return resolve(stateDir)
  // Courier need not be asked where its folder cannot count.
  const directory = config ?? findConfigDirectory(configDirectories(null)) ?? (await usualConfigDirectory(env))
  // Also of a broken configuration as much is believed as the host believes.
  return readConfiguration({ directory, sets: [] }).remaining.host.stateDir ?? defaultStateDirectory
}

/** Asks the host in this state folder. */
export function ask(stateDirectory: string, what: ControlAsk | ControlRequest): Promise<Asked> {
  return askHost(join(stateDirectory, controlSocketName), what)
}

/** Says why there is no answer; resolves to the exit code. */
export function tellUnanswered(
  command: string,
  stateDirectory: string,
  asked: Exclude<Asked, { readonly kind: 'answer' }>,
  io: CommandIo,
): number {
  const tell = (text: string): void => io.err(`nodefilter ${command}: ${text}\n`)
  switch (asked.kind) {
    case 'denied':
      tell(`you may not ask the host with the state folder ${stateDirectory}: become root, or the host's user`)
      return exitCodes.noPerm
    case 'silent':
      tell(`the host with the state folder ${stateDirectory} gave no answer: ${asked.text}`)
      return exitCodes.tempFail
    case 'nobody': {
      const holder = lockHolder(stateDirectory, systemFiles)
      if (holder === null) {
        tell(
          `no host runs with the state folder ${stateDirectory}. Under Courier, "nodefilter courier enable" installs it ` +
            'and "courierfilter start" starts it; "nodefilter run" runs one by hand; --state-dir names another folder',
        )
      } else {
        const { pid } = holder
        tell(`process ${pid} has the state folder ${stateDirectory}, but has no control socket there; its log says why`)
      }
      return exitCodes.unavailable
    }
    default:
      return asked satisfies never
  }
}
