/**
 * Takes addresses apart into words and signs, from left to right, each octet looked at once.
 *
 * Pure: no clock, socket, file or logger. No recursion: comments are counted, not descended into.
 * Source: RFC 5322 3.2 (blanks, comments, quotes), 3.4.1 (domain literals).
 */
import type { AddressLimits } from './limits.ts'
import { refuse, type Refusal } from './refusal.ts'

/**
 * A word or a sign.
 *
 * `text`:    letters, digits, dots and whatever else is not another kind; not checked.
 * `quoted`:  a quoted string; `value` is what the quotes and backslashes mean.
 * `literal`: `[...]` after an @; `value` is what stands between.
 */
export interface Token {
  readonly kind: 'text' | 'quoted' | 'literal' | Sign | 'end'
  readonly value: string
  readonly start: number
  readonly end: number
}

type Sign = '<' | '>' | '@' | ',' | ':' | ';'

export interface Scanner {
  /** The next word or sign, `end` at the end. After a refusal there is nothing more to ask. */
  readonly next: () => Token | Refusal
  /** The comments that were passed since the last call. */
  readonly takeComments: () => string[]
}

/** Begins at the beginning of `text`. */
export function createScanner(text: string, limits: AddressLimits): Scanner {
  let at = 0
  let isAfterAt = false
  let comments: string[] = []

  const token = (kind: Token['kind'], end: number, value: string): Token => {
    const start = at
    at = end
    isAfterAt = kind === '@'
    return { kind, value, start, end }
  }

  const next = (): Token | Refusal => {
    for (;;) {
      const character = text[at]
      if (character === ' ' || character === '\t') at++
      else if (character === '(') {
        const end = endOfComment(text, at, limits.commentDepth)
        if (typeof end !== 'number') return end
        comments.push(unescaped(text.slice(at + 1, end - 1)))
        at = end
      } else break
    }
    const character = text[at]
    if (character === undefined) return token('end', at, '')
    if (isSign(character)) return token(character, at + 1, character)
    if (character === '"') {
      const end = endOfQuoted(text, at)
      return end === null ? refuse('open-quote', at) : token('quoted', end, unescaped(text.slice(at + 1, end - 1)))
    }
    if (character === '[' && isAfterAt) {
      const end = text.indexOf(']', at) + 1
      return end === 0 ? refuse('domain-literal', at) : token('literal', end, text.slice(at + 1, end - 1))
    }
    textRun.lastIndex = at
    textRun.test(text)
    return token('text', textRun.lastIndex, text.slice(at, textRun.lastIndex))
  }

  const takeComments = (): string[] => {
    const taken = comments
    comments = []
    return taken
  }
  return { next, takeComments }
}

const textRun = /[^\t "(<>@,:;]+/y

function isSign(character: string): character is Sign {
  return '<>@,:;'.includes(character)
}

/** The offset after the comment that begins at `start`. */
function endOfComment(text: string, start: number, maxDepth: number): number | Refusal {
  const marks = /[()\\]/g
  marks.lastIndex = start
  for (let depth = 0; marks.test(text);) {
    const mark = text[marks.lastIndex - 1]
    if (mark === '\\') marks.lastIndex++
    else if (mark === '(') {
      if (++depth > maxDepth) return refuse('too-deep', start)
    } else if (--depth === 0) return marks.lastIndex
  }
  return refuse('open-comment', start)
}

/** The offset after the quoted string that begins at `start`; `null` if it has no end. */
function endOfQuoted(text: string, start: number): number | null {
  const marks = /["\\]/g
  marks.lastIndex = start + 1
  while (marks.test(text)) {
    if (text[marks.lastIndex - 1] === '"') return marks.lastIndex
    marks.lastIndex++
  }
  return null
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, '$1')
}
