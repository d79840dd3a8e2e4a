/** What can be wrong with a TTL map, apart from what its store says. */

/**
 * The codes, for ever.
 *
 * `TTL_ARGUMENT`: a key, value, time or name that no map takes. `TTL_KIND`: the key holds something else than the
 * operation works on. `TTL_MAP_UNKNOWN`: an operation names a map that was not opened. `TTL_RECORD_BROKEN`: what is stored
 * is not what was written, or was written by a newer release; it is never taken for an absent key.
 */
export type TtlErrorCode = 'TTL_ARGUMENT' | 'TTL_KIND' | 'TTL_MAP_UNKNOWN' | 'TTL_RECORD_BROKEN'

/** An error of a TTL map; the text names the map or key only where the caller gave it. */
export class TtlError extends Error {
  readonly code: TtlErrorCode
  constructor(code: TtlErrorCode, text: string) {
    super(text)
    this.name = 'TtlError'
    this.code = code
  }
}

/** Throws TTL_ARGUMENT unless `holds`. */
export function demand(holds: boolean, text: string): void {
  if (!holds) throw new TtlError('TTL_ARGUMENT', text)
}
