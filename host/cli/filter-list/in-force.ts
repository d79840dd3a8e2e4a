/** The settings of one filter in the list as they are in force, and where each was written. Pure. */
import { filterSettings } from '../../../courier-compat/module-config/filter-settings.ts'
import { optionsFor, type ModuleConfig } from '../../../courier-compat/module-config/merge.ts'
import { writeValue } from '../../../courier-compat/setting/text.ts'
import { currentName } from '../../../courier-compat/setting/value.ts'
import type { SettingSchemas, SettingValue } from '../../../courier-compat/setting.ts'
import type { ChainEntry } from '../../chain/list.ts'
import type { Problem } from '../../problem.ts'

/** One setting of one instance. */
export interface SettingInForce {
  readonly key: string
  /** As an administrator writes it. */
  readonly value: string
  /** `FILE:LINE`; `default` where nothing is written. */
  readonly from: string
}

/**
 * The settings of an instance, in the order of their declaration.
 * Shape: where a setting is at fault, which `problems` tell, its value is the default.
 */
export function settingsInForce(
  entry: ChainEntry,
  schemas: SettingSchemas,
  modules: ModuleConfig,
): { readonly settings: readonly SettingInForce[]; readonly problems: readonly Problem[] } {
  const { name, alias, settings: written, file, line } = entry
  const { values, problems } = filterSettings(schemas, modules, { name, alias, written, file, line })
  const places = new Map<string, string>()
  // Weakest first, so that what wins is put last.
  for (const option of optionsFor(modules, name, alias)) {
    const place = `${option.file}:${option.line}`
    places.set(currentName(schemas, option.key) ?? option.key, option.isDefault ? `${place}, [DEFAULT]` : place)
  }
  for (const key of Object.keys(written)) places.set(currentName(schemas, key) ?? key, `${file}:${line}`)
  const inForce: Readonly<Record<string, SettingValue>> = values
  return {
    settings: Object.entries(schemas).map(([key, schema]) => ({
      ...{ key, value: writeValue(schema, inForce[key] ?? null), from: places.get(key) ?? 'default' },
    })),
    problems: problems.map(({ file, line, column, text, cure }) => ({ file, line, column, text, cure })),
  }
}
