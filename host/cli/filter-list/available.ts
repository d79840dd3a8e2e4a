/** All filters that a configuration can name: those of its list first, in its order, then the others by name. */
import { availableFilters, checkCodePlace, type Named } from '../../chain/module-file.ts'
import { bundledFilters } from '../../chain/loader.ts'
import type { ChainEntry } from '../../chain/list.ts'
import type { Described } from '../../chain/describe.ts'
import { filterNameProblem } from '../../chain/filter-name.ts'
import { packagedFilters } from '../../chain/package-file.ts'
import type { Configuration } from '../../config/read.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Problem } from '../../problem.ts'
import { describeModules } from '../../runner/describe.ts'
import { settingsInForce, type SettingInForce } from './in-force.ts'

/** One line of the list that runs a filter. */
export interface Instance {
  /** Counted from 1. */
  readonly position: number
  readonly entry: ChainEntry
  /** In the order of their declaration; empty where the module cannot be loaded. */
  readonly inForce: readonly SettingInForce[]
}

/** A filter, and its places in the list. */
export interface AvailableFilter {
  readonly name: string
  readonly instances: readonly Instance[]
  readonly described: Described
}

/** Finds the filters, or of these the one that has, or runs under, the name `only`. */
export async function listFilters(
  configuration: Configuration,
  only: string | null,
  platform: Platform,
): Promise<{
  readonly filters: readonly AvailableFilter[]
  /** All names that could have been meant. */
  readonly names: readonly string[]
  /** Folders that are not looked into, and settings that are at fault. */
  readonly problems: readonly Problem[]
}> {
  const { list, modules, remaining, directory } = configuration
  const { filterPath } = remaining.chain
  const problems: Problem[] = filterPath
    .flatMap((folder) => checkCodePlace(folder).problem ?? [])
    .map((problem) => ({ ...problem, column: null }))
  const folders = filterPath.filter((folder) => !problems.some(({ file }) => file === folder))
  const packagePath = directory === null ? [] : [directory]

  const instances = Map.groupBy(
    list.entries.map((entry, index): Instance => ({ position: index + 1, entry, inForce: [] })),
    ({ entry }) => entry.name,
  )
  const others = [
    ...availableFilters([...folders, bundledFilters]),
    ...packagedFilters([...folders, ...packagePath]).map(({ name }) => name),
  ].filter((name) => !instances.has(name) && filterNameProblem(name) === null)
  const all = [...instances.keys(), ...[...new Set(others)].sort()]
  const wanted = all.filter(
    (name) => only === null || name === only || instances.get(name)?.some(({ entry }) => entry.alias === only) === true,
  )
  const asked = wanted.map((name): Named => {
    const first = instances.get(name)?.[0]?.entry
    return { name, file: first?.file ?? name, line: first?.line ?? null }
  })
  const described = await describeModules(asked, { filterPath, packagePath }, platform)
  const filters = wanted.map((name, index): AvailableFilter => {
    const answer = described[index] ?? { problems: [] }
    const places = instances.get(name) ?? []
    if ('problems' in answer) return { name, instances: places, described: answer }
    const withSettings = places.map((instance): Instance => {
      const found = settingsInForce(instance.entry, answer.settings, modules)
      problems.push(...found.problems)
      return { ...instance, inForce: found.settings }
    })
    return { name, instances: withSettings, described: answer }
  })
  return { filters, names: [...all, ...list.entries.map(({ alias }) => alias)], problems }
}
