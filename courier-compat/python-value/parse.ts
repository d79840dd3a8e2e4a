/**
 * Reads a value and computes it in one pass. It goes down only where brackets do, so that no text can overflow the stack.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3 (grammar).
 */
import { quoted } from '../quoted.ts'
import { leftoverFault, nameFault, noValueFault } from './advice.ts'
import { applyOperator, applyPrefix, numberOf } from './arithmetic.ts'
import type { Operator } from './arithmetic.ts'
import type { PythonRemark } from './fault.ts'
import { identityOf } from './keys.ts'
import { checkSize, checkTextLength } from './limits.ts'
import type { Allowance, Sized } from './limits.ts'
import { Scanner } from './tokens.ts'
import type { Token } from './tokens.ts'
import type { PythonValue } from './value.ts'

/** One value between `**` signs, with the signs before it. */
interface PowerLink {
  readonly prefixes: readonly Operator[]
  readonly value: Sized
  /** The `**` behind it, or `null` for the last one. */
  readonly power: Operator | null
}

const named: ReadonlyMap<string, PythonValue> = new Map([
  ['True', { kind: 'bool', value: true }],
  ['False', { kind: 'bool', value: false }],
  ['None', { kind: 'none' }],
])

/** Errors: PythonFault. `warnings` are added to in the order of the text. */
export function parseValue(source: string, allowance: Allowance, warnings: PythonRemark[]): Sized {
  return new Parser(source, allowance, warnings).whole()
}

class Parser {
  readonly #source: string
  readonly #allowance: Allowance
  readonly #warnings: PythonRemark[]
  readonly #scanner: Scanner
  #token: Token
  /** Where the token before this one ended. */
  #lastEnd = 0

  constructor(source: string, allowance: Allowance, warnings: PythonRemark[]) {
    this.#source = source
    this.#allowance = allowance
    this.#warnings = warnings
    this.#scanner = new Scanner(source)
    this.#token = this.#scanner.next()
  }

  whole(): Sized {
    this.#skipNewlines()
    const value = this.#items()
    const last = this.#token
    this.#skipNewlines()
    if (this.#token.kind === 'end') return value
    throw this.#leftover(last, value)
  }

  /** One value, or a tuple without brackets of its own. */
  #items(): Sized {
    const first = this.#expression()
    if (!this.#is(',')) return first
    const items = [first]
    while (this.#is(',')) {
      this.#advance()
      if (this.#is(')') || this.#token.kind === 'newline' || this.#token.kind === 'end') break
      items.push(this.#expression())
      this.#checkCount(items.length)
    }
    return this.#container('tuple', items)
  }

  #expression(): Sized {
    const prefixes: Operator[] = []
    while (this.#token.kind === 'name' && this.#token.text === 'not') prefixes.push(this.#operator())
    return withPrefixes(prefixes, this.#sum())
  }

  #sum(): Sized {
    let left = this.#product()
    while (this.#is('+') || this.#is('-')) {
      const operator = this.#operator()
      left = applyOperator(operator, left, this.#product(), this.#allowance)
    }
    return left
  }

  #product(): Sized {
    let left = this.#factor()
    while (this.#is('*') || this.#is('/') || this.#is('//') || this.#is('%')) {
      const operator = this.#operator()
      left = applyOperator(operator, left, this.#factor(), this.#allowance)
    }
    return left
  }

  /** `-2 ** -3 ** x`: read from the left, computed from the right. */
  #factor(): Sized {
    const links: PowerLink[] = []
    for (;;) {
      const prefixes: Operator[] = []
      while (this.#is('+') || this.#is('-') || this.#is('~')) prefixes.push(this.#operator())
      const value = this.#atom()
      const power = this.#is('**') ? this.#operator() : null
      links.push({ prefixes, value, power })
      if (power === null) break
    }
    return links.reduceRight<Sized | null>((right, { prefixes, value, power }) => {
      const raised = right === null || power === null ? value : applyOperator(power, value, right, this.#allowance)
      return withPrefixes(prefixes, raised)
    }, null) as Sized
  }

  #atom(): Sized {
    const value = this.#bareAtom()
    if (this.#is('(') || this.#is('.') || this.#is('[')) throw this.#leftover(this.#token, value)
    return value
  }

  #bareAtom(): Sized {
    const token = this.#token
    if (token.literal !== null) return token.literal.value.kind === 'str' ? this.#texts() : this.#taken(token.literal)
    if (token.kind === 'name') {
      const value = named.get(token.text)
      if (value !== undefined) return this.#taken({ value, elements: 0, chars: 0 })
      if (token.text === 'not') throw noValueFault(this.#source, token)
      throw nameFault(this.#source, token, this.#isComprehended())
    }
    if (this.#is('(')) return this.#inRoundBrackets()
    if (this.#is('[')) return this.#inSquareBrackets()
    if (this.#is('{')) return this.#inBraces()
    throw noValueFault(this.#source, token)
  }

  /** Texts side by side are one. */
  #texts(): Sized {
    const start = this.#token.start
    const parts: string[] = []
    let chars = 0
    let before: Token | null = null
    for (;;) {
      const token = this.#token
      const { literal, warning } = token
      if (literal?.value.kind !== 'str') break
      if (before !== null) this.#warnAtNeighbour(before, token)
      if (warning !== null) this.#warnings.push(warning)
      chars += literal.chars
      checkTextLength(chars, start, "'")
      parts.push(literal.value.value)
      before = token
      this.#advance()
    }
    return { value: { kind: 'str', value: parts.join('') }, elements: 0, chars }
  }

  #warnAtNeighbour(before: Token, { start }: Token): void {
    const quote = this.#source[start]
    if (before.end === start && quote === this.#source[before.end - 1]) {
      const cure = `write \\${quote ?? ''} for a quote in a text, or a blank between two texts`
      this.#warnings.push({ offset: start, text: 'two texts touch here and are joined, without a quote between', cure })
    } else if (this.#scanner.innermost === '[' || this.#scanner.innermost === '{') {
      const text = 'two texts stand side by side here and are joined to one'
      this.#warnings.push({ offset: start, text, cure: 'write a comma between them if they are two' })
    }
  }

  #inRoundBrackets(): Sized {
    this.#advance()
    const value = this.#is(')') ? this.#container('tuple', []) : this.#items()
    this.#close(')', value)
    return value
  }

  #inSquareBrackets(): Sized {
    this.#advance()
    const items: Sized[] = []
    while (!this.#is(']')) {
      items.push(this.#expression())
      this.#checkCount(items.length)
      if (!this.#is(',')) break
      this.#advance()
    }
    this.#close(']', items.at(-1))
    return this.#container('list', items)
  }

  #inBraces(): Sized {
    this.#advance()
    const entries = new Map<string, readonly [Sized, Sized]>()
    let isDict: boolean | null = null
    let last: Sized | undefined
    while (!this.#is('}')) {
      const start = this.#token.start
      const key = this.#expression()
      const keyEnd = this.#lastEnd
      isDict ??= this.#is(':')
      last = key
      if (isDict) {
        if (!this.#is(':')) throw this.#leftover(this.#token, key)
        this.#advance()
        last = this.#expression()
      }
      const identity = identityOf(key, start, this.#allowance)
      const earlier = entries.get(identity)
      if (isDict && earlier !== undefined) {
        const written = quoted(this.#source.slice(start, Math.min(keyEnd, start + 61)))
        const text = `the key ${written} stands twice in this dict, and the later value holds`
        this.#warnings.push({ offset: start, text, cure: 'take one out' })
      }
      // As in Python, the first key stays, with the last value.
      entries.set(identity, [earlier?.[0] ?? key, last])
      this.#checkCount(entries.size)
      if (!this.#is(',')) break
      this.#advance()
    }
    this.#close('}', last)
    if (isDict === false)
      return this.#container(
        'set',
        [...entries.values()].map(([key]) => key),
      )
    const pairs = [...entries.values()]
    const { elements, chars } = this.#weigh(pairs.flat(), pairs.length)
    return { value: { kind: 'dict', entries: pairs.map(([key, value]) => [key.value, value.value]) }, elements, chars }
  }

  #container(kind: 'list' | 'tuple' | 'set', items: readonly Sized[]): Sized {
    const { elements, chars } = this.#weigh(items, items.length)
    return { value: { kind, items: items.map(({ value }) => value) }, elements, chars }
  }

  #weigh(parts: readonly Sized[], own: number): { readonly elements: number; readonly chars: number } {
    let [elements, chars] = [own, 0]
    for (const part of parts) {
      elements += part.elements
      chars += part.chars
    }
    checkSize(elements, chars, this.#token.start, '')
    return { elements, chars }
  }

  #checkCount(elements: number): void {
    checkSize(elements, 0, this.#token.start, this.#token.text)
  }

  /** Whether `for` follows what begins with this token, in the same bracket. */
  #isComprehended(): boolean {
    const ahead = this.#scanner.fork()
    const depth = ahead.depth
    if (depth === 0) return false
    try {
      for (;;) {
        const { kind, text } = ahead.next()
        if (ahead.depth < depth || kind === 'end' || (ahead.depth === depth && text === ',')) return false
        if (ahead.depth === depth && kind === 'name' && text === 'for') return true
      }
    } catch {
      // What is wrong further on does not matter: the name is wrong already.
      return false
    }
  }

  #close(closer: string, last: Sized | undefined): void {
    if (!this.#is(closer)) throw this.#leftover(this.#token, last)
    this.#advance()
  }

  #leftover(token: Token, value: Sized | undefined): Error {
    const isNumber = value !== undefined && numberOf(value.value) !== null
    // An opening bracket that is left over stands itself in the one before, which does not matter for what is told.
    return leftoverFault(this.#source, token, this.#scanner.innermost, isNumber)
  }

  #taken(value: Sized): Sized {
    this.#advance()
    return value
  }

  #operator(): Operator {
    const operator = { sign: this.#token.text, offset: this.#token.start }
    this.#advance()
    return operator
  }

  #is(sign: string): boolean {
    return this.#token.kind === 'sign' && this.#token.text === sign
  }

  #skipNewlines(): void {
    while (this.#token.kind === 'newline') this.#advance()
  }

  #advance(): void {
    this.#lastEnd = this.#token.end
    this.#token = this.#scanner.next()
  }
}

function withPrefixes(prefixes: readonly Operator[], value: Sized): Sized {
  return prefixes.reduceRight((operand, prefix) => applyPrefix(prefix, operand), value)
}
