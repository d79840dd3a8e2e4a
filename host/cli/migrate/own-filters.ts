/** nodefilter's own filters and their settings, as they are in this version. */
import type { SettingSchemas } from '../../../courier-compat/setting.ts'
import { bundledFilters } from '../../chain/loader.ts'
import { availableFilters } from '../../chain/module-file.ts'
import { systemPlatform } from '../../platform/platform.ts'
import { describeModules } from '../../runner/describe.ts'

/** Name of a filter -> its settings. */
export type OwnFilters = ReadonlyMap<string, SettingSchemas>

/**
 * Looks at every filter of the package.
 * Errors: Error for a module that cannot be imported: the package is broken.
 */
export async function readOwnFilters(): Promise<OwnFilters> {
  const named = availableFilters([bundledFilters]).map((name) => ({ name, file: bundledFilters, line: null }))
  const described = await describeModules(named, { filterPath: [], packagePath: [] }, systemPlatform)
  return new Map(
    named.map(({ name }, index) => {
      const answer = described[index]
      if (answer !== undefined && 'settings' in answer) return [name, answer.settings]
      throw new Error(`nodefilter's own filter ${name}: ${answer?.problems[0]?.text ?? 'no answer'}`)
    }),
  )
}
