/**
 * The loader: from the list to initialised filters, or to errors that say where and what to do.
 *
 * The only way to a filter module. It runs in worker threads, never in the host process.
 * Source: contracts.md ("A filter module"), spec pythonfilter 1.3.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FilterLog, FilterSetup, OnError } from '../../courier-compat/filter.ts'
import { didYouMean } from '../../courier-compat/near-match.ts'
import { checkSettings } from '../../courier-compat/setting-value.ts'
import type { ChainFilter } from './chain.ts'
import { describeThrown, placeOfError } from './failure.ts'
import type { ChainEntry } from './list.ts'
import type { LoadProblem } from './load-problem.ts'
import { checkCodePlace, findModule, placesOfModule } from './module-file.ts'
import { importModule, type ModuleShape } from './module-shape.ts'
import { lineOptions } from './with-options.ts'

/** What to load. */
export interface LoadPlan {
  readonly entries: readonly ChainEntry[]
  /** Folders in order; the bundled filters are looked up after them. */
  readonly filterPath: readonly string[]
  /** The limit of a filter whose line sets none. */
  readonly timeLimitMs: number
  /** Below it each filter has a folder of its own, `setup.state`. */
  readonly stateDirectory: string
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

/** Loads and initialises every filter of the list, in its order. All problems are told at once. Never rejects. */
export async function loadChain(
  plan: LoadPlan,
  logFor: (alias: string) => FilterLog,
): Promise<LoadedChain | { readonly problems: readonly LoadProblem[] }> {
  const problems: LoadProblem[] = []
  const warnings: LoadProblem[] = []
  const trusted = (path: string): boolean => {
    const { problem, warning } = checkCodePlace(path)
    if (problem !== null) problems.push(problem)
    if (warning !== null) warnings.push(warning)
    return problem === null
  }

  const folders = [...plan.filterPath.filter(trusted), bundledFilters]
  const filters: ChainFilter[] = []
  const described: LoadedFilter[] = []
  const closers: { readonly alias: string; readonly close: () => void | Promise<void> }[] = []
  for (const [index, entry] of plan.entries.entries()) {
    const file = findModule(entry, folders)
    if (typeof file !== 'string') {
      // It may well be in a folder that was refused, which has been told already.
      if (folders.length > plan.filterPath.length) problems.push(file)
      continue
    }
    if (!placesOfModule(entry, file).every(trusted)) continue
    const module = await importModule(file, entry.alias === entry.name ? null : entry.alias)
    if ('text' in module) {
      problems.push(module)
      continue
    }
    const faults = await initialise(entry, file, module, plan.stateDirectory, logFor(entry.alias))
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
      doFilter: module.doFilter,
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

/** Checks the entry's settings against the module's schema and calls `initFilter`. */
async function initialise(
  entry: ChainEntry,
  file: string,
  module: ModuleShape,
  stateDirectory: string,
  log: FilterLog,
): Promise<LoadProblem[]> {
  const { values, problems } = checkSettings(module.settings, entry.settings)
  if (problems.length > 0) {
    return problems.map(({ key, text }) => ({
      file: entry.file,
      line: entry.line,
      text: `filter "${entry.alias}": ${key}: ${text}`,
      // What is no setting of the filter may have been meant for the host.
      cure: key in module.settings ? null : didYouMean(key, Object.keys(lineOptions)),
    }))
  }
  if (module.initFilter === null) return []
  const setup: FilterSetup = {
    ...{ name: entry.name, alias: entry.alias, settings: values, log },
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
    const place = placeOfError(thrown)
    const text = `initFilter of "${entry.alias}" failed: ${describeThrown(thrown)}${place === null ? '' : ` at ${place}`}`
    return [{ file, line: null, text, cure: 'mend what it complains of, or take the filter out of the list' }]
  }
}
