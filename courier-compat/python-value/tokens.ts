/**
 * The words and signs of a value, one after another. Blanks, comments, and line ends inside brackets are left out.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3.
 */
import { quoted } from '../quoted.ts'
import { PythonFault } from './fault.ts'
import type { PythonRemark } from './fault.ts'
import { putInQuotes } from './advice.ts'
import { limits, sizedText } from './limits.ts'
import type { Sized } from './limits.ts'
import { readNumberLiteral } from './number-literal.ts'
import { isRawPrefix, readTextLiteral } from './text-literal.ts'

/** `literal` is a number, or one text in quotes; `newline` a line end outside of brackets. */
export interface Token {
  readonly kind: 'literal' | 'name' | 'sign' | 'newline' | 'end'
  readonly text: string
  readonly start: number
  readonly end: number
  /** Of a literal alone. */
  readonly literal: Sized | null
  readonly warning: PythonRemark | null
}

const blanks = /(?:[ \t\f\r]|\\\n)*/y
const blanksInBrackets = /(?:[ \t\f\r\n]|\\\n)*/y
const comment = /#[^\n]*/y
const name = /[\p{L}_][\p{L}\p{N}_]*/uy
const sign = /\*\*=?|\/\/=?|<<=?|>>=?|\.\.\.|:=|->|==|!=|<=|>=|[-+*/%&|^@]=|[-+*/%~<>&|^@=,:;.()[\]{}]/y

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

interface Bracket {
  readonly open: string
  readonly start: number
}

/** Reads tokens on demand, so that of several faults the first one is told. */
export class Scanner {
  readonly #source: string
  readonly #brackets: Bracket[]
  #offset: number

  constructor(source: string, offset = 0, brackets: readonly Bracket[] = []) {
    this.#source = source
    this.#offset = offset
    this.#brackets = [...brackets]
  }

  /** How many brackets are open behind the token read last. */
  get depth(): number {
    return this.#brackets.length
  }

  /** The bracket that was opened last and is not closed, or `null`. */
  get innermost(): string | null {
    return this.#brackets.at(-1)?.open ?? null
  }

  /** A second scanner at the same place, to look ahead with. */
  fork(): Scanner {
    return new Scanner(this.#source, this.#offset, this.#brackets)
  }

  /** Errors: PythonFault for what begins no token, brackets that do not match, and a text without an end. */
  next(): Token {
    const start = this.#skipBlanks()
    const char = this.#source[start]
    if (char === undefined) return this.#end(start)
    if (char === '\n') return this.#token('newline', start, start + 1)
    if (char === '"' || char === "'") return this.#text(start, start, false)
    if (/[0-9]/.test(char) || /^\.[0-9]/.test(this.#source.slice(start, start + 2))) {
      const { number, end } = readNumberLiteral(this.#source, start)
      return this.#token('literal', start, end, number)
    }
    const word = this.#match(name, start)
    if (word !== '') {
      const end = start + word.length
      const quote = this.#source[end]
      if (quote === '"' || quote === "'") return this.#text(start, end, isRawPrefix(word, start))
      return this.#token('name', start, end)
    }
    const found = this.#match(sign, start)
    if (found === '') throw this.#strange(start)
    this.#takeBracket(found, start)
    return this.#token('sign', start, start + found.length)
  }

  #skipBlanks(): number {
    for (;;) {
      this.#offset += this.#match(this.#brackets.length > 0 ? blanksInBrackets : blanks, this.#offset).length
      const skipped = this.#match(comment, this.#offset).length
      if (skipped === 0) return this.#offset
      this.#offset += skipped
    }
  }

  #end(start: number): Token {
    const open = this.#brackets.at(-1)
    if (open === undefined) return this.#token('end', start, start)
    const closer = closers[open.open] ?? ''
    const cure = `add "${closer}"; every further line of the value, the one with "${closer}" too, is indented deeper than its key`
    throw new PythonFault(open.start, 'syntax', open.open, `"${open.open}" is never closed`, cure)
  }

  #text(start: number, quoteAt: number, isRaw: boolean): Token {
    const { text, end, warning } = readTextLiteral(this.#source, start, quoteAt, isRaw)
    const literal = sizedText(text, start, this.#source.slice(start, quoteAt + 1))
    return { ...this.#token('literal', start, end, literal), warning }
  }

  #takeBracket(found: string, start: number): void {
    if (found in closers) {
      if (this.#brackets.length >= limits.maxNesting) {
        throw new PythonFault(start, 'range', found, `more than ${limits.maxNesting} brackets stand inside one another`)
      }
      this.#brackets.push({ open: found, start })
    } else if (found === ')' || found === ']' || found === '}') {
      const open = this.#brackets.pop()
      if (open === undefined) throw new PythonFault(start, 'syntax', found, `"${found}" closes nothing`, 'take it out')
      const closer = closers[open.open] ?? ''
      if (closer === found) return
      throw new PythonFault(start, 'syntax', found, `"${found}" closes "${open.open}"`, `write "${closer}"`)
    }
  }

  #strange(start: number): PythonFault {
    const char = String.fromCodePoint(this.#source.codePointAt(start) ?? 0)
    const cure =
      char === '\\'
        ? 'a backslash stands in quotes, or at the very end of a line that goes on in the next one'
        : /[‘’‚‛“”„‟`´]/.test(char)
          ? 'use the straight quotes \' or "'
          : /\s/.test(char)
            ? 'write an ordinary blank'
            : putInQuotes(this.#source, start)
    return new PythonFault(start, 'syntax', char, `${quoted(char)} has no meaning outside of quotes`, cure)
  }

  #token(kind: Token['kind'], start: number, end: number, literal: Sized | null = null): Token {
    this.#offset = end
    return { kind, text: this.#source.slice(start, end), start, end, literal, warning: null }
  }

  #match(pattern: RegExp, offset: number): string {
    pattern.lastIndex = offset
    return pattern.exec(this.#source)?.[0] ?? ''
  }
}
