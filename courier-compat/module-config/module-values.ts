/**
 * Settings as a filter written for pythonfilter asks for them: by section, unchecked, as plain JavaScript values.
 *
 * A filter that exports `settings` needs none of this: it is handed its settings checked, with defaults.
 * Source: seed README.developers `get_module_config`, `apply_module_config`; spec pythonfilter 1.9.
 */
import type { PythonValue } from '../python-value/value.ts'
import { optionsFor } from './merge.ts'
import { ModuleConfigError } from './problem.ts'
import { moduleConfigPaths, readModuleConfig } from './read.ts'

/**
 * A value of a file: both kinds of numbers are a number, None is `null`, a list and a tuple an array, a set a Set. A dict
 * is an object without prototype where all its keys are texts, which the empty one's are, else a Map; a tuple among the
 * Map's keys is an array, to be found by going through them.
 */
export type ModuleValue =
  | null
  | boolean
  | number
  | string
  | ModuleValue[]
  | Set<ModuleValue>
  | Map<ModuleValue, ModuleValue>
  | { [key: string]: ModuleValue }

/**
 * The options of a section, those of `[DEFAULT]` included, as an object without prototype; empty where there is none.
 *
 * Shape:  `section` is meant with and without `.py`. The files are read at each call.
 * Errors: ModuleConfigError, which tells all problems of all files: settings of a file with errors are not to be used.
 */
export function getModuleConfig(
  section: string,
  paths: readonly string[] = moduleConfigPaths(),
): Record<string, ModuleValue> {
  const { config, problems } = readModuleConfig(paths)
  if (problems.length > 0) throw new ModuleConfigError(problems)
  const values = Object.create(null) as Record<string, ModuleValue>
  for (const { key, value } of optionsFor(config, section)) values[key] = moduleValue(value)
  return values
}

/**
 * Sets the options of a section in `namespace`, an object that holds a filter's settings, whatever it held before.
 *
 * Errors: as `getModuleConfig`; TypeError for an option called `__proto__`, and where `namespace` refuses an option, for
 *         instance because it is sealed or frozen. Then the options before that one are set.
 */
export function applyModuleConfig(
  section: string,
  namespace: object,
  paths: readonly string[] = moduleConfigPaths(),
): void {
  const values = getModuleConfig(section, paths)
  // An own property of this name would do no harm here, but would wherever the object is copied by assignment.
  if (Object.hasOwn(values, '__proto__')) throw new TypeError(`[${section}] __proto__: no setting has this name`)
  for (const [key, value] of Object.entries(values)) {
    if (Object.hasOwn(namespace, key)) (namespace as Record<string, ModuleValue>)[key] = value
    else Object.defineProperty(namespace, key, { value, writable: true, enumerable: true, configurable: true })
  }
}

/** A value as a filter sees it: see `ModuleValue`. */
export function moduleValue(value: PythonValue): ModuleValue {
  switch (value.kind) {
    case 'none':
      return null
    case 'bool':
    case 'int':
    case 'float':
    case 'str':
      return value.value
    case 'list':
    case 'tuple':
      return value.items.map(moduleValue)
    case 'set':
      return new Set(value.items.map(moduleValue))
    case 'dict': {
      const table = Object.create(null) as Record<string, ModuleValue>
      for (const [key, item] of value.entries) {
        if (key.kind !== 'str')
          return new Map(value.entries.map(([key, item]) => [moduleValue(key), moduleValue(item)]))
        table[key.value] = moduleValue(item)
      }
      return table
    }
  }
}
