/**
 * Cuts the parameters of a field out of its value: strictly where it is written as RFC 2045 wants it, else in every way
 * that readers are known to.
 *
 * Works on octets as latin1 text, one character an octet. Every octet is looked at a fixed number of times, whatever stands
 * in the value.
 * Pure: no clock, socket, file or logger.
 * Source: RFC 2045 5.1, RFC 5322 3.2.2 (comments).
 */
import { unescapeBackslashes } from './escapes.ts'
import type { FindingKind } from './findings.ts'

/** Other readings that are longer are left out: thousands of parameters without semicolons would have each all that follow. */
const maxOtherOctets = 2048

/** True for text in which a boundary or a file name may be meant. */
export function isTelling(text: string): boolean {
  return /boundary|name/i.test(text)
}

/** One parameter as it stands. */
export interface RawParameter {
  /** In lower case, with the asterisks of RFC 2231. */
  readonly name: string
  /** Without its quotes. */
  readonly value: string
  /** What other readers take for the value. */
  readonly others: readonly string[]
  /** A comment stands beside or in the value. */
  readonly hasComment: boolean
}

/** A place in a value, with what is known of all that follows. */
export class ValueScanner {
  readonly text: string
  at: number
  readonly problems: Set<FindingKind>
  /** There is no end of a comment, or of a quoted string within a word, from here on: looking for it again is in vain. */
  #isOutOfComments = false
  #isOutOfQuotes = false
  /** The first semicolon at or after `#semicolonFrom`. */
  #semicolon = -1
  #semicolonFrom = 0

  constructor(text: string, problems: Set<FindingKind>) {
    this.text = text
    this.at = 0
    this.problems = problems
  }

  /** What cannot be read is told by what it is about: a boundary or a file name changes what readers find. */
  tellBad(about: string): void {
    this.problems.add(isTelling(about) ? 'bad-parameter' : 'odd-parameter')
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length
  }

  get here(): string {
    return this.text[this.at] ?? ''
  }

  /** Passes blanks and comments; true if there was a comment. */
  skipBlanks(): boolean {
    let hasComment = false
    for (;;) {
      while (isBlank(this.here)) this.at++
      const end = this.#endOfComment()
      if (end === null) return hasComment
      hasComment = true
      // Who knows no comments reads what is in it.
      const comment = this.text.slice(this.at, end)
      if (/[;=]/.test(comment)) this.tellBad(comment)
      this.at = end
    }
  }

  /** Passes all octets for which this is true, and gives them. */
  takeWhile(test: (character: string) => boolean): string {
    const start = this.at
    while (!this.isAtEnd && test(this.here)) this.at++
    return this.text.slice(start, this.at)
  }

  /** True if this pattern, which is sticky, matches here. */
  isNext(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    return pattern.test(this.text)
  }

  /** The next semicolon outside of quotes, or the end. */
  endOfValue(from: number): number {
    let isQuoted = false
    for (let at = from; at < this.text.length; at++) {
      const character = this.text[at]
      if (character === '"' && !this.#isOutOfQuotes) isQuoted = !isQuoted
      else if (character === '\\' && isQuoted) at++
      else if (character === ';' && !isQuoted) return at
    }
    if (!isQuoted) return this.text.length
    this.#isOutOfQuotes = true
    return this.endOfPlain(from)
  }

  /** The next semicolon, or the end. */
  endOfPlain(from: number): number {
    if (from > this.#semicolon || from < this.#semicolonFrom) {
      const found = this.text.indexOf(';', from)
      this.#semicolon = found === -1 ? this.text.length : found
      this.#semicolonFrom = from
    }
    return this.#semicolon
  }

  /** What stands up to the next semicolon, for a reader that knows nothing else; `null` if it is too long to be a value. */
  plainFrom(from: number): string | null {
    const end = this.endOfPlain(from)
    return end - from > maxOtherOctets ? null : this.text.slice(from, end).trim()
  }

  /** Where the comment that begins here ends; `null`: none begins, or it has no end and so is none. */
  #endOfComment(): number | null {
    if (this.here !== '(' || this.#isOutOfComments) return null
    let depth = 0
    for (let at = this.at; at < this.text.length; at++) {
      const character = this.text[at]
      if (character === '\\') at++
      else if (character === '(') depth++
      else if (character === ')' && --depth === 0) return at + 1
    }
    this.#isOutOfComments = true
    this.tellBad(this.text.slice(this.at))
    return null
  }
}

/** Reads the parameters from where the scanner stands; `limit-parameters` if there are more than `maxParameters`. */
export function scanParameters(scanner: ValueScanner, maxParameters: number): RawParameter[] {
  const found: RawParameter[] = []
  for (;;) {
    scanner.skipBlanks()
    if (scanner.here === ';') scanner.at++
    else if (scanner.isAtEnd) return found
    else {
      if (found.length === maxParameters) {
        scanner.problems.add('limit-parameters')
        return found
      }
      const start = scanner.at
      const parameter = scanParameter(scanner)
      if (parameter === null) scanner.tellBad(scanner.text.slice(start, scanner.at))
      else found.push(parameter)
    }
  }
}

/** `null`: what stands here is no parameter, and was passed over. */
function scanParameter(scanner: ValueScanner): RawParameter | null {
  const name = scanner.takeWhile((character) => !isBlank(character) && !'=;"('.includes(character)).toLowerCase()
  scanner.skipBlanks()
  const mark = scanner.here
  if (mark !== '=') {
    if (name === '' && mark === '"') scanQuoted(scanner)
    else if (name === '') scanner.at++
    return null
  }
  scanner.at++
  const rawStart = scanner.at
  const hasComment = scanner.skipBlanks()
  const value = scanner.text[scanner.at] === '"' ? scanQuotedValue(scanner, name) : scanToken(scanner, name)
  if (name === '') return null
  const others = distinct([...value.others, hasComment ? scanner.plainFrom(rawStart) : null], value.value)
  return { name, value: value.value, others, hasComment: hasComment || value.hasComment }
}

interface Value {
  readonly value: string
  readonly others: readonly (string | null)[]
  readonly hasComment: boolean
}

/** A name and `=`, after a value whose semicolon is missing. Its parts share no octet, so it cannot go wrong. */
const nextParameter = /[A-Za-z0-9_.*-]+[ \t]*=/y

function scanQuotedValue(scanner: ValueScanner, name: string): Value {
  const start = scanner.at
  const { value, strict, isEnded } = scanQuoted(scanner)
  const others: (string | null)[] = strict === value ? [] : [strict]
  if (strict !== value) scanner.tellBad(name)
  if (!isEnded) {
    scanner.tellBad(name)
    others.push(scanner.plainFrom(start + 1))
    return { value: value.trim(), others, hasComment: false }
  }
  const afterQuote = scanner.at
  const hasComment = scanner.skipBlanks()
  if (scanner.isAtEnd || scanner.here === ';') return { value, others, hasComment }
  scanner.tellBad(name)
  if (scanner.at > afterQuote && scanner.isNext(nextParameter)) return { value, others, hasComment }
  const end = scanner.endOfValue(afterQuote)
  others.push((value + scanner.text.slice(afterQuote, end)).replaceAll('"', '').trim())
  others.push(scanner.text.slice(start, end).trim())
  scanner.at = end
  return { value, others, hasComment }
}

function scanToken(scanner: ValueScanner, name: string): Value {
  const start = scanner.at
  const token = scanner.takeWhile((character) => !isBlank(character) && !';"('.includes(character))
  const tokenEnd = scanner.at
  const hasComment = scanner.skipBlanks()
  const isAtEnd = scanner.isAtEnd || scanner.here === ';'
  if (isAtEnd && !hasComment) return { value: token, others: [], hasComment }
  const isGlued = !isBlank(scanner.text[tokenEnd] ?? '')
  if (isAtEnd && !isGlued) {
    return { value: token, others: [scanner.text.slice(start, scanner.at).trim()], hasComment }
  }
  scanner.tellBad(name)
  const plain = scanner.plainFrom(start)
  if (!isGlued && scanner.isNext(nextParameter)) return { value: token, others: [plain], hasComment }
  const end = scanner.endOfValue(start)
  scanner.at = end
  return { value: scanner.text.slice(start, end).trim(), others: [token, plain], hasComment }
}

/**
 * Reads the quoted string that begins here. Most programs write a path with single backslashes, and most take them for
 * what they are; `strict` is without them. A string that does not end goes to the end.
 */
function scanQuoted(scanner: ValueScanner): { value: string; strict: string; isEnded: boolean } {
  const start = scanner.at + 1
  let end = start
  let hasEscapes = false
  while (end < scanner.text.length && scanner.text[end] !== '"') {
    if (scanner.text[end] === '\\') {
      hasEscapes = true
      end++
    }
    end++
  }
  const isEnded = end < scanner.text.length
  scanner.at = isEnded ? end + 1 : scanner.text.length
  const written = scanner.text.slice(start, end)
  if (!hasEscapes) return { value: written, strict: written, isEnded }
  return { value: unescapeBackslashes(written, '"\\'), strict: unescapeBackslashes(written), isEnded }
}

function distinct(values: readonly (string | null)[], but: string): string[] {
  return [...new Set(values)].filter(
    (value): value is string => value !== null && value !== but && value.length <= maxOtherOctets,
  )
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\n'
}
