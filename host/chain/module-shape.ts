/** Imports one filter module and checks what it exports: every way in which a module can be wrong has its own words. */
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { CloseFilter, DoFilter, InitFilter, OnError } from '../../courier-compat/filter.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { schemaProblems } from '../../courier-compat/setting-value.ts'
import { describeThrown, placeOfError } from './failure.ts'
import type { LoadProblem } from './load-problem.ts'
import { lineOptions } from './with-options.ts'

/** The exports of a module, checked. */
export interface ModuleShape {
  readonly doFilter: DoFilter
  readonly initFilter: InitFilter | null
  readonly closeFilter: CloseFilter | null
  readonly settings: SettingSchemas
  readonly onError: OnError
}

/**
 * Imports a module.
 *
 * `instance` sets apart several entries that run the same module: each gets module variables of its own.
 * Errors: a problem with the file and, where Node tells one, the line.
 */
export async function importModule(file: string, instance: string | null): Promise<ModuleShape | LoadProblem> {
  const url = pathToFileURL(file)
  if (instance !== null) url.searchParams.set('instance', instance)
  try {
    // A CommonJS module is kept by its path alone, whatever stands after the "?".
    if (instance !== null) Reflect.deleteProperty(createRequire(url).cache, realpathSync(file))
    return checkShape(file, (await import(url.href)) as Record<string, unknown>)
  } catch (thrown) {
    return importProblem(file, thrown)
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

  if (doFilter === undefined)
    return wrong('exports no doFilter', 'export function doFilter(bodyPath, controlPaths, context)')
  if (typeof doFilter !== 'function') return wrong(`exports doFilter as ${typeof doFilter}`, 'it must be a function')
  for (const [name, value] of Object.entries({ initFilter, closeFilter })) {
    if (value !== null && typeof value !== 'function')
      return wrong(`exports ${name} as ${typeof value}`, 'it must be a function')
  }
  if (onError !== 'defer' && onError !== 'pass')
    return wrong(`exports onError as ${shown(onError)}`, `use 'defer' or 'pass'`)
  const faults = schemaProblems(settings, Object.keys(lineOptions))
  if (faults.length > 0)
    return wrong(`exports settings that are not usable: ${faults.join('; ')}`, 'see docs/authors on settings')

  return {
    doFilter: doFilter as DoFilter,
    initFilter: initFilter as InitFilter | null,
    closeFilter: closeFilter as CloseFilter | null,
    settings: settings as SettingSchemas,
    onError,
  }
}

function importProblem(file: string, thrown: unknown): LoadProblem {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const text = describeThrown(thrown)
  const line = lineIn(file, placeOfError(thrown)) ?? lineOfSyntaxError(file, thrown)
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
function lineIn(file: string, place: string | null): number | null {
  const match = place === null ? null : /^(.*):([0-9]+)$/.exec(place)
  return match !== null && match[1] === file ? Number(match[2]) : null
}

/** How long Node may take to read a module that it has refused already. */
const syntaxCheckLimitMs = 5000

/** Where an ECMAScript module's syntax is wrong, Node tells the line only when it is asked to look at that file alone. */
function lineOfSyntaxError(file: string, thrown: unknown): number | null {
  if (!(thrown instanceof SyntaxError)) return null
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: syntaxCheckLimitMs })
  const [first = ''] = stderr.split('\n')
  return stderr.includes(thrown.message) ? lineIn(file, first.replace(/^file:\/\//, '')) : null
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : typeof value
}
