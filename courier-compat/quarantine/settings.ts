/** The settings of the quarantine, and where they come from when nobody hands them in. */
import { librarySettings, type LibrarySettings } from '../module-config/library-sections.ts'
import { ModuleConfigError } from '../module-config/problem.ts'
import { moduleConfigPaths, readModuleConfig } from '../module-config/read.ts'

/** Section `[quarantine]`, as declared in `librarySections`. */
export type QuarantineSettings = LibrarySettings['quarantine']

/**
 * The settings of this machine.
 * Errors: ModuleConfigError, which tells all problems of the files: half of the settings are not to be used.
 */
export function loadQuarantineSettings(paths: readonly string[] = moduleConfigPaths()): QuarantineSettings {
  const { config, problems } = readModuleConfig(paths)
  const settings = librarySettings(config)
  const all = [...problems, ...settings.problems]
  if (all.length > 0) throw new ModuleConfigError(all)
  return settings.quarantine
}
