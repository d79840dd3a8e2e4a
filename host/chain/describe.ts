/** What a filter module says of itself, without starting it. Runs in the runner, as everything that imports one. */
import type { OnError } from '../../courier-compat/filter.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { bundledFilters } from './loader.ts'
import type { LoadProblem } from './load-problem.ts'
import { checkCodePlace, findModule, type Named } from './module-file.ts'
import { importModule } from './module-shape.ts'

/** A module's exports as data. */
export interface ModuleDescription {
  readonly file: string
  /** The filter folder, or the package's folder as it is installed. */
  readonly origin: string
  readonly about: string | null
  readonly onError: OnError
  readonly settings: SettingSchemas
}

/** The description, or why there is none. */
export type Described = ModuleDescription | { readonly problems: readonly LoadProblem[] }

/** Where to look, as for a chain. */
export interface DescribePlaces {
  readonly filterPath: readonly string[]
  readonly packagePath: readonly string[]
}

/** Finds and imports the module of one name. `initFilter` is not called. Never rejects. */
export async function describeModule(named: Named, { filterPath, packagePath }: DescribePlaces): Promise<Described> {
  const trusted = filterPath.filter((folder) => checkCodePlace(folder).problem === null)
  const folders = [...trusted, bundledFilters]
  const found = findModule(named, { folders, packageFolders: [...trusted, ...packagePath] })
  if ('text' in found) return { problems: [found] }
  const problems = found.checks.flatMap((place) => checkCodePlace(place).problem ?? [])
  if (problems.length > 0) return { problems }
  const module = await importModule(found.file, null)
  if ('text' in module) return { problems: [module] }
  const { about, onError, settings } = module
  return { file: found.file, origin: found.origin, about, onError, settings: settings ?? {} }
}
