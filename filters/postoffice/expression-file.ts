/**
 * Files of regular expressions, one a line, and lists of expressions that are tried together.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 3.3 and 3.5.
 */
import { combineExpressions, compileExpression } from './expression.ts'
import type { CompiledExpression, ExpressionPlace } from './expression.ts'
import type { PostofficeProblem } from './problem.ts'
import type { ExpressionFilter } from './types.ts'

/** The limits of one file. */
export const expressionFileLimits = {
  octets: 16 * 2 ** 20,
  expressions: 10_000,
  /** Of all expressions together; a thread has about 200 octets in memory for each. */
  steps: 500_000,
  /** More problems, or warnings, are not told. */
  problems: 20,
} as const

/** What is in a file. */
export interface ReadExpressions {
  /** Those without a fault, in the order of the lines. */
  readonly expressions: readonly CompiledExpression[]
  readonly problems: readonly PostofficeProblem[]
  readonly warnings: readonly PostofficeProblem[]
}

/**
 * Reads the expressions of a file.
 *
 * Shape:  line ends are LF or CR LF. Blanks count, also at the ends of a line; there are no comments. Empty lines are left
 *         out: as expressions they would match everything.
 * Errors: `problems`, each with its line.
 */
export function parseExpressionFile(
  text: string,
  file: string,
  how: Pick<ExpressionPlace, 'kind' | 'syntax'>,
): ReadExpressions {
  const expressions: CompiledExpression[] = []
  const problems: PostofficeProblem[] = []
  const warnings: PostofficeProblem[] = []
  const emptyLines: number[] = []
  const rows = text.replace(/\r?\n$/, '').split('\n')
  let steps = 0
  for (const [index, row] of text === '' ? [] : rows.entries()) {
    const line = index + 1
    const source = row.replace(/\r$/, '')
    if (source === '') {
      emptyLines.push(line)
      continue
    }
    const compiled = compileExpression(source, { ...how, file, line })
    if ('problem' in compiled) problems.push(compiled.problem)
    else {
      steps += compiled.expression.steps
      expressions.push(compiled.expression)
      if (warnings.length < expressionFileLimits.problems) warnings.push(...compiled.warnings)
    }
    const isFull = expressions.length > expressionFileLimits.expressions || steps > expressionFileLimits.steps
    if (isFull || problems.length >= expressionFileLimits.problems) {
      if (isFull) problems.push(tooMany(file, line, steps))
      break
    }
  }
  const [line] = emptyLines
  if (line !== undefined) {
    const others = emptyLines.length === 1 ? '' : `, and so are ${emptyLines.length - 1} more`
    const told = `the line is empty and left out${others}; repoze.postoffice took it for an expression that matches everything`
    warnings.push({ file, line, column: null, text: told, cure: 'take it out' })
  }
  return { expressions, problems, warnings }
}

function tooMany(file: string, line: number, steps: number): PostofficeProblem {
  const text =
    steps > expressionFileLimits.steps
      ? `the expressions up to here have more than ${expressionFileLimits.steps} steps together`
      : `there are more than ${expressionFileLimits.expressions} expressions`
  return { file, line, column: null, text, cure: 'make several files, for several filters or queues' }
}

/** From this number on, choosing among expressions is worth more than it costs. */
const longList = 16

/**
 * What finds those of many expressions that may match a text.
 *
 * Shape: as `ExpressionFilter.candidates`. Of header expressions those that begin with the name of another field are left
 *        out; of body expressions those that one pass over the text finds nowhere.
 */
export function candidatesAmong(
  expressions: readonly CompiledExpression[],
  kind: ExpressionPlace['kind'],
): ExpressionFilter['candidates'] {
  if (expressions.length < longList) return null
  return kind === 'match' ? byFieldName(expressions) : combineExpressions(expressions)
}

function byFieldName(expressions: readonly CompiledExpression[]): (text: string) => readonly CompiledExpression[] {
  const nameOf = ({ prefix }: CompiledExpression): string | null => /^[^:]*(?=:)/.exec(prefix)?.[0] ?? null
  const anywhere = expressions.filter((expression) => nameOf(expression) === null)
  const byName = new Map<string, CompiledExpression[]>()
  for (const name of new Set(expressions.map(nameOf))) if (name !== null) byName.set(name, [])
  for (const expression of expressions) {
    const name = nameOf(expression)
    // Those without a name belong to every list, at their place, so that the first that matches is the one of the file.
    if (name === null) for (const list of byName.values()) list.push(expression)
    else byName.get(name)?.push(expression)
  }
  return (text) => byName.get(text.slice(0, text.indexOf(':')).toLowerCase()) ?? anywhere
}
