/**
 * A value written in Python's notation, as plain data: it travels between threads as JSON without losing anything.
 *
 * Pure: no clock, socket, file or logger.
 */

/**
 * One value. Numbers are finite, and there is no minus zero, which JSON does not have. A `dict` holds each key once, in
 * the order in which they were first written, and a `set` each item once.
 */
export type PythonValue =
  | { readonly kind: 'none' }
  | { readonly kind: 'bool'; readonly value: boolean }
  /** Within the whole numbers that a double holds exactly, -(2^53-1) to 2^53-1. */
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'str'; readonly value: string }
  | { readonly kind: 'list' | 'tuple' | 'set'; readonly items: readonly PythonValue[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [PythonValue, PythonValue])[] }

/** What an administrator calls such a value, with its article. */
export function kindName(value: PythonValue): string {
  switch (value.kind) {
    case 'none':
      return 'None'
    case 'bool':
      return value.value ? 'True' : 'False'
    case 'int':
      return 'a whole number'
    case 'float':
      return 'a number with a point'
    case 'str':
      return 'a text'
    case 'list':
    case 'tuple':
    case 'set':
    case 'dict':
      return `a ${value.kind}`
  }
}
