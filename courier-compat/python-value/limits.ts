/**
 * What evaluating may cost. Every limit is checked before the work is done: `9**9**9` and `'a' * 10**9` are refused
 * without being computed.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3 (limits). Those on work and on all texts together are our own: without them a line of
 *         a hundred characters could stand for gigabytes, as one list that holds the same text again and again.
 */
import { PythonFault } from './fault.ts'
import type { PythonValue } from './value.ts'

/** Characters are UTF-16 units. */
export const limits = {
  /** Brackets inside one another. */
  maxNesting: 32,
  /** Of one text. */
  maxChars: 65_536,
  /** Of lists, tuples, sets and dicts, nested ones included. */
  maxElements: 100_000,
  /** Of all texts in a value, or in the values of one file. */
  maxAllChars: 2 ** 20,
  /** Elements copied and keys compared, in a value or in the values of one file. */
  maxWork: 2 ** 21,
} as const

/** A value and what it weighs, counted as deep as it goes. */
export interface Sized {
  readonly value: PythonValue
  readonly elements: number
  readonly chars: number
}

/** What is left for the values of one file. One of its own for a single value gives the limits for that. */
export class Allowance {
  #elements: number = limits.maxElements
  #chars: number = limits.maxAllChars
  #work: number = limits.maxWork

  /** Asks for work before it is done. */
  work(amount: number, offset: number, token: string): void {
    if (amount > this.#work) throw new PythonFault(offset, 'range', token, 'this takes too much work to compute')
    this.#work -= amount
  }

  /** Takes a finished value off what is left. */
  take(sized: Sized): void {
    if (sized.elements > this.#elements) throw tooManyElements(0, '')
    if (sized.chars > this.#chars) throw tooManyChars(0, '')
    this.#elements -= sized.elements
    this.#chars -= sized.chars
  }
}

/** Checks what a value would weigh, before it is made. */
export function checkSize(elements: number, chars: number, offset: number, token: string): void {
  if (elements > limits.maxElements) throw tooManyElements(offset, token)
  if (chars > limits.maxAllChars) throw tooManyChars(offset, token)
}

/** A text as a value. */
export function sizedText(text: string, offset: number, token: string): Sized {
  checkTextLength(text.length, offset, token)
  return { value: { kind: 'str', value: text }, elements: 0, chars: text.length }
}

/** Checks the length of a text before it is made. */
export function checkTextLength(chars: number, offset: number, token: string): void {
  if (chars <= limits.maxChars) return
  throw new PythonFault(offset, 'range', token, `the text is longer than ${limits.maxChars} characters`)
}

/** A whole number as a value. */
export function sizedInt(value: number, offset: number, token: string): Sized {
  // A sum, difference or product that does not fit rounds to one that does not fit either.
  if (!Number.isSafeInteger(value)) {
    const text = 'the whole number is beyond what can be held exactly, 2**53 - 1'
    throw new PythonFault(offset, 'range', token, text)
  }
  return { value: { kind: 'int', value: value + 0 }, elements: 0, chars: 0 }
}

/** A number with a point as a value. */
export function sizedFloat(value: number, offset: number, token: string): Sized {
  if (!Number.isFinite(value)) throw new PythonFault(offset, 'range', token, 'the number is too large')
  return { value: { kind: 'float', value: value + 0 }, elements: 0, chars: 0 }
}

function tooManyElements(offset: number, token: string): PythonFault {
  return new PythonFault(offset, 'range', token, `there are more than ${limits.maxElements} elements`)
}

function tooManyChars(offset: number, token: string): PythonFault {
  return new PythonFault(offset, 'range', token, `the texts have more than ${limits.maxAllChars} characters in all`)
}
