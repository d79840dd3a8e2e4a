/**
 * Several files of filter settings as one: the later file wins, option by option.
 *
 * Plain data, which travels to other threads as JSON. Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4 (merging), 4.1.6 (`[DEFAULT]`); contracts "Files of configuration" (aliases).
 */
import { didYouMean } from '../near-match.ts'
import type { ModuleOption, ParsedModuleFile } from './parse.ts'
import type { ModuleProblem } from './problem.ts'
import { isPythonfilterFile, sectionKey } from './section-names.ts'

/** A section with the options of all files, those of earlier files first. */
export interface MergedSection {
  /** Without `.py`, and under its present name. */
  readonly name: string
  /** Its headers. */
  readonly places: readonly { readonly name: string; readonly file: string; readonly line: number }[]
  /** Each key once. */
  readonly options: readonly ModuleOption[]
}

/** What all files say. */
export interface ModuleConfig {
  readonly sections: readonly MergedSection[]
  /** Of `[DEFAULT]`. */
  readonly defaults: readonly ModuleOption[]
}

/** An option that holds for a filter. */
export interface AppliedOption extends ModuleOption {
  /** Whether it comes from `[DEFAULT]`. */
  readonly isDefault: boolean
}

/** Of no file. */
export const noModuleConfig: ModuleConfig = Object.freeze({ sections: Object.freeze([]), defaults: Object.freeze([]) })

/** Merges files, later ones over earlier ones. */
export function mergeModuleFiles(files: readonly ParsedModuleFile[]): ModuleConfig {
  const sections = new Map<string, { places: MergedSection['places'][number][]; options: Map<string, ModuleOption> }>()
  const defaults = new Map<string, ModuleOption>()
  for (const file of files) {
    putOver(defaults, file.defaults)
    for (const { name, line, options } of file.sections) {
      const key = sectionKey(name)
      const merged = sections.get(key) ?? { places: [], options: new Map<string, ModuleOption>() }
      sections.set(key, merged)
      merged.places.push({ name, file: file.file, line })
      putOver(merged.options, options)
    }
  }
  return {
    sections: [...sections].map(([name, { places, options }]) => ({ name, places, options: [...options.values()] })),
    defaults: [...defaults.values()],
  }
}

function putOver(options: Map<string, ModuleOption>, later: readonly ModuleOption[]): void {
  for (const option of later) {
    // Deleted first, so that the order is that of the files.
    options.delete(option.key)
    options.set(option.key, option)
  }
}

/**
 * The options that hold for a filter, weakest first: `[DEFAULT]`, then `[NAME]`, then, for an instance, `[ALIAS]`.
 *
 * Shape: a key may stand there several times, the last one winning. `[DEFAULT]` makes no section: without `[NAME]` and
 *        `[ALIAS]` there are none. `alias` is `name` where there is no other. pythonfilter has no aliases: a section of its
 *        files that is called like one is a filter's of its own, which that filter reads itself.
 */
export function optionsFor(config: ModuleConfig, name: string, alias: string = name): AppliedOption[] {
  const named = (key: string): MergedSection[] => config.sections.filter((section) => section.name === key)
  const ofName = named(sectionKey(name))
  const ofAlias = sectionKey(alias) === sectionKey(name) ? [] : named(sectionKey(alias))
  if (ofName.length + ofAlias.length === 0) return []
  const ofInstance = ofAlias.flatMap(({ options }) => options).filter(({ file }) => !isPythonfilterFile(file))
  return [
    ...config.defaults.map((option) => ({ ...option, isDefault: true })),
    ...[...ofName.flatMap(({ options }) => options), ...ofInstance].map((option) => ({ ...option, isDefault: false })),
  ]
}

/**
 * The sections that belong to nobody. In a file of pythonfilter's, which ignores them, they are warnings.
 *
 * Shape: `known` are the names of all filters that there are, of the aliases, and of `librarySections`.
 */
export function unknownSections(
  config: ModuleConfig,
  known: Iterable<string>,
): { readonly problems: readonly ModuleProblem[]; readonly warnings: readonly ModuleProblem[] } {
  const names = [...new Set([...known].map(sectionKey))]
  const knownNames = new Set(names)
  const found = config.sections
    .filter(({ name }) => !knownNames.has(name))
    .flatMap(({ name, places }) => {
      const cure = didYouMean(name, names)
      return places.map((place): ModuleProblem => {
        const text = `[${place.name}] belongs to no filter in the list`
        const { file, line, name: section } = place
        return { file, line, column: null, text, cure, section, key: null, token: section, reason: 'unknown-section' }
      })
    })
  return {
    problems: found.filter(({ file }) => !isPythonfilterFile(file)),
    warnings: found.filter(({ file }) => isPythonfilterFile(file)),
  }
}
