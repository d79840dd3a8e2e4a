/** `nodefilter courier doctor`: looks at an installation and says what is wrong with it and what helps. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { askHost } from '../../../control/client.ts'
import { controlSocketName } from '../../../control/server.ts'
import { exitCodes, type CommandIo } from '../../command.ts'
import { nodeRange, packageVersion } from '../../version.ts'
import { asciiJson } from '../../wrap.ts'
import type { CourierMachine } from '../enable-facts.ts'
import { findCourier } from '../layout.ts'
import { findingRecord, paragraph, severityOf, type Finding } from './finding.ts'
import { findingsOf } from './findings.ts'
import { listProcesses, processDetails } from './processes.ts'
import { readDoctorFacts, type DoctorProbes } from './read.ts'

const askLimitMs = 5000

/** The probes of this machine. */
export const systemProbes = (): DoctorProbes => ({
  processes: () => listProcesses(),
  processDetails: (pid) => processDetails(pid),
  version: packageVersion(),
  nodeRange: nodeRange(),
  askHost: async (stateDirectory) => {
    const asked = await askHost(join(stateDirectory, controlSocketName), 'status', askLimitMs)
    if (asked.kind !== 'answer') return asked
    if (asked.answer.type !== 'status') return { kind: 'silent', text: 'it answered something else' }
    const { version, phase, configuration } = asked.answer.status
    const { problems, refusedReload, needRestart } = configuration
    return { kind: 'answer', version, phase, problems, refusedReload: refusedReload?.problems ?? [], needRestart }
  },
})

/** Runs it with the arguments after `doctor`; resolves to the exit code. `usage` is told after wrong arguments. */
export async function runDoctor(
  args: readonly string[],
  usage: string,
  machine: CourierMachine,
  probes: DoctorProbes,
  io: CommandIo,
): Promise<number> {
  const order = readArguments(args)
  if ('problem' in order) {
    io.err(`nodefilter courier doctor: ${order.problem}\n${usage}`)
    return exitCodes.usage
  }
  const layout = await findCourier({ env: io.env, run: machine.run })
  const facts = await readDoctorFacts(order, layout, machine, probes, io.env)
  if (!layout.found && facts.filterFolder.kind === 'absent') {
    io.err(
      `nodefilter courier doctor: no Courier was found: no courier-config answered, and there is no folder ${facts.filterFolder.path}\n`,
    )
    return exitCodes.unavailable
  }
  const findings = findingsOf(facts)
  if (order.json) {
    const versions = { nodefilter: facts.version, courier: layout.version, node: process.version }
    io.out(`${asciiJson({ name: order.name, versions, findings: findings.map(findingRecord) }, 2)}\n`)
  } else {
    for (const finding of findings) io.out(`${paragraph(finding)}\n`)
    io.out(`${closingLine(findings, order.name)}\n`)
  }
  if (findings.some((finding) => severityOf(finding) === 'ERROR')) return exitCodes.config
  return facts.isRoot ? exitCodes.ok : exitCodes.noPerm
}

interface Order {
  readonly name: string
  readonly configDirectory: string | null
  readonly stateDirectory: string | null
  readonly json: boolean
}

function readArguments(args: readonly string[]): Order | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        name: { type: 'string', default: 'nodefilter' },
        config: { type: 'string', short: 'c' },
        'state-dir': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    // It becomes part of paths; what else is wrong with a name is a finding.
    if (!/^[^/.][^/]*$/.test(values.name)) return { problem: `"${values.name}" cannot name a filter` }
    return {
      name: values.name,
      configDirectory: values.config === undefined ? null : resolve(values.config),
      stateDirectory: values['state-dir'] === undefined ? null : resolve(values['state-dir']),
      json: values.json,
    }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function closingLine(findings: readonly Finding[], name: string): string {
  const count = (severity: string): number => findings.filter((finding) => severityOf(finding) === severity).length
  const counts = [
    [count('ERROR'), 'error'],
    [count('WARNING'), 'warning'],
    [count('note'), 'note'],
  ] as const
  const told = counts
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}${number === 1 ? '' : 's'}`)
  return told.length === 0 ? `Nothing is wrong: Courier asks ${name} about its mail.` : `${told.join(', ')}.`
}
