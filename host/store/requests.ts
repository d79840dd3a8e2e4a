/**
 * What filters ask of the stores, as it crosses from a worker thread to the host. Pure.
 *
 * Plain data that JSON carries; octets are `{ $octets: base64 }`. Every thread loads this file: it imports nothing.
 */
import type { TtlOperation } from '../../queue-store/ttl/operation.ts'
import type { Envelope, Json, QueueSettings } from '../../queue-store/depot-types.ts'

/** Bounds of what filters ask. */
export const storeLimits = {
  /** Requests of one thread that have no answer yet, and what these hold together. */
  open: 1000,
  openOctets: 16 * 1024 * 1024,
  /** Operations of one `apply`. */
  operations: 1000,
  /** A message that a filter hands over itself. */
  messageOctets: 1024 * 1024,
  /** Facts, as JSON. */
  factsChars: 65_536,
  recipients: 100_000,
  addressChars: 2000,
  keyChars: 2000,
  /** Additions of one message. */
  additions: 100,
} as const

/** A map, and the time that its user said, `null` where none. */
export type MapTime = readonly [name: string, ttlMs: number | null]

/** A message to be added to a queue. */
export interface AddRequest {
  readonly op: 'add'
  /** That of the job: which message it belongs to. */
  readonly key: string
  /** The filter's place in the list. */
  readonly filter: number
  /** Asked only whether it could be added. */
  readonly isDry: boolean
  readonly queue: string
  /** `null`: the message's own file. */
  readonly message: Uint8Array | null
  readonly envelope: Envelope | null
  readonly facts: { readonly [name: string]: Json }
  readonly orderKey: string | null
  /** `undefined`: the host makes one. */
  readonly idempotencyKey: string | null | undefined
  readonly make: Partial<QueueSettings> | null
}

/** A request. `forget` has no answer: what this filter added to this message is dropped. */
export type StoreRequest =
  | { readonly op: 'ttl'; readonly maps: readonly MapTime[]; readonly operations: readonly TtlOperation[] }
  | AddRequest
  | { readonly op: 'forget'; readonly key: string; readonly filter: number }
  | { readonly op: 'make-queue'; readonly queue: string; readonly settings: Partial<QueueSettings> }
  | { readonly op: 'queues' }

/** What went wrong, as it travels. */
export interface StoreFault {
  readonly name: string
  readonly code: string
  readonly text: string
}

/** Writes octets as JSON can carry them. Not for what a filter's author made up: an object of theirs may look like octets. */
export function packOctets(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return { $octets: Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64') }
  }
  if (Array.isArray(value)) return value.map(packOctets)
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, packOctets(part)]))
}

/** The reverse of `packOctets`. */
export function unpackOctets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpackOctets)
  if (!isRecord(value)) return value
  const octets = value['$octets']
  if (typeof octets === 'string') return new Uint8Array(Buffer.from(octets, 'base64'))
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpackOctets(part)]))
}

/** A request for the line. */
export function packRequest(request: StoreRequest): unknown {
  if (request.op === 'ttl') return { ...request, operations: packOctets(request.operations) }
  if (request.op !== 'add') return request
  const { idempotencyKey, message, ...rest } = request
  const key = idempotencyKey === undefined ? { makesKey: true } : { idempotencyKey }
  return { ...rest, ...key, message: packOctets(message) }
}

/** What is said of a message that a filter hands over itself and that is too long. */
export function tooLong(octets: number): string {
  return `has a message of ${octets} octets of its own, at most ${storeLimits.messageOctets} are taken`
}

/** An error as it travels. */
export function faultOf(thrown: unknown): StoreFault {
  const error: Error & { readonly code?: unknown } = thrown instanceof Error ? thrown : new Error('failed')
  const { name, code, message } = error
  return {
    name: name.slice(0, 100),
    code: typeof code === 'string' ? code : 'STORE_FAILED',
    text: message.slice(0, 1000),
  }
}

/** An error of the stores, by its code. */
export class StoreError extends Error {
  override name = 'StoreError'
  readonly code: string
  /** As a depot's errors have it: the same may succeed later. */
  readonly isTemporary: boolean
  constructor(code: string, text: string) {
    super(text)
    this.code = code
    this.isTemporary = temporary.includes(code)
  }
}

const temporary = ['STORE_LOST', 'STORE_BUSY', 'STORE_FAILED', 'DEPOT_FULL', 'DEPOT_WRITE_FAILED']

/** The error that arrived. */
export function errorOf({ name, code, text }: StoreFault): StoreError {
  const error = new StoreError(code, text)
  error.name = name
  return error
}

/** Checks what came down a line. */
export function readFault(value: unknown): StoreFault {
  const { name, code, text } = isRecord(value) ? value : {}
  return { name: String(name), code: String(code), text: String(text) }
}

/** True for a plain object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}
