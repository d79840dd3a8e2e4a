/**
 * What a control file says of the notices that sender and recipient want, as `sendmail` is told it.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 4.4 (records `N`, `e`, `t`); RFC 3461 4.
 */
import type { DsnRequest } from './arguments.ts'

/** Words of control records, as text. */
export interface DsnRecords {
  /** `N`: a subset of `SFD`, or `N`, or `''`. */
  readonly notify: string
  /** `t`: `F`, `H` or `''`. */
  readonly format: string
  /** `e`, in xtext, or `''`. */
  readonly envelopeId: string
}

const notifyWords = { S: 'success', F: 'fail', D: 'delay' } as const
const extents: ReadonlyMap<string, 'full' | 'hdrs'> = new Map([
  ['F', 'full'],
  ['H', 'hdrs'],
])

/** The same wishes, as far as `sendmail` can be told them: an envelope id beyond printable ASCII cannot. */
export function dsnRequestOf({ notify: flags, format, envelopeId }: DsnRecords): DsnRequest {
  const notify = (['S', 'F', 'D'] as const).filter((flag) => flags.includes(flag)).map((flag) => notifyWords[flag])
  const extent = extents.get(format)
  // Courier encodes it again (RFC 3461 4).
  const id = envelopeId.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return {
    ...(flags.includes('N') ? { notify: 'never' as const } : notify.length > 0 ? { notify } : {}),
    ...(extent === undefined ? {} : { return: extent }),
    ...(/^[!-~]{1,100}$/.test(id) ? { envelopeId: id } : {}),
  }
}
