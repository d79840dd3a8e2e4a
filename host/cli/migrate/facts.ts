/**
 * What `nodefilter migrate` looks at on the machine. Reads only.
 *
 * Source: spec pythonfilter 1.2 (where the list is looked for: the first one alone counts) and 4 (the settings: both files
 * count, and the list's third folder is not looked in).
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { CourierLayout } from '../courier/layout.ts'
import type { CommandRunner } from '../courier/run-command.ts'
import type { Item, SourceFile } from './item.ts'
import type { OwnFilters } from './own-filters.ts'
import { findPython, type PythonInstallation } from './python.ts'

/** The machine as this command sees it, so that tests can put another in its place. */
export interface MigrateMachine {
  readonly run: CommandRunner
  readonly courier: (env: NodeJS.ProcessEnv) => Promise<CourierLayout>
  /** Folders of pythonfilter's files, the first one first; Courier's own comes after them, for the list alone. */
  readonly folders: readonly string[]
  /** Whether an interpreter that a script names may be run; see `PythonSearch`. */
  readonly mayRun: (interpreter: string) => boolean
  /** Where Python packages lie; see `PythonSearch`. */
  readonly packagePlaces: readonly string[]
  readonly ownFilters: () => Promise<OwnFilters>
  /** The folder that is written to unless another is named. */
  readonly target: string
}

/** An installation of pythonfilter, and what nodefilter has for it. */
export interface MigrationFacts {
  readonly list: SourceFile
  /** Both of them, in the order in which they are merged. */
  readonly modules: readonly SourceFile[]
  /** Files that hold nothing for pythonfilter, or cannot be read. */
  readonly remarks: readonly Item[]
  readonly python: PythonInstallation | null
  readonly own: OwnFilters
  readonly courier: CourierLayout
  /** Courier's link that makes it run pythonfilter, and whether it is there. */
  readonly link: string
  readonly isActive: boolean
}

/** What the user asked for. Paths are absolute. */
export interface MigrateOrder {
  readonly from: readonly string[]
  readonly python: string | null
}

/** Looks. The answer is the places where a list was looked for, where there is none. */
export async function readMigrationFacts(
  order: MigrateOrder,
  machine: MigrateMachine,
  env: NodeJS.ProcessEnv,
): Promise<MigrationFacts | { readonly lookedIn: readonly string[] }> {
  const courier = await machine.courier(env)
  const isGiven = order.from.length > 0
  const moduleFolders = isGiven ? order.from : machine.folders
  const listFolders = isGiven ? order.from : [...machine.folders, courier.sysconfdir]
  const remarks: Item[] = []
  const read = (path: string): SourceFile[] => {
    const text = readText(path)
    if (typeof text === 'string') return [{ file: path, text }]
    if (text.why !== null) {
      const notes = [`it cannot be read (${text.why}); run this as root, or mend the file`]
      remarks.push({ file: path, line: null, kind: 'problem', subject: '', notes })
    }
    return []
  }

  const lookedIn = listFolders.map((folder) => join(folder, 'pythonfilter.conf'))
  const [list, ...others] = lookedIn.flatMap(read)
  if (list === undefined && remarks.length === 0) return { lookedIn }
  for (const { file } of others) {
    const notes = [`pythonfilter never looked at it, since it read ${list?.file ?? ''}`]
    remarks.push({ file, line: null, kind: 'unused', subject: '', notes })
  }
  const modules = moduleFolders.flatMap((folder) => read(join(folder, 'pythonfilter-modules.conf')))
  if (!isGiven) {
    const unread = join(courier.sysconfdir, 'pythonfilter-modules.conf')
    if (!moduleFolders.includes(courier.sysconfdir) && existsSync(unread)) {
      const notes = ['pythonfilter never looked at it: for settings, it looks in /etc and /usr/local/etc alone']
      remarks.push({ file: unread, line: null, kind: 'unused', subject: '', notes })
    }
  }

  const link = join(courier.sysconfdir, 'filters/active/pythonfilter')
  const scripts = [link, join(courier.libexecdir, 'filters/pythonfilter')]
  const python = await findPython({
    named: order.python,
    scripts,
    mayRun: machine.mayRun,
    places: machine.packagePlaces,
    run: machine.run,
    env,
  })
  return {
    list: list ?? { file: lookedIn[0] ?? '', text: '' },
    ...{ modules, remarks, python, courier, link },
    own: await machine.ownFilters(),
    isActive: isThere(link),
  }
}

/** Owner and permissions for a file made from these: settings may hold passwords. */
export function strictestMode(files: readonly SourceFile[]): { mode: number; uid: number; gid: number } | null {
  const stats = files.flatMap(({ file }) => statSync(file, { throwIfNoEntry: false }) ?? [])
  const closed = stats.find(({ mode }) => (mode & 0o004) === 0)
  return closed === undefined ? null : { mode: closed.mode & 0o640, uid: closed.uid, gid: closed.gid }
}

function readText(path: string): string | { readonly why: string | null } {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (error instanceof TypeError) return { why: 'it is not UTF-8' }
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    return { why: code === 'ENOENT' || code === 'ENOTDIR' ? null : code }
  }
}

function isThere(path: string): boolean {
  try {
    return realpathSync(path) !== ''
  } catch {
    return false
  }
}
