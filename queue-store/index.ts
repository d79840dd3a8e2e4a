/** nodefilter/queue-store: durable queues of messages. */
export { checkDepot, type CheckOptions, type CheckResult } from './check.ts'
export { openDepot, type OpenedDepot } from './depot.ts'
export type * from './depot-types.ts'
export { DepotError, isDepotError, type DepotErrorCode } from './errors.ts'
export { salvage, type Salvaged } from './salvage.ts'
