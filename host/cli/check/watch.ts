/** `nodefilter check --watch`: again after every change, until somebody ends it. */
import { basename, dirname, resolve } from 'node:path'
import { bundledFilters } from '../../chain/loader.ts'
import { readConfiguration } from '../../config/read.ts'
import { openFolderWatch, type FolderWatch } from '../../platform/folder-watch.ts'
import { systemClock } from '../../platform/clock.ts'
import type { CommandIo } from '../command.ts'
import { inWorkFolder, orInterrupted } from '../work-folder.ts'
import { runCheck, type CheckOptions, type CheckResult } from './run.ts'

/** Runs once; `null` if it was interrupted. */
export async function checkOnce(
  options: CheckOptions,
  io: CommandIo,
  interrupted: AbortSignal,
): Promise<CheckResult | null> {
  const result = await inWorkFolder('check', io, interrupted, (work) => runCheck(options, work, io, interrupted))
  return typeof result === 'number' ? { code: result, modules: [] } : result
}

/** Runs, and runs again whenever a filter, a file of the configuration or a message changes. Resolves when interrupted. */
export async function checkAgain(options: CheckOptions, io: CommandIo, interrupted: AbortSignal): Promise<void> {
  while (!interrupted.aborted) {
    // Before the run: what changes while it runs makes another one.
    const watch = openFolderWatch(systemClock, (text) => io.err(`nodefilter check: ${text}\n`))
    addConfigured(watch, options)
    const result = await checkOnce(options, io, interrupted)
    for (const module of result?.modules ?? []) {
      if (dirname(module) !== bundledFilters) watch.add(dirname(module), isModule, true)
    }
    if (result !== null) io.err(`watching ${watch.count()} folders, Ctrl-C ends it\n`)
    const path = await orInterrupted(watch.changed, interrupted)
    watch.close()
    if (path !== null) io.err(`\n${path} changed\n`)
  }
}

/** Everything that the command line and the configuration name. */
function addConfigured(watch: FolderWatch, { messages, directory, set }: CheckOptions): void {
  const isConfiguration = (name: string): boolean => name.endsWith('.conf')
  const { files, remaining } = readConfiguration({ directory, sets: set })
  if (directory !== null) watch.add(resolve(directory), isConfiguration, false)
  for (const file of [...messages, ...files]) {
    const path = resolve(file)
    watch.add(dirname(path), (name) => name === basename(path), false)
  }
  for (const folder of remaining.chain.filterPath) watch.add(folder, isModule, true)
}

/** What an editor writes beside a file while it is edited has other endings, or is hidden. */
function isModule(name: string): boolean {
  return /^[^.].*\.(?:[cm]?[jt]s|json)$/.test(name)
}
