/**
 * The names of sections: which of them are the same, and what they were called before.
 *
 * Pure: no clock, socket, file or logger.
 * Source: contracts "Files of configuration"; spec pythonfilter 4.5.
 */
import { basename } from 'node:path'

/** The section whose options hold in every other section of the files, unless that says otherwise. */
export const defaultSection = 'DEFAULT'

const renamed: ReadonlyMap<string, string> = new Map([
  ['TtlDb', 'ttldb'],
  ['Quarantine', 'quarantine'],
])

/** The name that `[x]` and `[x.py]` have in common, and that an old name stands for. */
export function sectionKey(written: string): string {
  return renamed.get(written) ?? written.replace(/(?<=.)\.py$/, '')
}

/** What an old name of a section is now, or `null`. */
export function renamedSection(written: string): string | null {
  return renamed.get(written) ?? null
}

/** Options that pythonfilter had once and that do nothing any more. */
const removedOptions: ReadonlyMap<string, readonly string[]> = new Map([['greylist', ['doDebug']]])

/** Whether an option of a section was dropped, so that a file which still has it is no mistake. */
export function isRemovedOption(section: string, key: string): boolean {
  return removedOptions.get(sectionKey(section))?.includes(key) ?? false
}

/** Whether a file is pythonfilter's own: what pythonfilter ignores there is ignored, with a warning. */
export function isPythonfilterFile(file: string): boolean {
  return /^pythonfilter.*\.conf$/.test(basename(file))
}
