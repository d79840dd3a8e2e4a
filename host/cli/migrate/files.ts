/** The files that `nodefilter migrate` writes. Pure text. */
import { firstFiles } from '../courier/first-files.ts'
import type { SourceFile } from './item.ts'

/** A file of the new folder. `isPrivate`: made from files that not everybody may read, and so is not for everybody. */
export interface NewFile {
  readonly name: string
  readonly text: string
  readonly isPrivate: boolean
}

/** What they are made from. */
export interface NewFilesPlan {
  readonly list: SourceFile
  readonly modules: readonly SourceFile[]
  readonly listRows: readonly string[]
  readonly moduleRows: readonly string[]
  readonly version: string
}

/** The files, in the order in which they are to be written: the last one makes the folder a configuration. */
export function newFiles({ list, modules, listRows, moduleRows, version }: NewFilesPlan): readonly NewFile[] {
  const by = `Made by "nodefilter migrate" (nodefilter ${version})`
  const sources = modules.map(({ file }) => file).join(' and ')
  const host = firstFiles.find(({ name }) => name === 'nodefilter.conf')?.text ?? ''
  return [
    { name: 'nodefilter.conf', text: `# ${by}; pythonfilter had no settings of this kind.\n${host}`, isPrivate: false },
    {
      name: 'modules.conf',
      text: `# The settings of the filters, a section [NAME] for each, in Python's notation as in pythonfilter.
# ${by} from ${sources === '' ? 'nothing: there was no pythonfilter-modules.conf' : sources}.
${moduleRows.map((row) => `${row}\n`).join('')}`,
      isPrivate: true,
    },
    {
      name: 'filters.conf',
      text: `# The filters that every message runs through, one a line, in this order:
#   NAME [as ALIAS] [for OTHER ...] [with key=value ...]
# ${by} from ${list.file}. Behind each number stands what the line was, where it is not the same.

${listRows.map((row) => `${row}\n`).join('')}`,
      isPrivate: false,
    },
  ]
}
