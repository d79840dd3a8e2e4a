/** Imports one filter module and checks what it exports: every way in which a module can be wrong has its own words. */
import { realpathSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { CloseFilter, DoFilter, Edits, InitFilter, OnError } from '../../courier-compat/filter.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import { importProblem } from './import-problem.ts'
import type { LoadProblem } from './load-problem.ts'
import { lineOptions } from './with-options.ts'

/** The exports of a module, checked. */
export interface ModuleShape {
  readonly doFilter: DoFilter
  readonly initFilter: InitFilter | null
  readonly closeFilter: CloseFilter | null
  /** `null` where the module exports none: then what its section says is its own matter. */
  readonly settings: SettingSchemas | null
  readonly onError: OnError
  readonly edits: Edits
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
  const edits = get('edits') ?? 'any'
  const settings = get('settings') ?? null
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
  if (edits !== 'any' && edits !== 'library') return wrong(`exports edits as ${shown(edits)}`, `use 'library' or 'any'`)
  if (about !== null && !isLine(about))
    return wrong(`exports about as ${shown(about)}`, `it must be one line of at most ${maxAboutChars} characters`)
  const faults = settings === null ? [] : schemaProblems(settings, Object.keys(lineOptions))
  if (faults.length > 0)
    return wrong(`exports settings that are not usable: ${faults.join('; ')}`, 'see docs/authors on settings')

  return {
    doFilter: doFilter as DoFilter,
    initFilter: initFilter as InitFilter | null,
    closeFilter: closeFilter as CloseFilter | null,
    settings: settings as SettingSchemas | null,
    onError,
    edits,
    about,
  }
}

/** True for what a module may say of itself in a list of filters. */
export function isLine(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= maxAboutChars && !/\p{Cc}/u.test(value)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : typeof value
}
