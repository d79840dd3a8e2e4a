/**
 * Texts in quotes, as Python writes them: `'...'`, `"..."`, tripled, raw, with escapes.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3; what Python does with escapes that it does not know (they stay as written).
 */
import { quoted } from '../quoted.ts'
import { PythonFault } from './fault.ts'
import type { PythonRemark } from './fault.ts'

/** A text as it stands in the source. */
export interface TextLiteral {
  readonly text: string
  /** Behind its closing quote. */
  readonly end: number
  /** `null` unless it has an escape that Python does not know. */
  readonly warning: PythonRemark | null
}

/**
 * Checks what stands directly before a quote.
 * Errors: PythonFault for the prefixes of bytes, of computed texts, and for letters that are no prefix.
 */
export function isRawPrefix(prefix: string, offset: number): boolean {
  if (/^[bB][rR]?$|^[rR][bB]$/.test(prefix)) {
    throw new PythonFault(offset, 'bytes', prefix, 'bytes are not accepted', 'write a text, without the b')
  }
  if (/^[fFtT][rR]?$|^[rR][fFtT]$/.test(prefix)) {
    const cure = `write the finished text, without the ${prefix.toLowerCase().replace('r', '')}`
    throw new PythonFault(offset, 'fstring', prefix, 'texts that are computed are not accepted', cure)
  }
  if (/^[rRuU]$/.test(prefix)) return prefix.toLowerCase() === 'r'
  const cure = 'only r and u may stand before a quote'
  throw new PythonFault(offset, 'syntax', prefix, `${quoted(prefix)} stands directly before a quote`, cure)
}

const nextOfInterest = { "'": /['\\\n]/g, '"': /["\\\n]/g } as const

/** Reads the literal that begins at `start`; its opening quote stands at `quoteAt`. */
export function readTextLiteral(source: string, start: number, quoteAt: number, isRaw: boolean): TextLiteral {
  const quote = source[quoteAt] === '"' ? '"' : "'"
  const isTripled = source.startsWith(quote.repeat(3), quoteAt)
  const open = isTripled ? quote.repeat(3) : quote
  const from = quoteAt + open.length
  const pattern = nextOfInterest[quote]
  let hasEscape = false
  pattern.lastIndex = from
  for (;;) {
    const at = pattern.exec(source)?.index
    const char = at === undefined ? undefined : source[at]
    if (at === undefined || (char === '\n' && !isTripled)) {
      const cure = isTripled ? `end it with ${open}` : `end it with ${open} on the same line`
      throw new PythonFault(start, 'syntax', quote, 'the text in quotes has no end', cure)
    }
    if (char === '\\') {
      hasEscape = true
      pattern.lastIndex = at + 2
    } else if (char === quote && source.startsWith(open, at)) {
      const inner = source.slice(from, at)
      if (isRaw || !hasEscape) return { text: inner, end: at + open.length, warning: null }
      return { ...withoutEscapes(inner, from), end: at + open.length }
    }
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ '\\': '\\', "'": "'", '"': '"', '\n': '' },
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
}

const escape = /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([^]))/g

function withoutEscapes(inner: string, from: number): Pick<TextLiteral, 'text' | 'warning'> {
  let warning: PythonRemark | null = null
  const text = inner.replace(
    escape,
    (
      whole: string,
      octal?: string,
      hex2?: string,
      hex4?: string,
      hex8?: string,
      char?: string,
      at: number = 0,
    ): string => {
      const offset = from + at
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
      const hex = hex2 ?? hex4 ?? hex8
      if (hex !== undefined) return fromCodePoint(Number.parseInt(hex, 16), whole, offset)
      const simple = char === undefined ? undefined : simpleEscapes[char]
      if (simple !== undefined) return simple
      if (char === 'x' || char === 'u' || char === 'U') {
        const digits = { x: 'two', u: 'four', U: 'eight' }[char]
        const cure = `write ${digits} hexadecimal digits after it, or r before the quote`
        throw new PythonFault(offset, 'syntax', whole, `${whole} lacks digits`, cure)
      }
      if (char === 'N') {
        const cure = 'write the character itself, or \\u and four hexadecimal digits'
        throw new PythonFault(offset, 'syntax', whole, 'characters are not accepted by name', cure)
      }
      warning ??= {
        offset,
        text: `the text has a backslash before ${quoted(char ?? '')}, which stays in it`,
        cure: 'write r before the opening quote, or two backslashes',
      }
      return whole
    },
  )
  return { text, warning }
}

function fromCodePoint(codePoint: number, token: string, offset: number): string {
  if (codePoint > 0x10ffff) throw new PythonFault(offset, 'syntax', token, `${token} is no character`)
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) {
    const cure = 'write the character itself, or \\U and eight hexadecimal digits'
    throw new PythonFault(offset, 'range', token, `${token} is half a character`, cure)
  }
  return String.fromCodePoint(codePoint)
}
