/**
 * The settings of a queue, and the delay after a failure.
 *
 * Pure.
 */
import { DepotError } from './errors.ts'
import type { QueueSettings } from './depot-types.ts'

/** What holds where nothing is set. */
export const defaultSettings: QueueSettings = {
  order: 'none',
  maxDeliveries: 5,
  firstRetrySeconds: 10,
  retryFactor: 2,
  maxRetrySeconds: 3600,
  rememberSeconds: 86_400,
}

const bounds: Readonly<Record<Exclude<keyof QueueSettings, 'order'>, readonly [least: number, most: number]>> = {
  maxDeliveries: [1, 1_000_000],
  firstRetrySeconds: [0, 86_400],
  retryFactor: [1, 100],
  maxRetrySeconds: [0, 30 * 86_400],
  rememberSeconds: [0, 366 * 86_400],
}

/** Settings with changes made. Errors: DEPOT_OPTION for a word or number out of bounds. */
export function changedSettings(settings: QueueSettings, changes: Partial<QueueSettings>): QueueSettings {
  const changed = { ...settings, ...changes }
  if (!['strict', 'key', 'none'].includes(changed.order)) {
    throw new DepotError('DEPOT_OPTION', `order is ${JSON.stringify(changed.order)}, not strict, key or none`)
  }
  for (const [name, [least, most]] of Object.entries(bounds)) {
    checkNumber(name, changed[name as keyof typeof bounds], least, most)
  }
  return changed
}

/** Errors: DEPOT_OPTION where a number is out of bounds. */
export function checkNumber(name: string, value: number, least: number, most: number): number {
  if (Number.isFinite(value) && value >= least && value <= most) return value
  throw new DepotError('DEPOT_OPTION', `${name} is ${value}, not from ${least} to ${most}`)
}

/** How long a message stays away after a failed delivery. Units: ms; `deliveries` counts from 1. */
export function retryDelayMs(settings: QueueSettings, deliveries: number): number {
  // A thousand failures are none too many for a number: growth ends where it makes no more difference.
  const growth = Math.min(1e9, settings.retryFactor ** Math.max(0, deliveries - 1))
  const seconds = settings.firstRetrySeconds * growth
  return Math.round(1000 * Math.min(settings.maxRetrySeconds, seconds))
}

/** The name, if it can be one of a queue: 1 to 200 octets without control characters. Errors: QUEUE_NAME. */
export function queueName(name: string): string {
  // A name is shown in lists and logs, and is the key of a table.
  if (name === '' || Buffer.byteLength(name) > 200 || /\p{Cc}/u.test(name) || !name.isWellFormed()) {
    throw new DepotError('QUEUE_NAME', JSON.stringify(name.slice(0, 200)))
  }
  return name
}
