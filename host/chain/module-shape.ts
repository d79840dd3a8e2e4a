/** Imports one filter module and checks what it exports: every way in which a module can be wrong has its own words. */
import { spawnSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { CloseFilter, DoFilter, InitFilter, OnError } from '../../courier-compat/filter.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { schemaProblems } from '../../courier-compat/setting-value.ts'
import { locateError, type Place } from './error-place.ts'
import { describeThrown } from './failure.ts'
import type { LoadProblem } from './load-problem.ts'
import { lineOptions } from './with-options.ts'

/** The exports of a module, checked. */
export interface ModuleShape {
  readonly doFilter: DoFilter
  readonly initFilter: InitFilter | null
  readonly closeFilter: CloseFilter | null
  readonly settings: SettingSchemas
  readonly onError: OnError
  /** What it does, in one line; `null` where the module does not say. */
  readonly about: string | null
}

/** A longer line would leave no room for the others in a list of filters. */
const maxAboutChars = 120

/**
 * Imports a module.
 *
 * `instance` sets apart several entries that run the same module: each gets module variables of its own.
 * Errors: a problem with the file at fault, which may be one that the module imports, and, where it can be found, the line.
 */
export async function importModule(file: string, instance: string | null): Promise<ModuleShape | LoadProblem> {
  const url = pathToFileURL(file)
  if (instance !== null) url.searchParams.set('instance', instance)
  const imported: string[] = []
  const hook = registerHooks({
    resolve: (specifier, context, next) => {
      const found = next(specifier, context)
      if (found.url.startsWith('file:')) imported.push(found.url)
      return found
    },
  })
  try {
    // A CommonJS module is kept by its path alone, whatever stands after the "?".
    if (instance !== null) Reflect.deleteProperty(createRequire(url).cache, realpathSync(file))
    return checkShape(file, (await import(url.href)) as Record<string, unknown>)
  } catch (thrown) {
    return importProblem(file, thrown, imported)
  } finally {
    hook.deregister()
  }
}

/** Checks the exports; a CommonJS module's may stand under `default`. */
export function checkShape(file: string, exported: Record<string, unknown>): ModuleShape | LoadProblem {
  const inner = exported['default']
  const get = (name: string): unknown =>
    exported[name] ??
    (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined)
  const wrong = (text: string, cure: string): LoadProblem => ({ file, line: null, text, cure })

  for (const [now, old] of [
    ['doFilter', 'do_filter'],
    ['initFilter', 'init_filter'],
  ] as const) {
    if (get(now) !== undefined && get(old) !== undefined) {
      return wrong(`exports both ${now} and ${old}`, `keep ${now}: with both it would be unclear which one runs`)
    }
  }
  const doFilter = get('doFilter') ?? get('do_filter')
  const initFilter = get('initFilter') ?? get('init_filter') ?? null
  const closeFilter = get('closeFilter') ?? null
  const onError = get('onError') ?? 'defer'
  const settings = get('settings') ?? {}
  const about = get('about') ?? null

  if (doFilter === undefined)
    return wrong('exports no doFilter', 'export function doFilter(bodyPath, controlPaths, context)')
  if (typeof doFilter !== 'function') return wrong(`exports doFilter as ${typeof doFilter}`, 'it must be a function')
  for (const [name, value] of Object.entries({ initFilter, closeFilter })) {
    if (value !== null && typeof value !== 'function')
      return wrong(`exports ${name} as ${typeof value}`, 'it must be a function')
  }
  if (onError !== 'defer' && onError !== 'pass')
    return wrong(`exports onError as ${shown(onError)}`, `use 'defer' or 'pass'`)
  if (about !== null && !isLine(about))
    return wrong(`exports about as ${shown(about)}`, `it must be one line of at most ${maxAboutChars} characters`)
  const faults = schemaProblems(settings, Object.keys(lineOptions))
  if (faults.length > 0)
    return wrong(`exports settings that are not usable: ${faults.join('; ')}`, 'see docs/authors on settings')

  return {
    doFilter: doFilter as DoFilter,
    initFilter: initFilter as InitFilter | null,
    closeFilter: closeFilter as CloseFilter | null,
    settings: settings as SettingSchemas,
    onError,
    about,
  }
}

/** True for what a module may say of itself in a list of filters. */
export function isLine(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= maxAboutChars && !/\p{Cc}/u.test(value)
}

function importProblem(module: string, thrown: unknown, imported: readonly string[]): LoadProblem {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const place = locateError(thrown) ?? placeOfSyntaxError(thrown, imported) ?? placeOfMissing(thrown)
  const { file, line } = place ?? { file: module, line: null }
  const text = describeThrown(thrown) + (file === module ? '' : ` (imported by ${module})`)
  switch (code) {
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return {
        file,
        line,
        text: `imports something that is not there: ${text}`,
        cure: 'install the package, or correct the path',
      }
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
    case 'ERR_INVALID_TYPESCRIPT_SYNTAX':
      return {
        file,
        line,
        text: `uses TypeScript that Node cannot strip: ${text}`,
        cure: 'use types that can be erased (no enum, namespace or parameter properties; "erasableSyntaxOnly")',
      }
    case 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING':
      return {
        file,
        line,
        text: 'is TypeScript below node_modules, which Node does not run',
        cure: 'publish the filter as JavaScript',
      }
    case 'EACCES':
      return { file, line, text: `cannot be read: ${text}`, cure: "let the mail server's user read it" }
    default:
      return {
        file,
        line,
        text: `cannot be loaded: ${text}`,
        cure: 'correct the module; "nodefilter check" tries it without the mail server',
      }
  }
}

/** The line, if the place that an error at import points at is in `file`. */
/** How long Node may take to read a module that it has refused already, and how many of the last ones are read. */
const syntaxCheck = { limitMs: 5000, files: 4 } as const

/** Where an ECMAScript module's syntax is wrong, Node tells the place only when it is asked to look at that file alone. */
function placeOfSyntaxError(thrown: unknown, imported: readonly string[]): Place | null {
  if (!(thrown instanceof SyntaxError)) return null
  // Each is read as soon as it is found, so it is the last one, or hardly any before it.
  for (const url of imported.slice(-syntaxCheck.files).reverse()) {
    const file = fileURLToPath(url)
    const { stderr } = spawnSync(process.execPath, ['--check', file], {
      encoding: 'utf8',
      timeout: syntaxCheck.limitMs,
    })
    const [, scheme, path = '', line] = /^(file:\/\/)?(\/.*):([0-9]+)$/m.exec(stderr) ?? []
    const told = scheme === undefined ? path : decodeURIComponent(path)
    if (stderr.includes(thrown.message) && told === file) return { file, line: Number(line) }
  }
  return null
}

/** The import of what is not there: Node names the file, and the line is the first that has the name in quotes. */
function placeOfMissing(thrown: unknown): Place | null {
  if (!(thrown instanceof Error)) return null
  const [, name = '', file = ''] =
    /^Cannot find (?:package|module) '([^'\n]+)' imported from (\/[^\n]+)$/.exec(thrown.message) ?? []
  if (file === '') return null
  const lines = readLines(file)
  const last = name.slice(name.lastIndexOf('/') + 1)
  const isNamed = (line: string): boolean =>
    [`'${name}'`, `"${name}"`, `/${last}'`, `/${last}"`].some((word) => line.includes(word))
  const index = lines.findIndex(isNamed)
  return index === -1 ? null : { file, line: index + 1 }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : typeof value
}
