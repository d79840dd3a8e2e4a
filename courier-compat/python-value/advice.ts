/**
 * What an administrator probably meant by something that is no value, and how to write that.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.6 (which hint each case asks for).
 */
import { nearMatch } from '../near-match.ts'
import { quoted } from '../quoted.ts'
import { PythonFault } from './fault.ts'
import type { PythonReason } from './fault.ts'

/** A word or sign as it stands in the text of a value. */
interface Place {
  readonly kind: 'literal' | 'name' | 'sign' | 'newline' | 'end'
  readonly text: string
  readonly start: number
  readonly end: number
}

/** The advice to put what begins at `start` in quotes, with the words as they would then look where they are short. */
export function putInQuotes(source: string, start: number): string {
  const [words = ''] = /^[^\n#]*/.exec(source.slice(start, start + 80)) ?? []
  const text = words.trim()
  const isSimple = text.length > 0 && text.length <= 40 && !/['"\\[\](){},]/.test(text.replace(/^\$\(.*\)$/, ''))
  return isSimple ? `put text in quotes: '${text}'` : 'put text in quotes'
}

const keywords =
  /^(?:and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)$/

const constants: ReadonlyMap<string, string> = new Map([
  ...['true', 'yes', 'on'].map((word) => [word, 'True'] as const),
  ...['false', 'no', 'off'].map((word) => [word, 'False'] as const),
  ...['none', 'null', 'nil'].map((word) => [word, 'None'] as const),
])

const itself = 'write the value itself'

/** A name stands where a value should: `isElement` if it is what a comprehension computes. */
export function nameFault(source: string, { text, start, end }: Place, isElement: boolean): PythonFault {
  const fault = (reason: PythonReason, told: string, cure: string): PythonFault =>
    new PythonFault(start, reason, text, told, cure)
  const following = /^\s*(\(|\[|\.|:=|=(?!=))/.exec(source.slice(end, end + 80))?.[1]
  if (isElement) return fault('comprehension', 'a list that is computed is not accepted', 'write its items')
  if (keywords.test(text)) return fault('syntax', `${quoted(text)} is a word of Python, and no value`, itself)
  switch (following) {
    case '(':
      return fault('call', `${quoted(text)} is called here, and calls are not accepted`, insteadOfCall(source, start))
    case '.':
      return fault('attribute', `${quoted(text)} is looked into here, which is not accepted`, dotted(source, start))
    case '[':
      return fault('subscript', `an item of ${quoted(text)} is picked here, which is not accepted`, itself)
    case ':=':
    case '=':
      return fault('syntax', `something is set to ${quoted(text)} here, inside a value`, 'write one option a line')
    case undefined:
  }
  const constant = constants.get(text.toLowerCase()) ?? nearMatch(text, ['True', 'False', 'None'])
  const cure = constant === null ? putInQuotes(source, start) : `write ${constant}, or '${text}' for a text`
  return fault('name', `${quoted(text)} is no value`, cure)
}

function insteadOfCall(source: string, start: number): string {
  const call = /^(?:int|float)\(\s*(['"]?)([-+]?[0-9][0-9.]*)\1\s*\)/.exec(source.slice(start, start + 80))
  return call?.[2] === undefined ? itself : `write ${call[2]}`
}

function dotted(source: string, start: number): string {
  const [line = ''] = /^[^\n#]*/.exec(source.slice(start, start + 80)) ?? []
  return /^[\p{L}\p{N}_.@:/-]+$/u.test(line.trim()) ? putInQuotes(source, start) : itself
}

/** Something that begins no value stands where one should. */
export function noValueFault(source: string, place: Place): PythonFault {
  const { kind, text, start } = place
  const fault = (told: string, cure: string | null): PythonFault => new PythonFault(start, 'syntax', text, told, cure)
  if (kind === 'end' || kind === 'newline') {
    return source.trim() === ''
      ? fault('there is no value', "write one, for instance '' or None, or take the line out")
      : fault('the value ends too early', 'write what is missing, or put a value of several lines in brackets')
  }
  switch (text) {
    case '*':
    case '**':
      return fault(`"${text}" has no value before it`, 'write the items one by one')
    case '=':
      return fault('a second "=" stands here', 'write one "=" between key and value')
    case ',':
    case ')':
    case ']':
    case '}':
      return fault(`there is no value before "${text}"`, 'write one, or take the comma or bracket out')
    case '...':
      return fault('"..." is no value', itself)
    case 'not':
      return fault('"not" cannot stand here', 'put it in brackets with what follows')
    default:
      return fault(`"${text}" begins no value`, putInQuotes(source, start))
  }
}

const refusedOperators = /^(?:and|or|if|else|in|is|not|==|!=|<=?|>=?|<<|>>|[&|^@])$/
const unit = /^(?:[kmgt]i?b?|b|bytes|ms|s|sec|seconds?|min|minutes?|m|h|hours?|d|days?|w|weeks?)$/i

/** Something follows a value that cannot. `inner` is the bracket that both stand in; `isNumber`: that value is one. */
export function leftoverFault(source: string, place: Place, inner: string | null, isNumber: boolean): PythonFault {
  const { kind, text, start } = place
  const fault = (reason: PythonReason, told: string, cure: string | null): PythonFault =>
    new PythonFault(start, reason, text, told, cure)
  if (kind === 'newline') return newlineFault(source, start)
  if (kind === 'name' && (text === 'for' || text === 'async') && inner !== null) {
    return fault('comprehension', 'a list that is computed is not accepted', 'write its items')
  }
  if (refusedOperators.test(text)) return fault('operator', `"${text}" is not accepted`, 'write the result')
  if (kind === 'name' && isNumber && unit.test(text)) {
    return fault('syntax', `${quoted(text)} after a number is not accepted`, 'put a number with a unit in quotes')
  }
  switch (text) {
    case '(':
      return fault('call', 'calls are not accepted', itself)
    case '.':
      return fault('attribute', 'looking into a value is not accepted', itself)
    case '[':
      return fault('subscript', 'picking an item is not accepted', itself)
    case ';':
      return fault('syntax', '";" is no part of a value', 'begin a comment with "#", and write one option a line')
    case '=':
    case ':=':
      return fault('syntax', `"${text}" is no part of a value`, 'write one option a line')
    // A comma is taken wherever one may stand, and brackets match: one of these is left over behind a key alone.
    case ',':
    case '}':
      return fault('syntax', `a key has no value before "${text}"`, 'write {key: value}')
    case ':':
      return fault('syntax', '":" stands only between the keys and values of a dict', 'write {key: value}')
  }
  if (kind === 'sign') return fault('syntax', `"${text}" cannot stand after a value`, null)
  if (inner === null) return fault('syntax', `${quoted(text)} stands after the value`, 'begin a comment with "#"')
  const missing = inner === '{' ? 'a comma or colon' : 'a comma'
  return fault('syntax', `${quoted(text)} stands directly after a value`, `${missing} is missing before it`)
}

function newlineFault(source: string, start: number): PythonFault {
  // What follows is no blank line: those were passed over.
  const at = start + (/\S/.exec(source.slice(start))?.index ?? 0)
  const [line = ''] = /^[^\n]*/.exec(source.slice(at, at + 80)) ?? []
  const [, option, header] =
    /^(?:([\p{L}_][\p{L}\p{N}_. -]*?)\s*[=:](?!=)|(\[[\p{L}_][\p{L}\p{N}_.-]*\])$)/u.exec(line) ?? []
  const key = option ?? header
  if (key !== undefined) {
    const cure = 'begin it in the same column as that key'
    return new PythonFault(at, 'syntax', key, `${quoted(key)} is indented deeper than the key above it`, cure)
  }
  const cure = 'put a value of several lines in brackets, ( ) for instance'
  return new PythonFault(at, 'syntax', line, 'the value is complete before this line', cure)
}
