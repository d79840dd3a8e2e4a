/**
 * Numbers as Python writes them: `1_000`, `0x1F`, `0o17`, `0b11`, `.5`, `1e3`.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3.
 */
import { quoted } from '../quoted.ts'
import { PythonFault } from './fault.ts'
import { sizedFloat, sizedInt } from './limits.ts'
import type { Sized } from './limits.ts'

const digits = '[0-9](?:_?[0-9])*'
const exponent = `[eE][+-]?${digits}`
const pattern = new RegExp(
  [
    '(0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)',
    `((?:(?:${digits})?\\.${digits}|${digits}\\.)(?:${exponent})?|${digits}${exponent})`,
    '([1-9](?:_?[0-9])*|0(?:_?0)*)',
  ].join('|'),
  'y',
)
/** What cannot follow a number directly; with it the whole word is no number. */
const word = /[\p{L}\p{N}_.]+/uy
const inWord = /[\p{L}\p{N}_.]/uy

/** A longer one fits into no number that is accepted. */
const maxChars = 400

/**
 * Reads the number that begins at `start` with a digit, or with a point and a digit.
 * Errors: PythonFault, with a cure that fits what was probably meant.
 */
export function readNumberLiteral(source: string, start: number): { readonly number: Sized; readonly end: number } {
  word.lastIndex = start
  const [whole = ''] = word.exec(source) ?? []
  if (whole.length > maxChars) throw new PythonFault(start, 'range', whole, 'the number has too many digits')
  pattern.lastIndex = start
  const [literal, , float] = pattern.exec(source) ?? []
  inWord.lastIndex = pattern.lastIndex
  if (literal === undefined || inWord.test(source)) {
    throw new PythonFault(start, 'syntax', whole, `${quoted(whole)} is no number`, cureFor(whole))
  }
  const value = Number(literal.replaceAll('_', ''))
  const number = float === undefined ? sizedInt(value, start, literal) : sizedFloat(value, start, literal)
  return { number, end: start + literal.length }
}

function cureFor(written: string): string {
  const shown = written.length > 20 ? '...' : written
  const [, number = ''] = /^([0-9]{1,20})[lL]$/.exec(written) ?? []
  if (number !== '') return `write ${number.replace(/^0+(?=.)/, '')}, without a letter`
  if (/^0[0-9]+$/.test(written)) {
    const plain = `${shown.replace(/^0+/, '')} for a decimal number`
    return /^[0-7]+$/.test(written) ? `write 0o${shown.slice(1)} for an octal number, or ${plain}` : `write ${plain}`
  }
  if (/^0[xXoObB]_?$/.test(written)) return `digits are missing after ${shown}`
  if (/^[0-9_]+$/.test(written)) return 'a number begins with no zero, and has single "_" between digits'
  if (/^[0-9.]+[jJ]$/.test(written)) return 'complex numbers are not accepted'
  if (/^[0-9.]+[A-Za-z]{1,3}$/.test(written)) return `put a number with a unit in quotes: '${shown}'`
  return `put text in quotes: '${shown}'`
}
