/** nodefilter/queue-store: durable queues of messages. */
export { checkDepot, type CheckOptions, type CheckResult } from './check.ts'
export { openDepot, type OpenedDepot } from './depot.ts'
export type * from './depot-types.ts'
export { DepotError, isDepotError, type DepotErrorCode } from './errors.ts'
export {
  openQueue,
  type BounceRequest,
  type LoopHeaders,
  type OpenQueueOptions,
  type PostofficeQueue,
  type QuarantinedMessage,
  type QuarantineRequest,
  type QueueMessage,
  type Told,
} from './facade/facade.ts'
export type { StructuredError } from './facade/structured-error.ts'
export * from './http/index.ts'
export { openMaps } from './maps.ts'
export * from './notices/index.ts'
export { salvage, type Salvaged } from './salvage.ts'
export {
  sendmailTransport,
  smtpTransport,
  type SendmailOptions,
  type SmtpOptions,
  type Transport,
} from './transports/nodemailer.ts'
export * from './ttl/index.ts'
