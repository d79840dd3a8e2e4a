/**
 * Why a value is refused.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.4 (the classes of reasons).
 */

/** The class of a refusal: `nodefilter` and its users may count on these words. */
export type PythonReason =
  | 'syntax'
  | 'name'
  | 'call'
  | 'attribute'
  | 'subscript'
  | 'comprehension'
  | 'fstring'
  | 'bytes'
  | 'operator'
  | 'type'
  | 'range'

/** Something to tell about a place in the text of a value. */
export interface PythonRemark {
  /** UTF-16 units from the beginning of the text. */
  readonly offset: number
  readonly text: string
  /** What to do about it, where that can be said in a few words. */
  readonly cure: string | null
}

/** Thrown inside this folder only: `evaluatePython` turns it into a problem. */
export class PythonFault extends Error {
  readonly offset: number
  readonly reason: PythonReason
  readonly token: string
  readonly cure: string | null

  constructor(offset: number, reason: PythonReason, token: string, text: string, cure: string | null = null) {
    super(text)
    this.offset = offset
    this.reason = reason
    this.token = token
    this.cure = cure
  }
}
