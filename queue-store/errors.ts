/**
 * What can go wrong in a depot, by code. A code is for ever: a retired one stays listed and is not used again.
 *
 * Pure.
 */

const texts = {
  DEPOT_OPTION: 'an option of the depot is wrong',
  DEPOT_UNSAFE: 'the folder of the depot is not safe to use',
  DEPOT_FORMAT: 'the depot was made by a version with another format',
  DEPOT_DAMAGED: 'the depot is damaged',
  DEPOT_FULL: 'the depot is full',
  DEPOT_WRITE_FAILED: 'the disk did not take a write: whether it was made is unknown until it is asked for again',
  DEPOT_CLOSED: 'the depot is closed',
  QUEUE_UNKNOWN: 'there is no such queue',
  QUEUE_EXISTS: 'there is a queue of that name',
  QUEUE_NAME: 'that is no name for a queue',
  QUEUE_NOT_EMPTY: 'the queue holds messages',
  ENTRY_UNKNOWN: 'there is no such message in the queue',
  ENTRY_ID: 'that is no id of a message',
  LEASE_LOST: 'the lease ran out, or somebody else has settled the message',
  MESSAGE_UNREADABLE: 'the message cannot be read',
} as const

/** The codes. */
export type DepotErrorCode = keyof typeof texts

/** Codes of what may go well when it is tried again later, without anything else being changed. */
const temporary: ReadonlySet<DepotErrorCode> = new Set(['DEPOT_FULL', 'DEPOT_WRITE_FAILED'])

/** An error of a depot. `isTemporary` says that the same call may succeed later. */
export class DepotError extends Error {
  override readonly name = 'DepotError'
  readonly code: DepotErrorCode
  readonly isTemporary: boolean

  constructor(code: DepotErrorCode, detail: string | null = null, cause: unknown = null) {
    super(detail === null ? texts[code] : `${texts[code]}: ${detail}`, cause === null ? {} : { cause })
    this.code = code
    this.isTemporary = temporary.has(code)
  }
}

/** Whether a value is an error of a depot, with this code where one is given. */
export function isDepotError(value: unknown, code: DepotErrorCode | null = null): value is DepotError {
  return value instanceof DepotError && (code === null || value.code === code)
}
