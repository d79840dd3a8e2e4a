/** What the log tells of the metrics server. */
import type { Log } from './log.ts'

/** The events, by name. */
export type MetricsEvents = ReturnType<typeof createMetricsEvents>

/** Binds them to a log. */
export function createMetricsEvents(log: Log) {
  return {
    opened: (address: string) => log.write({ level: 'info', event: 'metrics-opened', fields: { address } }),
    failed: (address: string, cause: string) =>
      log.write({ level: 'error', event: 'metrics-failed', fields: { address, cause } }),
  }
}
