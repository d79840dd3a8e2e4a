/**
 * Finds the Python installation that pythonfilter runs from. Reads only: the one program that is started is Python
 * itself, which is asked where the package lies and imports nothing of it.
 *
 * Source: spec pythonfilter 1.3 (a filter is a module of the package `pythonfilter`, under a new or an old name).
 */
import { readFileSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import type { CommandRunner } from '../courier/run-command.ts'

/** A module of the package, looked at without running it. */
export interface PythonModule {
  readonly file: string
  /** Why it cannot run as a filter, as far as its text tells, and what to do; `null`: it can. */
  readonly fault: string | null
  /** Whether its text names TtlDb, so that it opens a store of tokens. */
  readonly usesTtlDb: boolean
}

/** Where pythonfilter's Python is. */
export interface PythonInstallation {
  /** Absolute; `null`: the package was found without an interpreter that knows it. */
  readonly interpreter: string | null
  /** A folder that Python must be told of to find the package; `null`: it knows by itself. */
  readonly path: string | null
  /** The package `pythonfilter`. */
  readonly folder: string
  readonly modules: ReadonlyMap<string, PythonModule>
}

/** Where to look. */
export interface PythonSearch {
  /** The interpreter that the user named. */
  readonly named: string | null
  /** The program that Courier runs as the filter pythonfilter: its first line names an interpreter. */
  readonly scripts: readonly string[]
  /** Whether the interpreter that such a program names may be run by this user; see `mayRun`. */
  readonly mayRun: (interpreter: string) => boolean
  /** Folders that hold packages, for a Python that cannot be asked; `*` stands for any part of a name. */
  readonly places: readonly string[]
  readonly run: CommandRunner
  readonly env: NodeJS.ProcessEnv
}

/** Where Python packages usually lie. */
export const usualPlaces: readonly string[] = [
  '/usr/lib/python3/dist-packages',
  '/usr/local/lib/python3*/dist-packages',
  '/usr/local/lib/python3*/site-packages',
  '/usr/lib/python3*/site-packages',
  '/usr/lib64/python3*/site-packages',
]

// Isolated (-I): neither the current folder nor the environment adds places. A spec is found without importing anything.
const question = `import importlib.util, json, sys
spec = importlib.util.find_spec("pythonfilter")
print(json.dumps([sys.executable, list(spec.submodule_search_locations or []) if spec else []]))
`
const limitMs = 10_000

/** Finds it, or `null`. Never rejects. */
export async function findPython(search: PythonSearch): Promise<PythonInstallation | null> {
  const { named, scripts, mayRun, places, run, env } = search
  const candidates = named === null ? [...scripts.flatMap(interpreterOf).filter(mayRun), 'python3'] : [named]
  for (const candidate of new Set(candidates)) {
    const { status, stdout } = await run(candidate, ['-I', '-c', question], {
      env: { PATH: env['PATH'] ?? '/usr/bin:/bin' },
      limitMs,
    })
    const [interpreter, folders] = status === 0 ? readAnswer(stdout) : [null, []]
    const folder = folders.find(isFolder)
    if (folder !== undefined) return { interpreter, path: null, folder, modules: modulesIn(folder) }
  }
  if (named !== null) return null
  for (const place of places.flatMap(expand)) {
    const folder = join(place, 'pythonfilter')
    if (isFolder(folder)) return { interpreter: null, path: place, folder, modules: modulesIn(folder) }
  }
  return null
}

/**
 * Whether `user` may run an interpreter that a script names. Courier's user may be able to write such scripts, and what it
 * names is not to be run by root unless nobody but root can have put it there.
 *
 * Shape:  true for a bare name, which is looked up in the user's own PATH; for a path, of all folders on the way to it, and
 *         to where its links lead: they belong to root or to the user, and not everybody may write there.
 */
export function mayRun(interpreter: string, user: number): boolean {
  if (!interpreter.includes('/')) return true
  if (!isAbsolute(interpreter)) return false
  const isSafe = (path: string): boolean => {
    const found = stats(path)
    if (found === null || (found.uid !== 0 && found.uid !== user) || (found.mode & 0o002) !== 0) return false
    return path === '/' || isSafe(dirname(path))
  }
  return isSafe(interpreter) && isSafe(realpathSync(interpreter))
}

/** The interpreter in a script's first line; of `#!/usr/bin/env python3` the word after it. */
function interpreterOf(script: string): string[] {
  try {
    const [, program = '', argument] =
      /^#!\s*(\S+)(?:[ \t]+(\S+))?/.exec(readFileSync(realpathSync(script), 'utf8')) ?? []
    const interpreter = basename(program) === 'env' ? (argument ?? '') : program
    return basename(interpreter).startsWith('python') ? [interpreter] : []
  } catch {
    return []
  }
}

function readAnswer(text: string): [string | null, string[]] {
  try {
    const [interpreter, folders] = JSON.parse(text) as [unknown, unknown]
    const isPath = (path: unknown): path is string => typeof path === 'string' && isAbsolute(path)
    return [isPath(interpreter) ? interpreter : null, Array.isArray(folders) ? folders.filter(isPath) : []]
  } catch {
    return [null, []]
  }
}

function modulesIn(folder: string, prefix = ''): Map<string, PythonModule> {
  const modules = new Map<string, PythonModule>()
  for (const entry of namesIn(folder)) {
    const path = join(folder, entry)
    const [, name] = /^([A-Za-z_][A-Za-z0-9_]*)(?:\.py|\.[A-Za-z0-9_-]+\.so)?$/.exec(entry) ?? []
    if (name === undefined || name === '__init__' || name === '__pycache__') continue
    if (isFolder(path)) {
      const init = join(path, '__init__.py')
      if (isFile(init)) modules.set(prefix + name, moduleAt(init))
      if (prefix.split('.').length < 5)
        for (const [inner, module] of modulesIn(path, `${prefix}${name}.`)) modules.set(inner, module)
    } else if (name !== entry && isFile(path)) modules.set(prefix + name, moduleAt(path))
  }
  return modules
}

function moduleAt(file: string): PythonModule {
  // Compiled code cannot be looked at: it counts as a filter like any other.
  if (!file.endsWith('.py')) return { file, fault: null, usesTtlDb: false }
  const text = readText(file)
  return { file, fault: faultIn(text), usesTtlDb: /\bTtlDb\b/.test(text) }
}

function faultIn(text: string): string | null {
  const defines = (name: string): boolean =>
    new RegExp(
      `^(?:(?:async[ \\t]+)?def[ \\t]+${name}\\b|${name}[ \\t]*=|[ \\t]*(?:from\\b.*)?import\\b.*\\b${name}\\b)`,
      'm',
    ).test(text)
  for (const [now, old, effect] of [
    ['do_filter', 'doFilter', 'pythonfilter ran both over each message'],
    ['init_filter', 'initFilter', 'pythonfilter called both'],
  ] as const) {
    if (defines(now) && defines(old)) return `it has both ${now} and ${old}, and ${effect}; keep ${now} alone`
  }
  // Indented definitions and "import *" may give it one after all.
  if (/\b(?:do_filter|doFilter)\b|\bimport[ \t]*\*/.test(text)) return null
  return 'it has neither do_filter nor doFilter, so pythonfilter ran nothing at this place; take the line out'
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** The folders that a pattern with `*` in its parts means, the newest Python first. */
function expand(pattern: string): string[] {
  let folders = ['/']
  for (const part of pattern.split('/').filter((name) => name !== '')) {
    folders = folders.flatMap((folder) => {
      if (!part.includes('*')) return [join(folder, part)]
      const wanted = new RegExp(
        `^${part
          .split('*')
          .map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}$`,
      )
      return namesIn(folder)
        .filter((name) => wanted.test(name))
        .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
        .map((name) => join(folder, name))
    })
  }
  return folders
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isFolder(path: string): boolean {
  return stats(path)?.isDirectory() === true
}

function isFile(path: string): boolean {
  return stats(path)?.isFile() === true
}

/** `null` also for what cannot be looked at. */
function stats(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}
