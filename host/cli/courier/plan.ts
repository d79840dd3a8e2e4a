/**
 * What `nodefilter courier enable` and `disable` do, as a list of steps made from what is on the machine.
 *
 * Pure: `facts.ts` looks, `apply.ts` does. A dry run prints the same steps that a real run carries out.
 * Source: spec courier 1.1, 1.6 (filterctl), 1.8 (which leavings of a filter refuse mail, and which let it pass).
 */
import { join } from 'node:path'
import { exitCodes } from '../command.ts'
import { firstFiles } from './first-files.ts'
import type { CourierLayout } from './layout.ts'
import type { Identity } from './reach.ts'

/** One change to the machine. Modes are permission bits. */
export type Step =
  | { readonly do: 'folder'; readonly path: string; readonly mode: number; readonly owner: Identity | null }
  /** Written only where there is nothing. */
  | { readonly do: 'first-file'; readonly path: string; readonly mode: number; readonly text: string }
  /** Replaces what is there in one move. */
  | { readonly do: 'program'; readonly path: string; readonly text: string }
  | { readonly do: 'command'; readonly file: string; readonly args: readonly string[] }
  | {
      readonly do: 'await'
      readonly path: string
      readonly state: 'there' | 'gone'
      readonly limitMs: number
      readonly late: string
    }
  | { readonly do: 'remove'; readonly path: string }

/** The steps, what the user should know beforehand, and what to say when all is done; or why nothing can be done. */
export type Plan =
  | { readonly steps: readonly Step[]; readonly warnings: readonly string[]; readonly done: string }
  | { readonly problem: string; readonly exitCode: number }

/** Whose a file is: made by us, by somebody else, or not there. */
export type Ownership = 'absent' | 'ours' | 'foreign'

/** What both commands look at. */
export interface FilterFacts {
  readonly name: string
  readonly layout: CourierLayout
  readonly launcher: Ownership
  readonly link: Ownership
  /** Is there a socket of that name? */
  readonly socketExists: boolean
  readonly daemonRuns: boolean
  readonly filterFolderExists: boolean
}

/** What `enable` looks at besides. */
export interface EnableFacts extends FilterFacts {
  readonly launcherText: string
  readonly mailUser: Identity | null
  readonly stateDirectory: string
  readonly stateOwner: number | null
  /** The folder that is used, and whether it must be made. */
  readonly configDirectory: string
  readonly configExists: boolean
  readonly configGiven: boolean
  /** What is wrong with the configuration, a line each. */
  readonly configProblems: readonly string[]
  /** What the mail user cannot get at, each with its cure. */
  readonly obstacles: readonly string[]
  /** The first line of Courier's `enablefiltering`; `null`: no such file. */
  readonly filtered: string | null
}

/** Courier closes a filter's input and waits for its end; the host takes up to 8 s to answer what it has in hand. */
const goneLimitMs = 15_000
/** From the signal to the open door: Node's start, and reading the configuration. */
const startLimitMs = 15_000

/** The paths that belong to a filter's name. */
export function filterPaths(layout: CourierLayout, name: string) {
  return {
    launcher: join(layout.libexecdir, 'filters', name),
    link: join(layout.sysconfdir, 'filters/active', name),
    socket: join(layout.localstatedir, 'allfilters', name),
    pidFile: join(layout.piddir, 'courierfilter.pid'),
    filterctl: join(layout.sbindir, 'filterctl'),
    courierfilter: join(layout.sbindir, 'courierfilter'),
  }
}

/** Why `name` can name no filter, or `null`. Units: a socket's path holds 107 octets, and the door binds `.NAME`. */
export function nameProblem(name: string, layout: CourierLayout): string | null {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    return `"${name}" cannot name a filter: letters, digits, ".", "_" and "-", a letter or digit first, 64 at most`
  }
  const longest = join(layout.localstatedir, 'allfilters', `.${name}`)
  return Buffer.byteLength(longest) <= 107 ? null : `the socket ${longest} would have a path of more than 107 octets`
}

/** Plans `enable`. */
export function planEnable(facts: EnableFacts): Plan {
  const { name, layout, mailUser, configDirectory } = facts
  const paths = filterPaths(layout, name)
  const refused = refusal(facts)
  if (refused !== null) return refused
  if (!facts.filterFolderExists) {
    const why = layout.found ? 'it is missing' : 'no courier-config answered; is Courier installed?'
    return {
      exitCode: exitCodes.unavailable,
      problem: `no filter folder ${join(layout.libexecdir, 'filters')}: ${why}`,
    }
  }
  if (mailUser === null) {
    return { exitCode: exitCodes.unavailable, problem: `Courier's user ${layout.mailUser} does not exist` }
  }
  if (facts.configGiven && !facts.configExists) {
    return { exitCode: exitCodes.noInput, problem: `there is no configuration folder ${configDirectory}` }
  }
  if (facts.obstacles.length > 0) return { exitCode: exitCodes.config, problem: facts.obstacles.join('\n') }

  const steps: Step[] = []
  if (facts.stateOwner === null) {
    steps.push({ do: 'folder', path: facts.stateDirectory, mode: 0o700, owner: mailUser })
  }
  if (!facts.configExists) {
    steps.push({ do: 'folder', path: configDirectory, mode: 0o755, owner: null })
    for (const { name: file, text } of firstFiles) {
      steps.push({ do: 'first-file', path: join(configDirectory, file), mode: 0o644, text })
    }
  }
  steps.push({ do: 'program', path: paths.launcher, text: facts.launcherText })
  if (facts.link === 'absent') {
    steps.push({ do: 'command', file: paths.filterctl, args: ['start', name] })
    if (facts.daemonRuns) {
      const late = `${name} has not opened its door yet, and mail passes unfiltered until it does; the mail log says why`
      steps.push({ do: 'await', path: paths.socket, state: 'there', limitMs: startLimitMs, late })
    }
  }
  return { steps, warnings: enableWarnings(facts), done: enabledText(facts) }
}

/** Plans `disable`. */
export function planDisable(facts: FilterFacts): Plan {
  const { name, layout } = facts
  const paths = filterPaths(layout, name)
  const refused = refusal(facts)
  if (refused !== null) return refused
  if (facts.launcher === 'absent' && facts.link === 'absent') {
    return { steps: [], warnings: [], done: `${name} is not enabled; nothing to do` }
  }
  const steps: Step[] = []
  if (facts.daemonRuns) {
    if (facts.launcher === 'ours') {
      steps.push({ do: 'command', file: paths.filterctl, args: ['stop', name] })
    } else {
      // filterctl knows no filter whose program is gone.
      steps.push({ do: 'remove', path: paths.link })
      steps.push({ do: 'command', file: paths.courierfilter, args: ['restart'] })
    }
    const late = `courierfilter has not let go of ${name} yet, so its launcher stays; run this command again later`
    steps.push({ do: 'await', path: paths.socket, state: 'gone', limitMs: goneLimitMs, late })
  } else {
    if (facts.link === 'ours') steps.push({ do: 'remove', path: paths.link })
    // Nobody else would: with a socket that no filter serves, Courier refuses all mail.
    if (facts.socketExists) steps.push({ do: 'remove', path: paths.socket })
  }
  if (facts.launcher === 'ours') steps.push({ do: 'remove', path: paths.launcher })
  return { steps, warnings: [], done: `${name} is disabled: Courier accepts mail unfiltered by it. Its state stays.` }
}

/** One step in words, for a dry run and for the report of a real one. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case 'folder': {
      const owner = step.owner === null ? '' : `, owner ${step.owner.user}`
      return `create the folder ${step.path} (mode ${octal(step.mode)}${owner})`
    }
    case 'first-file':
      return `write ${step.path} (mode ${octal(step.mode)})`
    case 'program':
      return `write the launcher ${step.path} (mode 0755)`
    case 'command':
      return `run ${[step.file, ...step.args].join(' ')}`
    case 'await':
      return `wait until ${step.path} is ${step.state} (up to ${step.limitMs / 1000} s)`
    case 'remove':
      return `remove ${step.path}`
  }
}

function refusal({ name, layout, launcher, link }: FilterFacts): Plan | null {
  const problem = nameProblem(name, layout)
  if (problem !== null) return { exitCode: exitCodes.usage, problem }
  const paths = filterPaths(layout, name)
  const foreign = launcher === 'foreign' ? paths.launcher : link === 'foreign' ? paths.link : null
  if (foreign === null) return null
  return {
    exitCode: exitCodes.cantCreate,
    problem: `${foreign} was not made by nodefilter and stays as it is; choose another name with --name`,
  }
}

function enableWarnings(facts: EnableFacts): string[] {
  const warnings: string[] = []
  const words = facts.filtered?.split(/\s+/) ?? []
  if (!words.includes('esmtp')) {
    const file = join(facts.layout.sysconfdir, 'enablefiltering')
    const now = facts.filtered === null ? 'is missing' : `says "${facts.filtered}"`
    warnings.push(`Courier asks no filter about mail that comes in by SMTP: ${file} ${now}. Cure: echo esmtp > ${file}`)
  }
  if (facts.stateOwner !== null && facts.stateOwner !== facts.mailUser?.uid) {
    const { stateDirectory, layout } = facts
    warnings.push(`${stateDirectory} belongs to another user. Cure: chown -R ${layout.mailUser} ${stateDirectory}`)
  }
  if (facts.configProblems.length > 0) {
    const text = 'the configuration is broken, and all mail is deferred until it is mended'
    warnings.push([text, ...facts.configProblems].join('\n  '))
  }
  return warnings
}

function enabledText(facts: EnableFacts): string {
  const { name, daemonRuns, link } = facts
  if (!daemonRuns) return `${name} is enabled. courierfilter is not running: it starts with "courierfilter start".`
  if (link === 'absent') return `${name} is enabled and filters mail.`
  return (
    `${name} was enabled already; its launcher is new. What runs keeps the old one until Courier starts it again: ` +
    '"courierfilter stop; courierfilter start" (mail is deferred meanwhile, none passes unfiltered).'
  )
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
