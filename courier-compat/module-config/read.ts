/**
 * Reads files of filter settings: the only part of this folder that touches the file system.
 */
import { statSync } from 'node:fs'
import { delimiter } from 'node:path'
import { codeOf, readTextFile } from '../text-file.ts'
import { mergeModuleFiles } from './merge.ts'
import type { ModuleConfig } from './merge.ts'
import { parseModuleConfig } from './parse.ts'
import type { ModuleProblem } from './problem.ts'

/** A longer file is a mistake, not a configuration. */
export const maxModuleFileOctets = 2 ** 20

/** What was read. */
export interface ReadModuleConfig {
  /** Of the files without problems. Whoever must not run on half of the settings looks at `problems` first. */
  readonly config: ModuleConfig
  readonly problems: readonly ModuleProblem[]
  readonly warnings: readonly ModuleProblem[]
  /** The files that are there, sound or not, in the order read. */
  readonly files: readonly string[]
}

/** In the environment of filters: the files of filter settings in force, with `:` between them. */
export const modulePathsVariable = 'NODEFILTER_MODULES'

/**
 * Where filter settings are looked for when nobody says where: where the host that runs the filter has them from. In any
 * other program, pythonfilter's two files, then `modules.conf` in the first folder of nodefilter's that exists. All of them
 * are read, and the later one wins.
 */
export function moduleConfigPaths(
  isThere: (path: string) => boolean = isFolder,
  env: NodeJS.ProcessEnv = process.env,
): string[] {
  const told = env[modulePathsVariable]
  if (told !== undefined) return told.split(delimiter).filter((path) => path !== '')
  const own = ['/etc/nodefilter', '/usr/local/etc/nodefilter'].find((folder) => isThere(folder))
  const old = ['/etc/pythonfilter-modules.conf', '/usr/local/etc/pythonfilter-modules.conf']
  return own === undefined ? old : [...old, `${own}/modules.conf`]
}

/**
 * Reads files and merges them, later ones over earlier ones. A file that does not exist is passed over.
 *
 * Shape:  `readFile` returns a file's text, or throws, with `code` as in `node:fs` where the system refused.
 * Errors: `problems`, of all files. None are thrown.
 */
export function readModuleConfig(
  paths: readonly string[],
  readFile: (path: string) => string = (path) => readTextFile(path, maxModuleFileOctets),
): ReadModuleConfig {
  const files: string[] = []
  const problems: ModuleProblem[] = []
  const parsed = paths.flatMap((file) => {
    try {
      const text = readFile(file)
      files.push(file)
      return [parseModuleConfig(text, file)]
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return []
      files.push(file)
      problems.push(unreadable(file, error))
      return []
    }
  })
  return {
    config: mergeModuleFiles(parsed),
    problems: [...problems, ...parsed.flatMap((file) => file.problems)],
    warnings: parsed.flatMap((file) => file.warnings),
    files,
  }
}

function unreadable(file: string, error: unknown): ModuleProblem {
  const code = codeOf(error)
  const isRefused = code === 'EACCES' || code === 'EPERM'
  const why = isRefused ? 'permission denied' : (code ?? (error instanceof Error ? error.message : 'unknown error'))
  const cure = isRefused ? "let the mail server's user read it" : null
  const place = { file, line: null, column: null, section: null, key: null, token: null }
  return { ...place, text: `cannot be read: ${why}`, cure, reason: 'ini' }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
