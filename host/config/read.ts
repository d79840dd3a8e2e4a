/**
 * Reads the files of configuration: the only part of it that touches the file system, and the only importer of `ini`.
 *
 * Errors: none are thrown. Every problem of every file is told at once, so that one look is enough to mend them.
 */
import { statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse } from 'ini'
import type { ModuleConfig } from '../../courier-compat/module-config/merge.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { codeOf, readTextFile } from '../../courier-compat/text-file.ts'
import { parseList } from '../chain/list.ts'
import type { ParsedList } from '../chain/list.ts'
import { scanIni } from './ini-lines.ts'
import { noModules, readModules, type ReadModules } from './modules.ts'
import type { Problem } from '../problem.ts'
import { checkHostSettings } from './settings.ts'
import type { HostSettingProblem, HostSettings } from './settings.ts'

/** A longer file is a mistake, not a configuration. */
const maxOctets = 2 ** 20

/** What to read, and how. */
export interface ConfigurationRequest {
  /** The folder of nodefilter.conf; `null` where there is none. */
  readonly directory: string | null
  /** `section.key=value` as on the command line: wins over the file, a later one over an earlier one. */
  readonly sets: readonly string[]
  /** The filter list itself, for a host inside another program; no list file is read then. */
  readonly listText?: string
  /** Returns a file's text, or throws, with `code` as in `node:fs` where the system refused. */
  readonly readFile?: (path: string) => string
  readonly isDirectory?: (path: string) => boolean
}

/** What was read. */
export interface Configuration {
  /** `null` if any setting is at fault. */
  readonly settings: HostSettings | null
  /**
   * The settings with every faulty one at its default: not to serve mail with, but a host whose configuration is broken
   * opens its doors where they should be, and answers as `[host] when_broken` says.
   */
  readonly remaining: HostSettings
  readonly list: ParsedList
  /** The settings of filters; whether they fit is seen when the filters are loaded. */
  readonly modules: ModuleConfig
  /** Where they are looked for, the last one winning. */
  readonly modulePaths: readonly string[]
  /** Whether it is known which filters run with which settings, whatever else is at fault: they can be tried then. */
  readonly isChainKnown: boolean
  /** All of them, those of the list included: the configuration is sound if there are none. */
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** The folder that was asked for. */
  readonly directory: string | null
  /** The files that were read. */
  readonly files: readonly string[]
  /** Where each setting that was written stands, by `section.key`; what is not here has its default. */
  readonly places: ReadonlyMap<string, Place>
}

/** Where something was written: a file and line, or an option of the command line. */
export interface Place {
  readonly file: string
  readonly line: number | null
}

/** The folders in which configuration is looked for, the first one first. */
export function configDirectories(sysconfdir: string | null): string[] {
  const own = ['/etc/nodefilter', '/usr/local/etc/nodefilter']
  return sysconfdir === null ? own : [...own, join(sysconfdir, 'nodefilter')]
}

/** The first candidate that exists, or `null`. */
export function findConfigDirectory(
  candidates: readonly string[],
  exists: (path: string) => boolean = isFolder,
): string | null {
  return candidates.find((path) => exists(path)) ?? null
}

/** Reads nodefilter.conf and the filter list, and checks both. */
export function readConfiguration(request: ConfigurationRequest): Configuration {
  const { readFile = (path: string) => readTextFile(path, maxOctets), isDirectory = isFolder } = request
  const files: string[] = []
  const read = (path: string): string => {
    const text = readFile(path)
    files.push(path)
    return text
  }

  const isThere = request.directory !== null && isDirectory(request.directory)
  const directory = isThere ? request.directory : null
  const written: Written = { values: new Map(), places: new Map() }
  const confProblems =
    directory !== null
      ? readConf(join(directory, 'nodefilter.conf'), read, written)
      : request.directory !== null
        ? [wholeFile(request.directory, 'no such folder', 'make it, or name another one with -c')]
        : []
  const setProblems = takeSets(request.sets, written)
  const checked = checkHostSettings(
    Object.fromEntries([...written.values].map(([section, keys]) => [section, Object.fromEntries(keys)])),
  )
  const inPlace = (problem: HostSettingProblem): Problem => placed(problem, written)
  const problems = [...confProblems, ...setProblems, ...checked.problems.map(inPlace)]

  const path = checked.settings.chain.list ?? (directory === null ? null : join(directory, 'filters.conf'))
  // Where the folder, nodefilter.conf or `list` itself is at fault the list may be elsewhere: "no such file" would mislead.
  const isPlaceKnown = confProblems.length === 0 && !checked.problems.some((problem) => problem.key === 'list')
  const list =
    request.listText === undefined
      ? readList(path, isPlaceKnown, read)
      : parseList(request.listText, givenList, 'nodefilter')
  const { filterPath, modules: named } = checked.settings.chain
  const isModulesPlaceKnown =
    confProblems.length === 0 && !checked.problems.some(({ key }) => key === 'modules' || key === 'filter_path')
  const modulePaths = named.length > 0 || directory === null ? named : [join(directory, 'modules.conf')]
  const modules = isModulesPlaceKnown ? readModules(modulePaths, list, filterPath, read) : noModules
  const missing = missingModules(named, modules, written)
  return {
    settings: problems.length === 0 ? checked.settings : null,
    remaining: checked.settings,
    list,
    modules: modules.config,
    modulePaths,
    isChainKnown:
      confProblems.length === 0 &&
      list.problems.length === 0 &&
      modules.problems.length === 0 &&
      missing.length === 0 &&
      !checked.problems.some(({ section }) => section === 'chain'),
    problems: [...problems, ...missing, ...list.problems, ...modules.problems],
    warnings: [...checked.warnings.map(inPlace), ...list.warnings, ...modules.warnings],
    directory: request.directory,
    files,
    places: written.places,
  }
}

/** What a problem of `listText` names in place of a file. */
const givenList = 'the filter list given'

/** What administrators wrote, by section and key, and where: a section's own place stands under the key `''`. */
interface Written {
  readonly values: Map<string, Map<string, string>>
  readonly places: Map<string, Place>
}

function readConf(file: string, read: (path: string) => string, written: Written): Problem[] {
  let text: string
  try {
    text = read(file)
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? [] : [unreadable(file, error)]
  }
  const scanned = scanIni(text)
  // Only lines that the scan let through reach the package, so sections are one deep and no key comes before them.
  const parsed = parse(scanned.text) as Record<string, Record<string, unknown>>
  for (const { section, key, line } of scanned.places) {
    written.places.set(`${section}.${key ?? ''}`, { file, line })
    const values = written.values.get(section) ?? new Map<string, string>()
    written.values.set(section, values)
    // The package types true, false and null; our own check wants what was written.
    if (key !== null) values.set(key, String(parsed[section]?.[key]))
  }
  return scanned.problems.map(({ line, text, cure }) => ({ file, line, column: null, text, cure }))
}

function takeSets(sets: readonly string[], written: Written): Problem[] {
  const problems: Problem[] = []
  for (const set of sets) {
    const [, section, key, value] = /^([A-Za-z][A-Za-z0-9_-]*)\.([A-Za-z][A-Za-z0-9_.-]*)=(.*)$/s.exec(set) ?? []
    if (section === undefined || key === undefined || value === undefined) {
      problems.push(wholeFile('--set', `${quoted(set)} is not section.key=value`, null))
      continue
    }
    const place = { file: `--set ${section}.${key}`, line: null }
    written.places.set(`${section}.${key}`, place)
    if (!written.places.has(`${section}.`)) written.places.set(`${section}.`, place)
    const values = written.values.get(section) ?? new Map<string, string>()
    written.values.set(section, values.set(key, value))
  }
  return problems
}

/** A missing list is a problem, never an empty one: a host that filters nothing should have been asked for by name. */
function readList(path: string | null, isPlaceKnown: boolean, read: (path: string) => string): ParsedList {
  const none = (...problems: Problem[]): ParsedList => ({ entries: [], problems, warnings: [] })
  if (path === null) {
    const cure = 'make /etc/nodefilter with a filters.conf in it, or name a folder with -c'
    return isPlaceKnown ? none(wholeFile('filters.conf', 'there is no folder of configuration', cure)) : none()
  }
  try {
    return parseList(read(path), path, /^pythonfilter.*\.conf$/.test(basename(path)) ? 'pythonfilter' : 'nodefilter')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return none(unreadable(path, error))
    const cure = 'make it, with one filter a line; an empty file runs none'
    return isPlaceKnown ? none(wholeFile(path, 'no such file', cure)) : none()
  }
}

/** `modules.conf` need not be there; a file that was asked for by name must. */
function missingModules(named: readonly string[], { files }: ReadModules, { places }: Written): Problem[] {
  const { file, line } = places.get('chain.modules') ?? { file: 'nodefilter.conf', line: null }
  return named
    .filter((path) => files !== noModules.files && !files.includes(path))
    .map((path) => ({ file, line, column: null, text: `[chain] modules: there is no file ${path}`, cure: 'make it' }))
}

function placed({ section, key, text, cure }: HostSettingProblem, { places }: Written): Problem {
  const { file, line } = places.get(`${section}.${key ?? ''}`) ?? { file: 'nodefilter.conf', line: null }
  return { file, line, column: null, text: key === null ? text : `[${section}] ${key}: ${text}`, cure }
}

function wholeFile(file: string, text: string, cure: string | null): Problem {
  return { file, line: null, column: null, text, cure }
}

function unreadable(file: string, error: unknown): Problem {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return wholeFile(file, 'cannot be read: permission denied', "let the host's user read it")
    case null:
      return wholeFile(file, `cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`, null)
    default:
      return wholeFile(file, `cannot be read: ${codeOf(error) ?? ''}`, null)
  }
}

/** A folder that may not be looked at counts as there: to pass on to another one would be to read the wrong files. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    return codeOf(error) === 'EACCES'
  }
}
