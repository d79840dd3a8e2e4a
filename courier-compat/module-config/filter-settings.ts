/**
 * The settings of one filter: what the files say of it, what its line in the filter list says, and its declarations, put
 * together and checked.
 *
 * Pure: no clock, socket, file or logger. It runs where the filter's module is loaded, on data that came as JSON.
 * Source: contracts "Files of configuration"; spec pythonfilter 4.3 to 4.5.
 */
import { didYouMean } from '../near-match.ts'
import { checkSettings, currentName } from '../setting/value.ts'
import type { SettingsOf } from '../setting/value.ts'
import type { SettingSchemas } from '../setting.ts'
import { optionsFor } from './merge.ts'
import type { AppliedOption, ModuleConfig } from './merge.ts'
import { about } from './problem.ts'
import type { ModuleProblem, ModuleReason } from './problem.ts'
import { isRemovedOption } from './section-names.ts'
import { settingFromPython } from './typed.ts'

/** Whose settings are wanted. */
export interface SettingsOwner {
  readonly name: string
  /** The same as `name` where there is no other. */
  readonly alias: string
  /** What stands after `with` in its line, as texts: it wins over the files. */
  readonly written: Readonly<Record<string, string>>
  /** Where that line is. */
  readonly file: string
  readonly line: number | null
}

/** The settings, complete: to be used only if there are no problems. */
export interface FilterSettings<Schemas extends SettingSchemas> {
  readonly values: SettingsOf<Schemas>
  readonly problems: readonly ModuleProblem[]
  readonly warnings: readonly ModuleProblem[]
}

/**
 * Collects and checks the settings of a filter.
 *
 * Shape:  weakest first: the declared defaults, `[DEFAULT]` (as far as the filter declares such settings), `[NAME]`, `[ALIAS]`,
 *         `with`. A setting's earlier names count as the setting, with a warning.
 *         `declared` is `null` for a filter that declares nothing: it may read its section itself, by `getModuleConfig`, so
 *         that is not looked at. A filter that declares an empty table has no settings.
 * Errors: `problems`, all of them, each with its place. An option that is overridden is not checked.
 */
export function filterSettings<Schemas extends SettingSchemas>(
  declared: Schemas | null,
  config: ModuleConfig,
  owner: SettingsOwner,
): FilterSettings<Schemas> {
  const schemas = declared ?? ({} as Schemas)
  const problems: ModuleProblem[] = []
  const warnings: ModuleProblem[] = []
  const winners = new Map<string, AppliedOption>()

  for (const option of declared === null ? [] : optionsFor(config, owner.name, owner.alias)) {
    const { key, section, file } = option
    const name = currentName(schemas, key)
    if (name === null) {
      if (option.isDefault) continue
      if (isRemovedOption(section, key)) {
        warnings.push(told(option, 'unknown-option', 'does nothing any more', 'take it out'))
      } else {
        problems.push(told(option, 'unknown-option', 'no such setting', didYouMean(key, Object.keys(schemas))))
      }
      continue
    }
    const earlier = winners.get(name)
    if (earlier !== undefined && earlier.key !== key && earlier.file === file && earlier.section === section) {
      const old = key === name ? earlier : option
      const text = `is the old name of ${name}, which is set as well`
      problems.push(told(old, 'unknown-option', text, 'take one out'))
    }
    winners.set(name, option)
  }
  for (const key of Object.keys(owner.written)) winners.delete(currentName(schemas, key) ?? key)

  const raw = new Map<string, unknown>(Object.entries(owner.written))
  const places = new Map<string, AppliedOption>()
  for (const [name, option] of winners) {
    const schema = schemas[name]
    if (schema === undefined) continue
    const converted = settingFromPython(schema, option.value)
    if ('problem' in converted) {
      problems.push(toldOfValue(option, converted.problem.reason, converted.problem.text, converted.problem.cure))
      continue
    }
    warnings.push(...converted.warnings.map((warning) => toldOfValue(option, 'type', warning, null)))
    raw.set(option.key, converted.raw)
    places.set(option.key, option)
  }

  const checked = checkSettings(schemas, Object.fromEntries(raw))
  const inPlace = (key: string, text: string, isKeyMeant: boolean): ModuleProblem => {
    const option = places.get(key)
    if (option === undefined)
      return ofLine(owner, key, text, currentName(schemas, key) === null ? 'unknown-option' : 'type')
    const isNumber = option.value.kind === 'int' || option.value.kind === 'float'
    return isKeyMeant
      ? told(option, 'unknown-option', text, null)
      : toldOfValue(option, isNumber ? 'range' : 'type', text, null)
  }
  problems.push(...checked.problems.map(({ key, text }) => inPlace(key, text, false)))
  warnings.push(...checked.warnings.map(({ key, text }) => inPlace(key, text, true)))
  return { values: checked.values, problems, warnings }
}

/** A problem with the name of an option. */
function told(option: AppliedOption, reason: ModuleReason, text: string, cure: string | null): ModuleProblem {
  const { file, line, column, section, key } = option
  return { file, line, column, text: `${about(section, key)}${text}`, cure, section, key, token: key, reason }
}

/** A problem with its value. */
function toldOfValue(option: AppliedOption, reason: ModuleReason, text: string, cure: string | null): ModuleProblem {
  return { ...told(option, reason, text, cure), line: option.valueLine, column: option.valueColumn, token: null }
}

/** A problem with what stands after `with`. */
function ofLine(owner: SettingsOwner, key: string, text: string, reason: ModuleReason): ModuleProblem {
  const { file, line, alias } = owner
  const place = { file, line, column: null, section: null, key, token: null }
  return { ...place, text: `filter "${alias}": ${key}: ${text}`, cure: null, reason }
}
