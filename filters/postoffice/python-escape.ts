/**
 * What stands after a backslash, and in brackets, in a regular expression of Python 2.7, and how the same is written for
 * the engine.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 18.
 */

/** Why an expression is refused, or a warning. `at` counts UTF-16 units from the beginning of the expression. */
export interface ExpressionRemark {
  readonly at: number
  readonly text: string
  readonly cure: string | null
}

/** Which Python's syntax it is. Only `\u0041` differs: python2 has no such escape. */
export const pythonSyntaxes = ['python2', 'python3'] as const

export type PythonSyntax = (typeof pythonSyntaxes)[number]

/** One escape, or one class. */
export interface Atom {
  /** For the engine. */
  readonly text: string
  /** The character, where it is one alone. */
  readonly codePoint: number | null
  /** A place between characters, which cannot be repeated. */
  readonly isPlace: boolean
  /** Whether it stays cheap where hundreds of expressions run as one. */
  readonly isNarrow: boolean
  /** Behind it. */
  readonly end: number
  readonly warning: ExpressionRemark | null
}

/** Told of `\1` and of `(?P=name)`. */
export const backReferenceFault = {
  text: 'a back-reference is not possible in linear time',
  cure: 'write out what shall stand there',
}

/** `\s` and `\S` as Python has them: with VT, which the engine's do not have. */
const blanks = '\\t\\n\\v\\f\\r '
const others = '\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{10ffff}'

/** A character as the engine reads it, in a class and outside. A backslash is written so that none stands before `z`. */
export function literal(codePoint: number): string {
  const char = String.fromCodePoint(codePoint)
  if (/[A-Za-z0-9_]/.test(char)) return char
  if (codePoint < 0x20 || codePoint === 0x5c || codePoint === 0x7f) return `\\x{${codePoint.toString(16)}}`
  if (codePoint >= 0x80) return /[\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u.test(char) ? `\\x{${codePoint.toString(16)}}` : char
  return char === ' ' ? char : `\\${char}`
}

/** Reads the escape whose backslash is at `at`. */
export function readEscape(source: string, at: number, syntax: PythonSyntax): Atom | ExpressionRemark {
  const char = source[at + 1] ?? ''
  const place = (text: string): Atom => ({ ...bare, text, end: at + 2, isPlace: true, isNarrow: false })
  switch (char) {
    case 'A':
      return place('\\A')
    case 'Z':
      return place('\\z')
    case 'b':
    case 'B':
      return place(`\\${char}`)
    case 'd':
    case 'w':
      return { ...bare, text: `\\${char}`, end: at + 2 }
    case 'D':
    case 'W':
      return { ...bare, text: `\\${char}`, end: at + 2, isNarrow: false }
    case 's':
      return { ...bare, text: `[${blanks}]`, end: at + 2 }
    case 'S':
      return { ...bare, text: `[^${blanks}]`, end: at + 2, isNarrow: false }
    default:
      return readCharacter(source, at, syntax, false)
  }
}

/** Reads the class whose `[` is at `at`. */
export function readClass(source: string, at: number, syntax: PythonSyntax): Atom | ExpressionRemark {
  const isNegated = source[at + 1] === '^'
  const first = at + (isNegated ? 2 : 1)
  const parts: string[] = []
  let warning: ExpressionRemark | null = null
  for (let here = first; here < source.length;) {
    if (source[here] === ']' && here > first) {
      const text = `[${isNegated ? '^' : ''}${parts.join('')}]`
      return { ...bare, text, end: here + 1, isNarrow: !isNegated, warning }
    }
    const low = readMember(source, here, syntax)
    if (!('end' in low)) return low
    warning ??= low.warning
    const isRange = source[low.end] === '-' && source[low.end + 1] !== ']' && low.end + 1 < source.length
    if (!isRange) {
      parts.push(low.text)
      here = low.end
      continue
    }
    const high = readMember(source, low.end + 1, syntax)
    if (!('end' in high)) return high
    warning ??= high.warning
    if (low.codePoint === null || high.codePoint === null || low.codePoint > high.codePoint) {
      const cure = 'begin it with the lower character, or write \\- for the mark itself'
      return { at: here, text: `${source.slice(here, high.end)} is no range of characters`, cure }
    }
    parts.push(`${low.text}-${high.text}`)
    here = high.end
  }
  return { at, text: 'the [ is not closed', cure: 'write ] behind it, or \\[ for the mark itself' }
}

/** A character or escape in brackets. */
function readMember(source: string, at: number, syntax: PythonSyntax): Atom | ExpressionRemark {
  if (source[at] !== '\\') {
    const codePoint = source.codePointAt(at) ?? 0
    return { ...bare, text: literal(codePoint), codePoint, end: at + charLength(codePoint) }
  }
  const char = source[at + 1] ?? ''
  if (char === 's') return { ...bare, text: blanks, end: at + 2 }
  if (char === 'S') return { ...bare, text: others, end: at + 2, isNarrow: false }
  if (/[dDwW]/.test(char)) return { ...bare, text: `\\${char}`, end: at + 2 }
  if (char === 'b') return character(8, at + 2)
  return readCharacter(source, at, syntax, true)
}

/** An escape that stands for one character. */
function readCharacter(source: string, at: number, syntax: PythonSyntax, isInClass: boolean): Atom | ExpressionRemark {
  const codePoint = source.codePointAt(at + 1)
  if (codePoint === undefined) {
    return { at, text: 'it ends in a backslash', cure: 'write two for the mark itself' }
  }
  const char = String.fromCodePoint(codePoint)
  const rest = source.slice(at + 1, at + 10)
  const control = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }[char]
  if (control !== undefined) return character(control, at + 2)
  if (char === 'x') {
    const digits = /^x([0-9a-f]{2})/i.exec(rest)?.[1]
    return digits === undefined
      ? { at, text: '\\x has two hexadecimal digits behind it', cure: 'for instance \\x41' }
      : character(parseInt(digits, 16), at + 4)
  }
  if (/[0-9]/.test(char)) return readDigits(rest, at, isInClass)
  const wide = { u: /^u([0-9a-f]{4})/i, U: /^U([0-9a-f]{8})/i }[char]?.exec(rest)?.[1]
  if (syntax === 'python3' && wide !== undefined && parseInt(wide, 16) <= 0x10ffff) {
    return character(parseInt(wide, 16), at + 2 + wide.length)
  }
  if (!/[A-Za-z]/.test(char)) return character(codePoint, at + 1 + charLength(codePoint))
  const cure = char === 'z' ? 'write \\Z for the end of the text' : 'take the backslash out if that is meant'
  return { ...character(codePoint, at + 2), warning: { at, text: `\\${char} is the letter ${char} itself`, cure } }
}

/** Octal, or a back-reference. */
function readDigits(rest: string, at: number, isInClass: boolean): Atom | ExpressionRemark {
  const octal = (rest.startsWith('0') || isInClass ? /^[0-7]{1,3}/ : /^[0-7]{3}/).exec(rest)?.[0]
  if (octal !== undefined) return character(parseInt(octal, 8) & 0xff, at + 1 + octal.length)
  return isInClass
    ? { at, text: `\\${rest.charAt(0)} is no character`, cure: 'take the backslash out' }
    : { at, ...backReferenceFault }
}

const bare = { codePoint: null, isPlace: false, isNarrow: true, warning: null } as const

function character(codePoint: number, end: number): Atom {
  return { ...bare, text: literal(codePoint), codePoint, end }
}

/** In UTF-16 units. */
export function charLength(codePoint: number): number {
  return codePoint > 0xffff ? 2 : 1
}
