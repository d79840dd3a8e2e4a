/**
 * Keys of a dict and items of a set: which values may be one, and which are the same.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3: 1, 1.0 and True are one key; a list, a dict and a set are none.
 */
import { PythonFault } from './fault.ts'
import type { Allowance, Sized } from './limits.ts'
import { numberOf } from './arithmetic.ts'
import { kindName } from './value.ts'
import type { PythonValue } from './value.ts'

/** A text that two values share exactly if they are the same key. Errors: PythonFault, `type`. */
export function identityOf(key: Sized, offset: number, allowance: Allowance): string {
  allowance.work(1 + key.elements + key.chars, offset, '')
  return JSON.stringify(partsOf(key.value, offset))
}

/** Goes no deeper than brackets were written. */
function partsOf(value: PythonValue, offset: number): unknown {
  if (value.kind === 'str') return value.value
  if (value.kind === 'none') return null
  if (value.kind === 'tuple') return value.items.map((item) => partsOf(item, offset))
  const number = numberOf(value)
  if (number !== null) return number
  const text = `${kindName(value)} can be no key, and no item of a set`
  throw new PythonFault(offset, 'type', '', text, value.kind === 'list' ? 'write a tuple, in ( )' : null)
}
