/** Looks at an installation for `nodefilter courier doctor`. Reads only, and starts nothing that it does not end. */
import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statfsSync,
  statSync,
  type Stats,
} from 'node:fs'
import { connect } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { findConfigDirectory, readConfiguration } from '../../../config/read.ts'
import { lockHolder } from '../../../instance-lock.ts'
import { systemFiles } from '../../../platform/files.ts'
import { probeAs, type CourierMachine, type EnableOrder } from '../enable-facts.ts'
import { exists, filesIn, findIdentity, findObstacles, readFilterFacts, readText, type Needed } from '../facts.ts'
import { launcherScript, launcherVersion, readLauncher, type LauncherSettings } from '../launcher.ts'
import type { CourierLayout } from '../layout.ts'
import { filterPaths } from '../plan.ts'
import type { Identity } from '../reach.ts'
import type {
  DoctorFacts,
  HostAnswer,
  HostProcessFact,
  LauncherFact,
  LinkFact,
  PathFact,
  PlaceFact,
  RoomFact,
} from './facts.ts'
import { logFolder } from './file-findings.ts'
import type { ProcessFact } from './processes.ts'

/** What is looked at besides what `enable` looks at, so that tests can put something else in its place. */
export interface DoctorProbes {
  readonly processes: () => readonly ProcessFact[]
  readonly processDetails: (pid: number) => {
    readonly programGone: boolean
    readonly umask: number | null
    readonly maxFiles: number | null
  }
  readonly version: string
  readonly nodeRange: string | null
  /** Asks the host of this state folder, over its control socket. */
  readonly askHost: (stateDirectory: string) => Promise<HostAnswer>
}

const runLimitMs = 5000
const connectLimitMs = 1000

/** Looks at everything. Errors: none for what the machine is like; what cannot be seen says so in its fact. */
export async function readDoctorFacts(
  order: EnableOrder,
  layout: CourierLayout,
  machine: CourierMachine,
  probes: DoctorProbes,
  env: NodeJS.ProcessEnv,
): Promise<DoctorFacts> {
  const { name } = order
  const paths = filterPaths(layout, name)
  const isRoot = machine.uid() === 0
  const user = await findIdentity(layout.mailUser, machine.run, env)
  const text = readText(paths.launcher) ?? ''
  const settings = readLauncher(text)

  const processes = probes.processes()
  const daemons = processes.filter((process) => process.name === 'courierfilter' && !process.isZombie)
  const pids = daemons.map(({ pid }) => pid)
  const entries = processes.filter(({ parent, name: own }) => pids.includes(parent) && own === name.slice(0, 15))
  const hosts = processes.filter(({ words, isZombie }) => !isZombie && isHostOf(words, name))
  // Where the launcher is lost, a host that runs still knows what it was told.
  const told = settings === null ? hosts[0] : undefined
  const given = {
    configDirectory: order.configDirectory ?? settings?.configDirectory ?? optionOf(told, '-c'),
    stateDirectory: order.stateDirectory ?? settings?.stateDirectory ?? optionOf(told, '--state-dir'),
  }
  const folders = machine.configFolders(layout.sysconfdir)
  const found = given.configDirectory ?? findConfigDirectory(folders)
  const directory = found ?? folders[0] ?? '/etc/nodefilter'
  const configuration = readConfiguration({ directory: found, sets: [] })
  const { remaining } = configuration
  const stateDirectory = given.stateDirectory ?? remaining.host.stateDir ?? machine.stateDirectory
  const sockets = remaining.courierfilter.directory ?? dirname(paths.socket)
  const socket = pathFact(join(sockets, name))
  const spool = remaining.courierfilter.spoolDir ?? join(layout.localstatedir, 'tmp')

  const program = settings === null ? null : join(dirname(dirname(settings.programPath)), 'package.json')
  const needed: Needed[] = [
    ...(text === '' ? [] : [{ what: 'the launcher', path: paths.launcher, wanted: ['read', 'execute'] } as const]),
    ...(settings === null
      ? []
      : [
          { what: 'Node', path: settings.nodePath, wanted: ['read', 'execute'] } as const,
          { what: 'the program', path: settings.programPath, wanted: ['read'] } as const,
        ]),
    ...(program !== null && exists(program)
      ? [{ what: "the program's folder", path: dirname(program), wanted: ['search'] } as const]
      : []),
    { what: "Courier's folder of active filters", path: dirname(paths.link), wanted: ['read', 'search'] },
    { what: "Courier's folder of sockets", path: sockets, wanted: ['write', 'search'] },
    { what: "Courier's folder of message files", path: spool, wanted: ['write', 'search'] },
    { what: 'the configuration folder', path: directory, wanted: ['read', 'search'] },
    ...filesIn(directory).map((path) => ({ what: 'the file', path, wanted: ['read'] }) as const),
    ...remaining.chain.filterPath.map(
      (path) => ({ what: 'the filter folder', path, wanted: ['read', 'search'] }) as const,
    ),
    { what: 'the folder', path: dirname(stateDirectory), wanted: ['search'] },
    ...logNeeds(remaining.log.file),
  ]
  // A missing configuration folder or filter folder is a problem of the configuration, which is told as such.
  // What the caller may not look at, it cannot judge for another.
  const present = needed.filter(({ path }) => !['absent', 'unseen'].includes(pathFact(path).kind))
  const probe = isRoot && user !== null ? probeAs(user, machine.run, env) : null

  return {
    ...{ name, layout, isRoot, user, given, socket },
    filterFolder: pathFact(dirname(paths.launcher)),
    launcher: await readLauncherFact(layout, name, text, settings, isRoot ? (user ?? 'nobody') : null, machine, env),
    link: linkFact(paths.link),
    socketListens: socket.kind === 'socket' ? await listens(socket.path) : null,
    twin: pathFact(join(dirname(sockets), 'filters', name)),
    daemon: { pidInFile: pidIn(paths.pidFile), pids },
    process: entries.some(({ isZombie }) => !isZombie) ? 'running' : entries.length > 0 ? 'dead' : 'none',
    hosts: hosts.map(({ pid }): HostProcessFact => {
      const { programGone, umask, maxFiles } = probes.processDetails(pid)
      return { pid, nodeGone: programGone, umask, maxFiles }
    }),
    otherFilters: otherFilters(dirname(paths.link), name),
    enableFiltering: linesOf(join(layout.sysconfdir, 'enablefiltering')),
    config: {
      directory,
      exists: found !== null && exists(found),
      settings: remaining,
      problems: configuration.problems.filter(({ text }) => isRoot || !/permission denied$/.test(text)),
      warnings: configuration.warnings,
    },
    obstacles: user === null ? [] : await findObstacles(present, user, probe),
    places: placesOf(layout, settings, directory, remaining.chain.filterPath),
    state: pathFact(stateDirectory),
    stateHolder: lockHolder(stateDirectory, systemFiles)?.pid ?? null,
    room: [roomAt('message files', spool), roomAt('the state folder', nearest(stateDirectory))].filter(
      (room) => room !== null,
    ),
    version: probes.version,
    nodeRange: probes.nodeRange,
    asked: await probes.askHost(stateDirectory),
  }
}

async function readLauncherFact(
  layout: CourierLayout,
  name: string,
  text: string,
  settings: LauncherSettings | null,
  as: Identity | 'nobody' | null,
  machine: CourierMachine,
  env: NodeJS.ProcessEnv,
): Promise<LauncherFact> {
  const { launcher: whose } = readFilterFacts(layout, name)
  const { launcher } = filterPaths(layout, name)
  const fact = {
    ...pathFact(launcher),
    whose,
    version: launcherVersion(text),
    isCurrent: settings !== null && launcherScript(settings) === text,
  }
  if (settings === null) return { ...fact, starts: null }
  const { nodePath, programPath } = settings
  // As Courier's user: what a script names is not to be run by root, and it is that user who must be able to.
  const identity = as === null || as === 'nobody' ? {} : { uid: as.uid, gid: as.gid }
  const options = { env: { PATH: env['PATH'] ?? '' }, limitMs: runLimitMs, ...identity }
  const versionBy = async (args: readonly string[], pattern: RegExp): Promise<string | null> => {
    if (as === 'nobody') return null
    const { status, stdout } = await machine.run(nodePath, args, options)
    return status === 0 ? (pattern.exec(stdout)?.[1] ?? null) : null
  }
  const nodeVersion = await versionBy(['--version'], /^(v[0-9.]+\S*)$/m)
  const programVersion =
    nodeVersion === null ? null : await versionBy([programPath, '--version'], /^nodefilter (\S+)$/m)
  return { ...fact, starts: { node: followed(nodePath), program: followed(programPath), nodeVersion, programVersion } }
}

function optionOf(process: ProcessFact | undefined, option: string): string | null {
  const at = process?.words.indexOf(option, process.words.indexOf('--door')) ?? -1
  return at < 0 ? null : (process?.words[at + 1] ?? null)
}

function isHostOf(words: readonly string[], name: string): boolean {
  const at = words.indexOf('--door')
  return at > 0 && words[at + 1] === 'courierfilter' && words[words.indexOf('--name', at) + 1] === name
}

/** By a connection, since nothing else tells a socket from its leavings; a host logs it as a request that was none. */
function listens(path: string): Promise<boolean | null> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (answer: boolean | null): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(connectLimitMs, () => end(null))
    socket.on('connect', () => end(true))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? false : null))
  })
}

function pathFact(path: string, look: (path: string) => Stats = lstatSync): PathFact {
  try {
    const stats = look(path)
    const kind = stats.isFile()
      ? 'file'
      : stats.isDirectory()
        ? 'folder'
        : stats.isSymbolicLink()
          ? 'link'
          : stats.isSocket()
            ? 'socket'
            : 'other'
    return { path, kind, uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o7777 }
  } catch (error) {
    return { path, kind: isAbsence(error) ? 'absent' : 'unseen', uid: -1, gid: -1, mode: -1 }
  }
}

/** As `pathFact`, of what links lead to. */
function followed(path: string): PathFact {
  return pathFact(path, statSync)
}

function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)
}

function linkFact(path: string): LinkFact {
  const fact = pathFact(path)
  return { ...fact, target: fact.kind === 'link' ? resolve(dirname(path), readlinkSync(path)) : null }
}

function otherFilters(folder: string, name: string): { name: string; target: string | null }[] {
  try {
    return readdirSync(folder)
      .filter((entry) => entry !== name && !entry.startsWith('.'))
      .sort()
      .map((entry) => ({ name: entry, target: realPath(join(folder, entry)) }))
  } catch {
    return []
  }
}

function linesOf(path: string): string[] | 'absent' | 'unseen' {
  try {
    return readFileSync(path, 'utf8').replace(/\n$/, '').split('\n')
  } catch (error) {
    return isAbsence(error) ? 'absent' : 'unseen'
  }
}

function pidIn(path: string): number | null {
  const text = readText(path)?.trim() ?? ''
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
}

function logNeeds(file: string | null): Needed[] {
  if (file === null) return []
  if (exists(file)) return [{ what: 'the log file', path: file, wanted: ['write'] }]
  return [{ what: logFolder, path: dirname(file), wanted: ['write', 'search'] }]
}

function placesOf(
  layout: CourierLayout,
  settings: LauncherSettings | null,
  config: string,
  filterPath: readonly string[],
): PlaceFact[] {
  const place = (what: string, path: string, owners: PlaceFact['owners']): PlaceFact => ({
    ...followed(path),
    ...{ what, owners },
  })
  const starts = settings === null ? [] : [settings.nodePath, settings.programPath]
  return [
    place("Courier's folder of filters", join(layout.libexecdir, 'filters'), 'root'),
    place("Courier's folder of active filters", join(layout.sysconfdir, 'filters/active'), 'root-or-user'),
    place("Courier's folder of sockets", join(layout.localstatedir, 'allfilters'), 'root-or-user'),
    ...starts.flatMap((path) => [place('the folder', dirname(realPath(path) ?? path), 'root-or-user')]),
    ...starts.map((path) => place('the file', path, 'root-or-user')),
    place('the configuration folder', config, 'root-or-user'),
    ...filesIn(config).map((path) => place('the file', path, 'root-or-user')),
    ...filterPath.map((path) => place('the filter folder', path, 'root-or-user')),
  ].filter(({ kind }) => kind === 'file' || kind === 'folder')
}

function roomAt(what: string, path: string): RoomFact | null {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(path)
    return { what, path, freeOctets: bavail * bsize, freeInodes: files === 0 ? null : ffree }
  } catch {
    return null
  }
}

/** The path, or the first folder above it that is there. */
function nearest(path: string): string {
  let folder = path
  while (!exists(folder) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}
