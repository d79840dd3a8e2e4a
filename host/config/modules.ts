/** Reads the files with the settings of filters, as far as that can be done without loading a filter. */
import { availableFilters } from '../chain/module-file.ts'
import { bundledFilters } from '../chain/loader.ts'
import type { ParsedList } from '../chain/list.ts'
import { librarySections, librarySettings } from '../../courier-compat/module-config/library-sections.ts'
import { noModuleConfig, unknownSections } from '../../courier-compat/module-config/merge.ts'
import type { ModuleConfig } from '../../courier-compat/module-config/merge.ts'
import type { ModuleProblem } from '../../courier-compat/module-config/problem.ts'
import { readModuleConfig } from '../../courier-compat/module-config/read.ts'
import type { Problem } from '../problem.ts'

/** What the files say, and what is wrong with it so far: whether an option fits its filter is seen when that is loaded. */
export interface ReadModules {
  readonly config: ModuleConfig
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly files: readonly string[]
}

/** Of no file. */
export const noModules: ReadModules = { config: noModuleConfig, problems: [], warnings: [], files: [] }

/** Reads the files; one that is not there is left out. `filterPath` are the folders whose filters may have a section. */
export function readModules(
  paths: readonly string[],
  list: ParsedList,
  filterPath: readonly string[],
  readFile: (path: string) => string,
): ReadModules {
  const { config, problems, warnings, files } = readModuleConfig(paths, readFile)
  const library = librarySettings(config)
  const known = [
    ...list.entries.flatMap(({ name, alias }) => [name, alias]),
    ...availableFilters([...filterPath, bundledFilters]),
    ...Object.keys(librarySections),
  ]
  // A list that could not be read names no alias: every section of an instance would look unknown.
  const strays = list.problems.length === 0 ? unknownSections(config, known) : { problems: [], warnings: [] }
  return {
    config,
    problems: [...problems, ...library.problems, ...strays.problems].map(told),
    warnings: [...warnings, ...library.warnings, ...strays.warnings].map(told),
    files,
  }
}

function told({ file, line, column, text, cure }: ModuleProblem): Problem {
  return { file, line, column, text, cure }
}
