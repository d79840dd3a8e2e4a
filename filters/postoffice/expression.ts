/**
 * Regular expressions of administrators, run in time linear in the text: the only file that knows the engine.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 3 and 18.
 */
import { RE2JS, RE2JSException, RE2Set } from 're2js'
import { quoted } from '../../courier-compat/quoted.ts'
import type { PostofficeProblem } from './problem.ts'
import { translatePython } from './python-syntax.ts'
import type { ExpressionRemark, PythonSyntax, Translation } from './python-syntax.ts'
import type { Expression } from './types.ts'

/** Where an expression stands, and how it is meant. */
export interface ExpressionPlace {
  readonly file: string
  readonly line: number
  /** Of its first character; 1 where nothing is said. */
  readonly column?: number
  /** `match`: from the beginning of the text, which is one field; `search-multiline`: anywhere, by lines. */
  readonly kind: 'match' | 'search-multiline'
  /** `python2` where nothing is said. */
  readonly syntax?: PythonSyntax
}

/** An expression that can be run. */
export interface CompiledExpression extends Expression {
  /**
   * As `Expression`. CR LF counts as one line end.
   * `goesOn`: the text is a window, behind which more comes. Then its end is not the end of the text, and of the two
   * mistakes possible there, to find what does not match, or to find only in the next window what does, it makes the
   * latter. Default false.
   */
  test(text: string, from?: number, goesOn?: boolean): boolean
  /** As the engine has it, for those who look into what an expression means. */
  readonly translated: string
  /** What each match from the beginning on begins with, case aside, in lower case. */
  readonly prefix: string
  /** Whether it may run together with others, see `combineExpressions`. */
  readonly isNarrow: boolean
  /** About as many as the engine makes of it: its share of memory. */
  readonly steps: number
}

/**
 * Compiles an expression of Python 2.7.
 *
 * Shape:  `warnings` tell what is probably not meant; each says its file, line and column.
 * Errors: `problem`.
 */
export function compileExpression(
  source: string,
  place: ExpressionPlace,
):
  | { readonly expression: CompiledExpression; readonly warnings: readonly PostofficeProblem[] }
  | { readonly problem: PostofficeProblem } {
  const tell = ({ at, text, cure }: ExpressionRemark): PostofficeProblem => ({
    file: place.file,
    line: place.line,
    column: (place.column ?? 1) + at,
    text: `the regular expression ${quoted(source)}: ${text}`,
    cure,
  })
  const isAnchored = place.kind === 'match'
  const translation = translatePython(source, { isMultiline: !isAnchored, syntax: place.syntax ?? 'python2' })
  if ('fault' in translation) return { problem: tell(translation.fault) }
  try {
    const expression = new Compiled(source, translation, isAnchored)
    return { expression, warnings: translation.warnings.slice(0, toldAtMost).map(tell) }
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    return { problem: tell({ at: 0, text: `the engine does not take it: ${error.message}`, cure: 'make it simpler' }) }
  }
}

/** Warnings of one expression. */
const toldAtMost = 3

/** A class without characters: what stands for the end of the text in a window that is not the last. */
const never = '[^\\x{0}-\\x{10ffff}]'

class Compiled implements CompiledExpression {
  readonly source: string
  readonly translated: string
  readonly prefix: string
  readonly isNarrow: boolean
  readonly steps: number
  readonly #looksAhead: boolean
  readonly #engine: RE2JS
  #inside: RE2JS | null = null

  constructor(source: string, translation: Translation, isAnchored: boolean) {
    const { body, flags, prefix, isNarrow, looksAhead, steps } = translation
    const switches = flags === '' ? '' : `(?${flags})`
    this.source = source
    this.translated = isAnchored ? `${switches}\\A(?:${body})` : `${switches}${body}`
    this.prefix = prefix.toLowerCase()
    this.isNarrow = isNarrow
    this.steps = steps
    this.#looksAhead = looksAhead
    this.#engine = RE2JS.compile(this.translated)
  }

  test(text: string, from = 0, goesOn = false): boolean {
    if (text.includes('\r\n')) {
      const before = text.slice(0, from).replaceAll('\r\n', '\n')
      return this.test(before + text.slice(from).replaceAll('\r\n', '\n'), before.length, goesOn)
    }
    if (!goesOn || !this.#looksAhead) return this.#engine.matcher(text).find(from)
    this.#inside ??= RE2JS.compile(this.translated.replaceAll('\\z', never))
    const matcher = this.#inside.matcher(text)
    return matcher.find(from) && matcher.end() < text.length
  }
}

/** How many run as one: with more, what the engine remembers of a text grows faster than what is saved. */
const combinedAtOnce = 200

/**
 * Makes one pass over a text out of many expressions that are searched for.
 *
 * Shape: a function that gives those that may match somewhere in a text, in their order; none is missing. Expressions that
 *        are not narrow are always among them. `null` where there is nothing to gain.
 */
export function combineExpressions(
  expressions: readonly CompiledExpression[],
): ((text: string) => readonly CompiledExpression[]) | null {
  const narrow = expressions.filter(({ isNarrow }) => isNarrow)
  if (narrow.length < 8) return null
  const sets: { readonly set: RE2Set; readonly members: readonly CompiledExpression[] }[] = []
  for (let at = 0; at < narrow.length; at += combinedAtOnce) {
    const members = narrow.slice(at, at + combinedAtOnce)
    const set = new RE2Set()
    for (const { translated } of members) set.add(translated)
    set.compile()
    sets.push({ set, members })
  }
  return (text) => {
    const unix = text.replaceAll('\r\n', '\n')
    const found = new Set(sets.flatMap(({ set, members }) => set.match(unix).map((id) => members[id])))
    return expressions.filter((expression) => !expression.isNarrow || found.has(expression))
  }
}
