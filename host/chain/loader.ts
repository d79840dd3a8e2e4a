/**
 * The loader: from the list to initialised filters, or to errors that say where and what to do.
 *
 * The only way to a filter module. It runs in worker threads, never in the host process.
 * Source: contracts.md ("A filter module"), spec pythonfilter 1.3.
 */
import { mkdirSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ReadingLimits } from '../../courier-compat/message/reading.ts'
import type { FilterLog, FilterSetup, OnError } from '../../courier-compat/filter.ts'
import type { SetupStores } from '../../courier-compat/stores.ts'
import { didYouMean } from '../../courier-compat/near-match.ts'
import { filterSettings } from '../../courier-compat/module-config/filter-settings.ts'
import type { ModuleConfig } from '../../courier-compat/module-config/merge.ts'
import type { ModuleProblem } from '../../courier-compat/module-config/problem.ts'
import { deadSetupStores } from '../store/filter-stores.ts'
import type { ChainFilter } from './chain.ts'
import { locateError } from './error-place.ts'
import { describeThrown } from './failure.ts'
import type { ChainEntry } from './list.ts'
import type { LoadProblem } from './load-problem.ts'
import { maskErrors, maskOf, maskThrown, type Mask } from './mask.ts'
import { checkCodePlace, findModule } from './module-file.ts'
import { importModule, type ModuleShape } from './module-shape.ts'
import { lineOptions } from './with-options.ts'

/** What to load. */
export interface LoadPlan {
  readonly entries: readonly ChainEntry[]
  /** Folders in order; the bundled filters are looked up after them. */
  readonly filterPath: readonly string[]
  /** Folders beside these whose packages may be filters: that of the configuration. */
  readonly packagePath?: readonly string[]
  /** The settings of filters, from modules.conf. */
  readonly modules: ModuleConfig
  /** The files they come from, for filters that read them by themselves. */
  readonly modulePaths: readonly string[]
  /** The limit of a filter whose line sets none. */
  readonly timeLimitMs: number
  /** Below it each filter has a folder of its own, `setup.state`. */
  readonly stateDirectory: string
  /** How far filters read a message; the usual limits where it is not said. */
  readonly messageLimits?: ReadingLimits
}

/** What the host is told of a loaded filter. */
export interface LoadedFilter {
  /** Its place in the list. */
  readonly index: number
  readonly alias: string
  readonly name: string
  readonly file: string
  readonly onError: OnError
}

/** A chain ready to run. `close` calls every `closeFilter`, and reports what fails there. */
export interface LoadedChain {
  readonly filters: readonly ChainFilter[]
  readonly described: readonly LoadedFilter[]
  readonly warnings: readonly LoadProblem[]
  close(report: (alias: string, text: string) => void): Promise<void>
}

/** The folder of the filters that come with nodefilter. */
export const bundledFilters = fileURLToPath(new URL('../../filters', import.meta.url))

/** True for a file of nodefilter's own filters. */
export function isBundled(file: string): boolean {
  return file.startsWith(bundledFilters + sep)
}

/** Loads and initialises every filter of the list, in its order. All problems are told at once. Never rejects. */
export async function loadChain(
  plan: LoadPlan,
  logFor: (alias: string) => FilterLog,
  stores: SetupStores = deadSetupStores,
): Promise<LoadedChain | { readonly problems: readonly LoadProblem[] }> {
  const problems: LoadProblem[] = []
  const warnings: LoadProblem[] = []
  const looked = new Map<string, boolean>()
  const trusted = (path: string): boolean => {
    const known = looked.get(path)
    if (known !== undefined) return known
    const { problem, warning } = checkCodePlace(path)
    looked.set(path, problem === null)
    if (problem !== null) problems.push(problem)
    if (warning !== null) warnings.push(warning)
    return problem === null
  }

  const folders = [...plan.filterPath.filter(trusted), bundledFilters]
  const packageFolders = [...folders.slice(0, -1), ...(plan.packagePath ?? [])]
  const filters: ChainFilter[] = []
  const described: LoadedFilter[] = []
  const closers: { readonly alias: string; readonly close: () => void | Promise<void> }[] = []
  for (const [index, entry] of plan.entries.entries()) {
    const found = findModule(entry, { folders, packageFolders })
    if ('text' in found) {
      // It may well be in a folder that was refused, which has been told already.
      if (folders.length > plan.filterPath.length) problems.push(found)
      continue
    }
    const { file, checks } = found
    if (!checks.every(trusted)) continue
    const module = await importModule(file, entry.alias === entry.name ? null : entry.alias)
    if ('text' in module) {
      problems.push(module)
      continue
    }
    const owner = { name: entry.name, alias: entry.alias, written: entry.settings, file: entry.file, line: entry.line }
    const settings = filterSettings(module.settings, plan.modules, owner)
    warnings.push(...settings.warnings.map(fromSettings))
    const mask = maskOf(module.settings, settings.values)
    const faults =
      settings.problems.length > 0
        ? settings.problems.map(fromSettings)
        : await initialise(entry, file, module, settings.values, { ...plan, stores, log: logFor(entry.alias) }, mask)
    problems.push(...faults)
    if (faults.length > 0) continue

    const onError = entry.onError ?? module.onError
    filters.push({
      index,
      name: entry.name,
      alias: entry.alias,
      skips: entry.skips,
      onError,
      timeLimitMs: entry.timeLimitMs ?? plan.timeLimitMs,
      dryRun: entry.dryRun,
      editsAreKnown: module.edits === 'library',
      doFilter: mask === null ? module.doFilter : maskErrors(module.doFilter, mask),
    })
    described.push({ index, alias: entry.alias, name: entry.name, file, onError })
    if (module.closeFilter !== null) closers.push({ alias: entry.alias, close: module.closeFilter })
  }

  if (problems.length > 0) return { problems }
  return {
    filters,
    described,
    warnings,
    close: async (report) => {
      for (const { alias, close } of closers) {
        try {
          await close()
        } catch (thrown) {
          report(alias, `closeFilter failed: ${describeThrown(thrown)}`)
        }
      }
    },
  }
}

/** What no filter knows may have been meant for the host. */
function fromSettings({ file, line, column, text, cure, key, section, reason }: ModuleProblem): LoadProblem {
  const isOfLine = reason === 'unknown-option' && section === null && key !== null
  return { file, line, column, text, cure: cure ?? (isOfLine ? didYouMean(key, Object.keys(lineOptions)) : null) }
}

/** Calls `initFilter`. */
async function initialise(
  entry: ChainEntry,
  file: string,
  module: ModuleShape,
  settings: FilterSetup['settings'],
  { stateDirectory, stores, log }: Pick<LoadPlan, 'stateDirectory'> & Pick<FilterSetup, 'stores' | 'log'>,
  mask: Mask | null,
): Promise<LoadProblem[]> {
  if (module.initFilter === null) return []
  const setup: FilterSetup = {
    ...{ name: entry.name, alias: entry.alias, settings, log, stores },
    get state() {
      const folder = join(stateDirectory, 'filters', entry.alias)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return folder
    },
  }
  try {
    await module.initFilter(setup)
    return []
  } catch (thrown) {
    const place = locateError(thrown) ?? { file, line: null }
    const told = mask === null ? thrown : maskThrown(thrown, mask)
    const text = `initFilter of "${entry.alias}" failed: ${describeThrown(told)}`
    return [{ ...place, text, cure: 'mend what it complains of, or take the filter out of the list' }]
  }
}
