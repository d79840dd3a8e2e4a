/** `nodefilter courier enable|disable|doctor`: puts the host into Courier, takes it out again, says what is wrong with it. */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { configDirectories } from '../config/read.ts'
import { defaultStateDirectory } from '../state-folder.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { applyStep } from './courier/apply.ts'
import { readEnableFacts, type CourierMachine } from './courier/enable-facts.ts'
import { readFilterFacts } from './courier/facts.ts'
import { runDoctor, systemProbes } from './courier/doctor/command.ts'
import type { DoctorProbes } from './courier/doctor/read.ts'
import { findCourier } from './courier/layout.ts'
import { describeStep, planDisable, planEnable, type Plan } from './courier/plan.ts'
import { runCommand, type CommandRunner } from './courier/run-command.ts'

const usage = `Usage: nodefilter courier enable  [--name NAME] [-c DIR] [--state-dir DIR] [--dry-run]
       nodefilter courier disable [--name NAME] [--dry-run]
       nodefilter courier doctor  [--name NAME] [-c DIR] [--state-dir DIR] [--json]
`

const help = `${usage}
enable   Makes Courier run the host as a mail filter: writes a launcher into Courier's filter folder, creates the state
         folder for Courier's user and, where there is none, a configuration folder with commented files, and runs
         "filterctl start". Enabled already: writes the launcher anew, for instance after Node was moved.
disable  Runs "filterctl stop", waits until Courier has let go of the host, and removes the launcher. Mail is then
         accepted unfiltered. State and configuration stay.
doctor   Looks at the installation and says what is wrong with it, the gravest first, each finding with its cure.
         Changes nothing. Sees more as root.

  --name NAME      the filter's name, also that of its socket (default: nodefilter)
  -c, --config DIR the configuration folder; default: the first that exists of /etc/nodefilter,
                   /usr/local/etc/nodefilter and "nodefilter" in Courier's own configuration folder
  --state-dir DIR  the state folder (default: [host] state_dir of nodefilter.conf, else /var/lib/nodefilter)
  --json           doctor: one JSON object instead of text
  --dry-run        only print what would be done; needs no root, but sees more with it
  -h, --help       this text

enable and disable need root. Courier decides in its file "enablefiltering" which mail is filtered; this command does
not change it.
Exit status: 0 done; 64 wrong arguments; 66 no such configuration folder; 69 no Courier; 73 a file of that name is not
ours; 75 not finished in time, try again; 77 not root; 78 Courier's user cannot reach Node, nodefilter or its files.
Of doctor: 0 no errors (but perhaps warnings and notes); 77 no errors, but not run by root and so not all was seen; 78
errors were found.
`

/** The command on this machine. */
export const courierCommand: Command = createCourierCommand({
  run: runCommand,
  uid: () => process.geteuid?.() ?? -1,
  nodePath: () => process.execPath,
  programPath: () => realpathSync(process.argv[1] ?? ''),
  configFolders: configDirectories,
  stateDirectory: defaultStateDirectory,
})

/** The command on any machine. */
export function createCourierCommand(machine: CourierMachine, probes: () => DoctorProbes = systemProbes): Command {
  return {
    name: 'courier',
    summary: 'make Courier run the host as a mail filter, stop that, or find out what is wrong',
    help,
    run: async (args, io) => {
      const [verb, ...rest] = args
      if (verb === 'doctor' && !rest.some((word) => word === '--help' || word === '-h')) {
        return runDoctor(rest, usage, machine, probes(), io)
      }
      const order = readArguments(args)
      if ('problem' in order) {
        io.err(`nodefilter courier: ${order.problem}\n${usage}`)
        return exitCodes.usage
      }
      if (order.help) {
        io.out(help)
        return exitCodes.ok
      }
      if (!order.dryRun && machine.uid() !== 0) {
        io.err(`nodefilter courier ${order.verb}: only root may change Courier's filters (or use --dry-run)\n`)
        return exitCodes.noPerm
      }
      const layout = await findCourier({ env: io.env, run: machine.run })
      const plan =
        order.verb === 'enable'
          ? planEnable(await readEnableFacts(order, layout, machine, io.env))
          : planDisable(readFilterFacts(layout, order.name))
      return carryOut(plan, order, machine.run, io)
    },
  }
}

interface Order {
  readonly verb: 'enable' | 'disable'
  readonly name: string
  readonly configDirectory: string | null
  readonly stateDirectory: string | null
  readonly dryRun: boolean
  readonly help: boolean
}

function readArguments(args: readonly string[]): Order | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        name: { type: 'string', default: 'nodefilter' },
        config: { type: 'string', short: 'c' },
        'state-dir': { type: 'string' },
        'dry-run': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [verb, ...rest] = positionals
    const isVerb = verb === 'enable' || verb === 'disable'
    if (!values.help && verb === 'doctor') return { problem: '"doctor" comes first, its options after it' }
    if (!values.help && !isVerb)
      return { problem: `say "enable", "disable" or "doctor"${verb === undefined ? '' : `, not "${verb}"`}` }
    if (rest.length > 0) return { problem: `unexpected argument "${rest.join(' ')}"` }
    if (verb === 'disable' && (values.config ?? values['state-dir']) !== undefined) {
      return { problem: '-c and --state-dir go with "enable" alone' }
    }
    return {
      verb: isVerb ? verb : 'enable',
      name: values.name,
      configDirectory: values.config === undefined ? null : resolve(values.config),
      stateDirectory: values['state-dir'] === undefined ? null : resolve(values['state-dir']),
      dryRun: values['dry-run'],
      help: values.help,
    }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

async function carryOut(plan: Plan, order: Order, run: CommandRunner, io: CommandIo): Promise<number> {
  const who = `nodefilter courier ${order.verb}`
  if ('problem' in plan) {
    io.err(`${who}: ${plan.problem}\n`)
    return plan.exitCode
  }
  for (const warning of plan.warnings) io.err(`${who}: warning: ${warning}\n`)
  for (const step of plan.steps) {
    io.out(`${order.dryRun ? 'would ' : ''}${describeStep(step)}\n`)
    if (order.dryRun) continue
    try {
      const failure = await applyStep(step, run, io.env)
      if (failure === null) continue
      io.err(`${who}: ${failure.problem}\n`)
      return failure.temporary ? exitCodes.tempFail : exitCodes.unavailable
    } catch (error) {
      io.err(`${who}: ${messageOf(error)}\n`)
      return exitCodes.cantCreate
    }
  }
  if (!order.dryRun || plan.steps.length === 0) io.out(`${plan.done}\n`)
  return exitCodes.ok
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
