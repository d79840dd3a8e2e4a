/**
 * Checks what a thread asks of the stores before the host believes it. Pure.
 *
 * Checked is the shape, and that it is small: whether an operation makes sense is the store's own check.
 */
import type { Envelope, QueueSettings } from '../../queue-store/depot-types.ts'
import { ttlLimits } from '../../queue-store/ttl/layout.ts'
import type { TtlOperation } from '../../queue-store/ttl/operation.ts'
import {
  isRecord,
  storeLimits,
  tooLong,
  unpackOctets,
  type AddRequest,
  type MapTime,
  type StoreRequest,
} from './requests.ts'

/** A request that was checked, and about how much memory it holds. */
export interface CheckedRequest {
  readonly request: StoreRequest
  readonly octets: number
}

/** Checks what came up a line. Errors: a string that says what is wrong. */
export function readRequest(value: unknown): CheckedRequest | string {
  if (!isRecord(value)) return 'the request is no object'
  const { key, filter, queue } = value
  switch (value['op']) {
    case 'queues':
      return { request: { op: 'queues' }, octets: 0 }
    case 'forget':
      if (!isText(key) || !isPlace(filter)) return 'names no message'
      return { request: { op: 'forget', key, filter }, octets: 0 }
    case 'make-queue': {
      const settings = readSettings(value['settings'])
      if (!isText(queue) || settings === null) return 'is no queue with settings'
      return { request: { op: 'make-queue', queue, settings }, octets: 0 }
    }
    case 'ttl':
      return readTtl(value)
    case 'add':
      return readAdd(value)
    default:
      return 'is no request'
  }
}

function readTtl({ maps, operations }: Record<string, unknown>): CheckedRequest | string {
  if (!Array.isArray(maps) || !Array.isArray(operations)) return 'has no operations'
  if (maps.length > 2 * storeLimits.operations || operations.length > storeLimits.operations) {
    return `has ${operations.length} operations, at most ${storeLimits.operations} are one transaction`
  }
  if (!maps.every(isMapTime)) return 'names a map that is none'
  const read: TtlOperation[] = []
  let octets = 0
  for (const packed of operations) {
    const operation = readOperation(packed)
    if (operation === null) return 'has an operation that is none'
    octets += 200 + operation.key.length + ('value' in operation ? sizeOf(operation.value) : 0)
    read.push(operation)
  }
  return { request: { op: 'ttl', maps, operations: read }, octets }
}

/** The fields of each operation, and what may be in them. */
const fieldsOf: Readonly<Record<string, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  ...{ get: {}, has: {}, delete: {} },
  set: { value: isValue, ttlMs: isNumberOrLeft },
  firstSeen: { value: isValue },
  increment: { by: isNumber },
  rate: { rate: isRate },
  pace: { pace: isPace },
  update: { update: isUpdate },
  admit: { known: isText, waitMs: isNumber },
}

function readOperation(packed: unknown): TtlOperation | null {
  const value = unpackOctets(packed)
  if (!isRecord(value)) return null
  const { op, map, key } = value
  const fields = typeof op === 'string' && Object.hasOwn(fieldsOf, op) ? (fieldsOf[op] ?? null) : null
  if (fields === null || !isText(map) || !isKey(key)) return null
  const operation: Record<string, unknown> = { op, map, key }
  for (const [name, holds] of Object.entries(fields)) {
    if (!holds(value[name])) return null
    if (value[name] !== undefined) operation[name] = value[name]
  }
  return operation as unknown as TtlOperation
}

function readAdd(value: Record<string, unknown>): CheckedRequest | string {
  const { key, filter, queue, isDry, orderKey, makesKey, idempotencyKey = null } = value
  const message = unpackOctets(value['message'])
  const envelope = readEnvelope(value['envelope'])
  const facts = value['facts']
  const make = value['make'] === null ? null : readSettings(value['make'])
  if (!isText(key) || !isPlace(filter) || typeof isDry !== 'boolean') return 'names no message'
  if (!isText(queue)) return 'names no queue'
  if (!(message === null || message instanceof Uint8Array)) return 'has a message that is none'
  if ((message?.length ?? 0) > storeLimits.messageOctets) return tooLong(message?.length ?? 0)
  if (envelope === undefined) return 'has an envelope that is none'
  if (!isRecord(facts)) return 'has facts that are no object'
  const factsChars = JSON.stringify(facts).length
  if (factsChars > storeLimits.factsChars) return `has facts of ${factsChars} characters`
  if (!isTextOrNull(orderKey) || !isTextOrNull(idempotencyKey)) return 'has a key that is none'
  if (make === null && value['make'] !== null) return 'has settings of a queue that are none'
  const request: AddRequest = {
    ...{ op: 'add', key, filter, isDry, queue, message, envelope, facts: facts as AddRequest['facts'], orderKey, make },
    idempotencyKey: makesKey === true ? undefined : idempotencyKey,
  }
  const recipients = envelope?.recipients.reduce((sum, address) => sum + address.length, 0) ?? 0
  return { request, octets: 1000 + (message?.length ?? 0) + factsChars + recipients }
}

/** `undefined` where it is none. */
function readEnvelope(value: unknown): Envelope | null | undefined {
  if (value === null) return null
  if (!isRecord(value)) return undefined
  const { sender, recipients } = value
  const isSender = sender === null || isAddress(sender)
  if (!isSender || !Array.isArray(recipients) || recipients.length > storeLimits.recipients) return undefined
  return recipients.every(isAddress) ? { sender, recipients } : undefined
}

const settingNames = [
  ...['order', 'maxDeliveries', 'firstRetrySeconds', 'retryFactor', 'maxRetrySeconds', 'rememberSeconds'],
]

function readSettings(value: unknown): Partial<QueueSettings> | null {
  if (!isRecord(value)) return null
  const isSound = Object.entries(value).every(
    ([name, setting]) => settingNames.includes(name) && (name === 'order' ? isText(setting) : isNumber(setting)),
  )
  return isSound ? value : null
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= storeLimits.keyChars
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value)
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && value.length <= storeLimits.addressChars
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

function isNumberOrLeft(value: unknown): boolean {
  return value === undefined || isNumber(value)
}

function isNumberOrNull(value: unknown): boolean {
  return value === null || isNumber(value)
}

function isMapTime(value: unknown): value is MapTime {
  return Array.isArray(value) && value.length === 2 && isText(value[0]) && isNumberOrNull(value[1])
}

function isKey(value: unknown): boolean {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length <= ttlLimits.longestKeyOctets
}

function isValue(value: unknown): boolean {
  return value === null || isNumber(value) || sizeOf(value) <= ttlLimits.valueOctets
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length
  return value === null || isNumber(value) ? 8 : Infinity
}

function isRate(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { windowMs, steps, by, once } = value
  return isNumber(windowMs) && isNumberOrLeft(steps) && isNumberOrLeft(by) && isOnce(once)
}

function isPace(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { windowMs, leastGapMs, atMost, throttleMs, atMs, once } = value
  const numbers = isNumber(windowMs) && isNumber(throttleMs) && isNumberOrLeft(atMs)
  return numbers && isNumberOrNull(leastGapMs) && isNumberOrNull(atMost) && isOnce(once)
}

function isOnce(value: unknown): boolean {
  return value === undefined || (typeof value === 'string' && value.length <= ttlLimits.longestKeyOctets)
}

function isUpdate(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { absent, present, aged } = value
  if (!isChange(absent) || !isChange(present)) return false
  return aged === undefined || (isRecord(aged) && isNumber(aged['ms']) && isChange(aged['change']))
}

function isChange(value: unknown): boolean {
  if (value === undefined || value === 'keep' || value === 'delete' || value === 'refresh') return true
  if (!isRecord(value) || !isNumberOrLeft(value['ttlMs'])) return false
  return 'value' in value ? isValue(value['value']) : isNumber(value['add'])
}
