/** What `nodefilter courier enable` looks at on the machine before it plans. Reads only. */
import { dirname, join } from 'node:path'
import { formatProblem } from '../../problem.ts'
import { findConfigDirectory, readConfiguration } from '../../config/read.ts'
import {
  exists,
  filesIn,
  findIdentity,
  firstLine,
  ownerOf,
  readFilterFacts,
  readObstacles,
  type Needed,
} from './facts.ts'
import { launcherScript } from './launcher.ts'
import type { CourierLayout } from './layout.ts'
import type { EnableFacts } from './plan.ts'
import type { Identity } from './reach.ts'
import type { CommandRunner } from './run-command.ts'

/** The machine as these commands see it, so that tests can put another in its place. */
export interface CourierMachine {
  readonly run: CommandRunner
  readonly uid: () => number
  readonly nodePath: () => string
  readonly programPath: () => string
  /** Where configuration is looked for, the first one first; that one is made where there is none. */
  readonly configFolders: (sysconfdir: string) => string[]
  /** The state folder where neither the command line nor the configuration names one. */
  readonly stateDirectory: string
}

/** What the user asked for. Paths are absolute. */
export interface EnableOrder {
  readonly name: string
  readonly configDirectory: string | null
  readonly stateDirectory: string | null
}

/** Looks at everything that `planEnable` needs. */
export async function readEnableFacts(
  order: EnableOrder,
  layout: CourierLayout,
  machine: CourierMachine,
  env: NodeJS.ProcessEnv,
): Promise<EnableFacts> {
  const folders = machine.configFolders(layout.sysconfdir)
  const found = order.configDirectory ?? findConfigDirectory(folders)
  const configDirectory = found ?? folders[0] ?? '/etc/nodefilter'
  const configExists = found !== null && exists(found)
  const configuration = configExists ? readConfiguration({ directory: found, sets: [] }) : null
  const stateDirectory = order.stateDirectory ?? configuration?.remaining.host.stateDir ?? machine.stateDirectory
  const [nodePath, programPath] = [machine.nodePath(), machine.programPath()]
  const mailUser = await findIdentity(layout.mailUser, machine.run, env)

  const needed: Needed[] = [
    { what: 'Node', path: nodePath, wanted: ['read', 'execute'] },
    { what: 'the program', path: programPath, wanted: ['read'] },
  ]
  if (configExists) {
    needed.push({ what: 'the configuration folder', path: configDirectory, wanted: ['read', 'search'] })
    for (const path of filesIn(configDirectory)) needed.push({ what: 'the configuration file', path, wanted: ['read'] })
  }
  const aboveState = dirname(stateDirectory)
  if (exists(aboveState)) needed.push({ what: 'the folder', path: aboveState, wanted: ['search'] })
  const probe = machine.uid() === 0 && mailUser !== null ? probeAs(mailUser, machine.run, env) : null

  // A folder that was found is not written into the launcher: the host finds it the same way, also when it moves.
  const { configDirectory: givenConfig, stateDirectory: givenState } = order
  return {
    ...readFilterFacts(layout, order.name),
    launcherText: launcherScript({ nodePath, programPath, configDirectory: givenConfig, stateDirectory: givenState }),
    mailUser,
    stateDirectory,
    stateOwner: ownerOf(stateDirectory),
    configDirectory,
    configExists,
    configGiven: givenConfig !== null,
    configProblems: configuration?.problems.map(formatProblem) ?? [],
    obstacles: mailUser === null ? [] : await readObstacles(needed, mailUser, probe),
    filtered: firstLine(join(layout.sysconfdir, 'enablefiltering')),
  }
}

/** Tries access for real, as the user in question. */
export function probeAs({ uid, gid }: Identity, run: CommandRunner, env: NodeJS.ProcessEnv) {
  return async ({ path, wanted }: Needed): Promise<boolean> => {
    const tests = wanted
      .map((access) => `[ ${{ read: '-r', write: '-w', execute: '-x', search: '-x' }[access]} "$1" ]`)
      .join(' && ')
    const answer = await run('/bin/sh', ['-c', tests, 'sh', path], { env, limitMs: 3000, uid, gid })
    return answer.status === 0
  }
}
