/** The public face of the TTL maps. */
export type { TtlClock } from './clock.ts'
export { countingLimits, type PaceResult } from './counting.ts'
export { depotPort } from './depot-port.ts'
export { ttlLimits } from './layout.ts'
export type { TtlMap } from './map.ts'
export { openTtlMaps, type TtlMapOptions, type TtlMaps, type TtlMapsOptions } from './maps.ts'
export { memoryPort } from './memory-port.ts'
export type {
  FirstSeen,
  TtlAdmitted,
  TtlChange,
  TtlEntry,
  TtlKey,
  TtlOperation,
  TtlPace,
  TtlRate,
  TtlResult,
  TtlResults,
  TtlResultsOf,
  TtlUpdate,
  TtlUpdated,
  TtlWriteOptions,
} from './operation.ts'
export type { TtlImportable, TtlImportReport, TtlListed, TtlPage, TtlStats } from './paging.ts'
export type { TtlPair, TtlPort, TtlReading, TtlWriting } from './port.ts'
export type { TtlKind, TtlValue } from './record.ts'
export { sweepDefaults, type SweepOptions, type SweepReports } from './sweeper.ts'
export type { TtlSwept } from './table.ts'
export { TtlError, type TtlErrorCode } from './ttl-error.ts'
