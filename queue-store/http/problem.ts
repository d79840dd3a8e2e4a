/**
 * What a client is told where something is wrong.
 *
 * Pure. Source: RFC 9457.
 */
import { STATUS_CODES } from 'node:http'
import { isDepotError, type DepotErrorCode } from '../errors.ts'

/** Codes of what is wrong with a request, beside those of the depot. A code is for ever. */
const requestStatus = {
  REQUEST_MALFORMED: 400,
  TOKEN_WRONG: 401,
  ROUTE_UNKNOWN: 404,
  METHOD_WRONG: 405,
  REQUEST_TIMEOUT: 408,
  LENGTH_MISSING: 411,
  REQUEST_TOO_LARGE: 413,
  MEDIA_TYPE_WRONG: 415,
  HOST_WRONG: 421,
  SERVER_FAILED: 500,
  SERVER_BUSY: 503,
} as const

const depotStatus: Readonly<Record<DepotErrorCode, number>> = {
  DEPOT_OPTION: 400,
  DEPOT_UNSAFE: 500,
  DEPOT_FORMAT: 500,
  DEPOT_DAMAGED: 500,
  DEPOT_FULL: 507,
  DEPOT_WRITE_FAILED: 503,
  DEPOT_CLOSED: 503,
  QUEUE_UNKNOWN: 404,
  QUEUE_EXISTS: 409,
  QUEUE_NAME: 400,
  QUEUE_NOT_EMPTY: 409,
  ENTRY_UNKNOWN: 404,
  ENTRY_ID: 400,
  LEASE_LOST: 409,
  MESSAGE_UNREADABLE: 500,
}

/** A request that cannot be done. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(code: keyof typeof requestStatus, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail)
    this.status = requestStatus[code]
    this.code = code
    this.headers = headers
  }
}

/** What becomes of an error. */
export interface ToldProblem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly detail: string
    readonly code: string
  }
  /** The error is none of the client's, and none that is known: somebody should hear of it. */
  readonly isOurs: boolean
}

/** Tells any error. What is not known is not told to the client: it may name what is none of its business. */
export function tellProblem(error: unknown): ToldProblem {
  if (error instanceof HttpProblem) return told(error.status, error.code, error.message, error.headers)
  if (isDepotError(error)) {
    const status = depotStatus[error.code]
    const later: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {}
    return { ...told(status, error.code, error.message, later), isOurs: status === 500 }
  }
  return { ...told(500, 'SERVER_FAILED', 'the server failed; its log says why', {}), isOurs: true }
}

function told(status: number, code: string, detail: string, headers: Readonly<Record<string, string>>): ToldProblem {
  const title = STATUS_CODES[status] ?? 'Error'
  return { status, headers, body: { type: 'about:blank', title, status, detail, code }, isOurs: false }
}
