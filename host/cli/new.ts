/** `nodefilter new`: a filter that works, with its test, to be changed into what its author needs. */
import { existsSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { filterNameProblem } from '../chain/filter-name.ts'
import { keywords } from '../chain/list-words.ts'
import { bundledFilters } from '../chain/loader.ts'
import { availableFilters, moduleExtensions } from '../chain/module-file.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { makeFolder } from './make-folder.ts'
import { filterTemplate, testTemplate, type Language } from './new/templates.ts'
import { usageError } from './usage.ts'

const help = `usage: nodefilter new NAME [--dir DIR] [--js]

Writes a filter, DIR/NAME.ts, and its test, DIR/NAME.test.ts. Both work as they are: change them into what you need.
A file that is there already is never overwritten.

      --dir DIR  where to write; made if it is missing (default: this folder)
      --js       plain JavaScript, NAME.mjs and NAME.test.mjs

Exit status: 0 written; 64 wrong usage, or a name that no filter can have; 73 a file is there already, or cannot be
written.
`

/** The command. */
export const newCommand: Command = {
  name: 'new',
  summary: 'write a new filter and its test, to begin with',
  help,
  run: (args, io) => {
    const options = parseOptions(args, io)
    return Promise.resolve(typeof options === 'number' ? options : write(options, io))
  },
}

interface NewOptions {
  readonly name: string
  readonly directory: string
  readonly language: Language
}

function parseOptions(args: readonly string[], io: CommandIo): NewOptions | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { dir: { type: 'string', default: '.' }, js: { type: 'boolean', default: false } },
    })
    const [name, extra] = positionals
    if (name === undefined) return usageError(io, 'new', 'say how the filter is to be called')
    if (extra !== undefined) return usageError(io, 'new', `unexpected argument "${extra}"`)
    const problem = nameProblem(name)
    if (problem !== null) return usageError(io, 'new', problem)
    return { name, directory: values.dir, language: values.js ? 'mjs' : 'ts' }
  } catch (thrown) {
    return usageError(io, 'new', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

/** As for a name in the list, and it must be that of a file in one folder. */
function nameProblem(name: string): string | null {
  const problem = filterNameProblem(name)
  if (problem !== null) return problem
  if (/[./@]/.test(name)) return `"${name}" would be a file in another folder: use letters, digits, _ and -`
  return keywords.includes(name) ? `"${name}" is a word of filters.conf, and no name` : null
}

function write({ name, directory, language }: NewOptions, io: CommandIo): number {
  const filter = join(directory, `${name}.${language}`)
  const test = join(directory, `${name}.test.${language}`)
  // Another ending is the same filter: of two files neither would be run.
  const taken = [...moduleExtensions.map((ending) => join(directory, name + ending)), test].find((file) =>
    existsSync(file),
  )
  if (taken !== undefined) {
    io.err(`nodefilter new: ${taken} is there already\n`)
    return exitCodes.cantCreate
  }
  try {
    makeFolder(directory)
    for (const [file, text] of [
      [filter, filterTemplate(name, language)],
      [test, testTemplate(name, language)],
    ] as const) {
      // Not to be written by its group: whoever may write a filter reads everybody's mail.
      writeFileSync(file, text, { flag: 'wx', mode: 0o644 })
    }
  } catch (thrown) {
    io.err(`nodefilter new: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
    return exitCodes.cantCreate
  }
  io.out(nextSteps(name, filter, test))
  if (availableFilters([bundledFilters]).includes(name)) {
    io.err(`note: a filter "${name}" comes with nodefilter; yours takes its place where [chain] filter_path names it\n`)
  }
  return exitCodes.ok
}

function nextSteps(name: string, filter: string, test: string): string {
  const folder = resolve(filter, '..')
  return `wrote ${filter} and ${test}

Test it:     nodefilter test ${relative('.', test)}
Use it:      ${name} with max_recipients=50
             is its line in filters.conf; nodefilter.conf names its folder:
             [chain]
             filter_path = ${folder}
Try it:      nodefilter check -c DIR MESSAGE...      DIR has both files; --watch: again after every change
`
}
