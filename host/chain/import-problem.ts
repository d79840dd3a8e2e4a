/** Why a module could not be imported, with the file at fault, which may be one that it imports, and the line. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { locateError, type Place } from './error-place.ts'
import { describeThrown } from './failure.ts'
import type { LoadProblem } from './load-problem.ts'

/**
 * Tells why a module could not be imported.
 *
 * Shape: `imported` are the addresses of all files that were found on the way, the module's own among them: the fault is in
 *        one of these, whatever else stands in the error's stack.
 */
export function importProblem(module: string, thrown: unknown, imported: readonly string[]): LoadProblem {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const place = placeOfMissing(thrown) ?? placeAmong(imported, thrown) ?? placeOfSyntaxError(thrown, imported)
  const { file, line } = place ?? { file: module, line: null }
  const text = describeThrown(thrown) + (file === module ? '' : ` (imported by ${module})`)
  switch (code) {
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return {
        file,
        line,
        text: `imports something that is not there: ${text}`,
        cure: 'install the package, or correct the path',
      }
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return {
        file,
        line,
        text: `uses TypeScript that Node cannot strip: ${text}`,
        cure: 'use types that can be erased (no enum, namespace or parameter properties; "erasableSyntaxOnly")',
      }
    case 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING':
      return {
        file,
        line,
        text: 'is TypeScript below node_modules, which Node does not run',
        cure: 'publish the filter as JavaScript',
      }
    case 'EACCES':
      return { file, line, text: `cannot be read: ${text}`, cure: "let the mail server's user read it" }
    default:
      return {
        file,
        line,
        text: `cannot be loaded: ${text}`,
        cure: 'correct the module; "nodefilter check" tries it without the mail server',
      }
  }
}

function placeAmong(imported: readonly string[], thrown: unknown): Place | null {
  const place = locateError(thrown)
  return place !== null && imported.some((url) => fileURLToPath(url) === place.file) ? place : null
}

/** How long Node may take to read a module that it has refused already, and how many of the last ones are read. */
const syntaxCheck = { limitMs: 5000, files: 4 } as const

/** Where an ECMAScript module's syntax is wrong, Node tells the place only when it is asked to look at that file alone. */
function placeOfSyntaxError(thrown: unknown, imported: readonly string[]): Place | null {
  if (!(thrown instanceof SyntaxError)) return null
  // Each is read as soon as it is found, so it is the last one, or hardly any before it.
  for (const url of imported.slice(-syntaxCheck.files).reverse()) {
    const file = fileURLToPath(url)
    const { stderr } = spawnSync(process.execPath, ['--check', file], {
      encoding: 'utf8',
      timeout: syntaxCheck.limitMs,
    })
    const [, scheme, path = '', line] = /^(file:\/\/)?(\/.*):([0-9]+)$/m.exec(stderr) ?? []
    const told = scheme === undefined ? path : decodeURIComponent(path)
    if (stderr.includes(thrown.message) && told === file) return { file, line: Number(line) }
  }
  return null
}

/** The import of what is not there: Node names the file, and the line is the first that has the name in quotes. */
function placeOfMissing(thrown: unknown): Place | null {
  if (!(thrown instanceof Error)) return null
  const [, name = '', file = ''] =
    /^Cannot find (?:package|module) '([^'\n]+)' imported from (\/[^\n]+)$/.exec(thrown.message) ?? []
  if (file === '') return null
  const lines = readLines(file)
  const last = name.slice(name.lastIndexOf('/') + 1)
  const isNamed = (line: string): boolean =>
    [`'${name}'`, `"${name}"`, `/${last}'`, `/${last}"`].some((word) => line.includes(word))
  const index = lines.findIndex(isNamed)
  return index === -1 ? null : { file, line: index + 1 }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}
