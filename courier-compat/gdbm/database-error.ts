/** What can be wrong with a database file. */

/**
 * Why a file that is there cannot be used.
 *
 * `DATABASE_BROKEN`: cut off or damaged. `DATABASE_BERKELEY`: a sound file of another database. `DATABASE_UNKNOWN`: no
 * database that we know.
 */
export type DatabaseErrorCode = 'DATABASE_BROKEN' | 'DATABASE_BERKELEY' | 'DATABASE_UNKNOWN'

/** A database file that is there but cannot be used: never the same as one that is missing, or without the entry. */
export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode

  constructor(code: DatabaseErrorCode, text: string, options?: ErrorOptions) {
    super(text, options)
    this.name = 'DatabaseError'
    this.code = code
  }
}

/** An error for a file that is cut off or damaged; `what` says where. */
export function broken(what: string): DatabaseError {
  return new DatabaseError('DATABASE_BROKEN', `the GDBM file is cut off or damaged: ${what}`)
}
