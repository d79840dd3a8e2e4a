/**
 * Values in Python's notation, read without Python: numbers, texts, lists, dicts and simple arithmetic, and nothing that
 * could look at a file, call a function or run for long.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.3 and 4.6.
 */
import { PythonFault } from './fault.ts'
import type { PythonReason, PythonRemark } from './fault.ts'
import { Allowance } from './limits.ts'
import { parseValue } from './parse.ts'
import { positionsIn } from './positions.ts'
import type { Position } from './positions.ts'
import type { PythonValue } from './value.ts'

/** What stands at a fault is told no longer than this. */
const maxTokenChars = 80

/** Why a text is refused, and where. */
export interface PythonProblem extends PythonRemark, Position {
  readonly reason: PythonReason
  /** What stands there; may be empty. */
  readonly token: string
}

/** A value that works but is probably not what was meant. */
export interface PythonWarning extends PythonRemark, Position {}

/** The value, or why there is none. */
export type PythonResult =
  { readonly value: PythonValue; readonly warnings: readonly PythonWarning[] } | { readonly problem: PythonProblem }

/**
 * Evaluates one value.
 *
 * Shape:  lines end in `\n`; a comment runs from `#` to the end of its line; a value of several lines stands in brackets.
 * Units:  offsets and columns in UTF-16 units; lines and columns counted from 1. What `allowance` has left is the limit
 *         for the value, which is then taken off it: hand in the same one for all values of a file.
 * Errors: the first problem. Never throws; time and memory are bounded by the length of the text and the limits.
 */
export function evaluatePython(text: string, allowance: Allowance = new Allowance()): PythonResult {
  const remarks: PythonRemark[] = []
  try {
    const nul = text.indexOf('\0')
    if (nul >= 0) throw new PythonFault(nul, 'syntax', '\0', 'there is a NUL character', 'take it out')
    const sized = parseValue(text, allowance, remarks)
    allowance.take(sized)
    const at = remarks.length === 0 ? null : positionsIn(text)
    return {
      value: sized.value,
      warnings: at === null ? [] : remarks.map((warning) => ({ ...warning, ...at(warning.offset) })),
    }
  } catch (thrown) {
    if (!(thrown instanceof PythonFault)) throw thrown
    const { offset, reason, token, message, cure } = thrown
    return {
      problem: {
        offset,
        ...positionsIn(text)(offset),
        reason,
        token: token.slice(0, maxTokenChars),
        text: message,
        cure,
      },
    }
  }
}
