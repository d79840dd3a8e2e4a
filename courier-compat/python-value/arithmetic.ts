/**
 * What Python's operators do to values: whole numbers stay whole, `/` gives a number with a point, `//` and `%` round
 * towards minus infinity, `+` joins and `*` repeats.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3 (semantics, limits).
 */
import { PythonFault } from './fault.ts'
import { checkSize, checkTextLength, sizedFloat, sizedInt } from './limits.ts'
import type { Allowance, Sized } from './limits.ts'
import { kindName } from './value.ts'
import type { PythonValue } from './value.ts'

/** An operator between two values, as written at `offset`. */
export interface Operator {
  readonly sign: string
  readonly offset: number
}

type Sequence = Extract<PythonValue, { kind: 'list' | 'tuple' | 'set' }>

/** `left OPERATOR right`, for `+ - * / // % **`. Errors: PythonFault, `type` or `range`. */
export function applyOperator(operator: Operator, left: Sized, right: Sized, allowance: Allowance): Sized {
  const { sign, offset } = operator
  const [a, b] = [numberOf(left.value), numberOf(right.value)]
  if (a !== null && b !== null) return calculate(operator, a, b, isFloat(left) || isFloat(right))
  if (sign === '+') {
    const joined = join(left, right, offset, allowance)
    if (joined !== null) return joined
  }
  if (sign === '*') {
    const repeated = isInt(right) ? repeat(left, b ?? 0, offset, allowance) : null
    const swapped = repeated === null && isInt(left) ? repeat(right, a ?? 0, offset, allowance) : null
    if (repeated !== null || swapped !== null) return repeated ?? (swapped as Sized)
  }
  if (sign === '%' && left.value.kind === 'str') {
    throw new PythonFault(offset, 'type', sign, 'texts are not put together with "%"', 'write the finished text')
  }
  const text = `${kindName(left.value)} and ${kindName(right.value)} cannot stand around "${sign}"`
  throw new PythonFault(offset, 'type', sign, text, sign === '+' && isText(left) !== isText(right) ? quotesCure : null)
}

const quotesCure = 'put quotes around both for texts, around neither for numbers'

/** `+value`, `-value`, `~value`, `not value`. Errors: PythonFault, `type`. */
export function applyPrefix({ sign, offset }: Operator, operand: Sized): Sized {
  if (sign === 'not') return { value: { kind: 'bool', value: !isTrue(operand.value) }, elements: 0, chars: 0 }
  const number = numberOf(operand.value)
  if (number === null || (sign === '~' && isFloat(operand))) {
    throw new PythonFault(offset, 'type', sign, `${kindName(operand.value)} cannot stand after "${sign}"`)
  }
  const result = sign === '-' ? -number : sign === '~' ? -number - 1 : number
  return isFloat(operand) ? sizedFloat(result, offset, sign) : sizedInt(result, offset, sign)
}

function calculate({ sign, offset }: Operator, a: number, b: number, isPointed: boolean): Sized {
  const sized = (value: number): Sized => (isPointed ? sizedFloat : sizedInt)(value, offset, sign)
  switch (sign) {
    case '+':
      return sized(a + b)
    case '-':
      return sized(a - b)
    case '*':
      return sized(a * b)
    case '**':
      return power(a, b, isPointed, offset)
    default: {
      if (b === 0) throw new PythonFault(offset, 'type', sign, 'a number is divided by zero')
      if (sign === '/') return sizedFloat(a / b, offset, sign)
      const { quotient, rest } = floorDivide(a, b)
      return sized(sign === '%' ? rest : quotient)
    }
  }
}

/** Exact for whole numbers: `a - rest` is a multiple of `b` no larger than `a`, so no step rounds. */
function floorDivide(a: number, b: number): { quotient: number; rest: number } {
  const rest = a % b
  const quotient = (a - rest) / b
  if (rest !== 0 && rest < 0 !== b < 0) return { quotient: nearestWhole(quotient - 1), rest: rest + b }
  return { quotient: nearestWhole(quotient), rest }
}

/** With numbers that have a point the division may miss the whole number by a hair, as in Python, which rounds too. */
function nearestWhole(quotient: number): number {
  const whole = Math.floor(quotient)
  return quotient - whole > 0.5 ? whole + 1 : whole
}

function power(base: number, exponent: number, isPointed: boolean, offset: number): Sized {
  if (base === 0 && exponent < 0) {
    throw new PythonFault(offset, 'type', '**', 'zero has no negative power')
  }
  if (isPointed || exponent < 0) {
    if (base < 0 && !Number.isInteger(exponent)) {
      throw new PythonFault(offset, 'type', '**', 'a negative number has no such power')
    }
    return sizedFloat(base ** exponent, offset, '**')
  }
  if (Math.abs(base) <= 1) return sizedInt(exponent === 0 ? 1 : exponent % 2 === 0 ? base * base : base, offset, '**')
  let result = 1
  // From 2 on the 53rd step is beyond the limit, whatever the exponent.
  for (let step = 0; step < exponent && Number.isSafeInteger(result); step++) result *= base
  return sizedInt(result, offset, '**')
}

function join(left: Sized, right: Sized, offset: number, allowance: Allowance): Sized | null {
  const [a, b] = [left.value, right.value]
  const elements = left.elements + right.elements
  const chars = left.chars + right.chars
  if (a.kind === 'str' && b.kind === 'str') {
    checkTextLength(chars, offset, '+')
    return { value: { kind: 'str', value: a.value + b.value }, elements, chars }
  }
  if (!isSequence(a) || !isSequence(b) || a.kind !== b.kind) return null
  checkSize(elements, chars, offset, '+')
  allowance.work(a.items.length + b.items.length, offset, '+')
  return { value: { kind: a.kind, items: [...a.items, ...b.items] }, elements, chars }
}

function repeat(sized: Sized, times: number, offset: number, allowance: Allowance): Sized | null {
  const { value } = sized
  const count = Math.max(times, 0)
  const [elements, chars] = [sized.elements * count, sized.chars * count]
  if (value.kind === 'str') {
    checkTextLength(chars, offset, '*')
    // An empty text may be repeated as often as one likes.
    return { value: { kind: 'str', value: chars === 0 ? '' : value.value.repeat(count) }, elements, chars }
  }
  if (!isSequence(value)) return null
  checkSize(elements, chars, offset, '*')
  allowance.work(value.items.length * count, offset, '*')
  const items = Array.from(
    { length: value.items.length * count },
    (_, index) => value.items[index % value.items.length],
  )
  return { value: { kind: value.kind, items: items as PythonValue[] }, elements, chars }
}

function isSequence(value: PythonValue): value is Sequence {
  return value.kind === 'list' || value.kind === 'tuple'
}

function isText({ value }: Sized): boolean {
  return value.kind === 'str'
}

function isFloat({ value }: Sized): boolean {
  return value.kind === 'float'
}

function isInt({ value }: Sized): boolean {
  return value.kind === 'int' || value.kind === 'bool'
}

/** As in Python, True counts as 1 and False as 0. */
export function numberOf(value: PythonValue): number | null {
  if (value.kind === 'bool') return value.value ? 1 : 0
  return value.kind === 'int' || value.kind === 'float' ? value.value : null
}

function isTrue(value: PythonValue): boolean {
  switch (value.kind) {
    case 'none':
      return false
    case 'bool':
      return value.value
    case 'int':
    case 'float':
      return value.value !== 0
    case 'str':
      return value.value !== ''
    case 'list':
    case 'tuple':
    case 'set':
      return value.items.length > 0
    case 'dict':
      return value.entries.length > 0
  }
}
