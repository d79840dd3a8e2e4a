/**
 * The options of `[post office]` that say how messages are sorted.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 2.2, 6, 7, 9 and 17.
 */
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import type { Options } from './options.ts'
import type { Remarks } from './problem.ts'
import { autoResponseSigns, defaultSorting } from './types.ts'
import type { AutoResponseSign, SortingSettings } from './types.ts'

/** Their names. */
export const sortingOptions = [
  'ooo_loop_frequency',
  'ooo_loop_headers',
  'ooo_throttle_period',
  'max_message_size',
  'message_id',
  'duplicate_window',
  'duplicate_digest',
  'auto_response',
  'compat_precedence',
  'body_scan_limit',
  'body_scan_total',
] as const

/** Reads them. Faults are noted, and the default stands for what is faulty. */
export function readSorting(options: Options, remarks: Remarks): SortingSettings {
  const maxMessageOctets = options.octets('max_message_size', 0)
  const bodyScanCharacters = options.octets('body_scan_limit', defaultSorting.bodyScanCharacters)
  const bodyScanTotalCharacters = options.octets(
    'body_scan_total',
    Math.max(bodyScanCharacters, defaultSorting.bodyScanTotalCharacters),
  )
  if (bodyScanTotalCharacters < bodyScanCharacters) {
    const text = `${options.label('body_scan_total')}: is less than body_scan_limit, which is for one part of a message`
    remarks.fault(options.placeOf('body_scan_total'), text, 'write at least as much')
  }
  return {
    loopFrequency: options.number('ooo_loop_frequency', defaultSorting.loopFrequency),
    loopHeaders: readLoopHeaders(options, remarks),
    throttleMs: options.wholeNumber('ooo_throttle_period', defaultSorting.throttleMs / 1000) * 1000,
    maxMessageOctets: maxMessageOctets === 0 ? null : maxMessageOctets,
    messageId: options.choice('message_id', ['require', 'synthesize'], defaultSorting.messageId),
    duplicateWindowMs: options.durationMs('duplicate_window', defaultSorting.duplicateWindowMs),
    duplicateDigest: options.switch('duplicate_digest', defaultSorting.duplicateDigest),
    autoResponse: readSigns(options, remarks),
    compatPrecedence: options.switch('compat_precedence', defaultSorting.compatPrecedence),
    bodyScanCharacters,
    bodyScanTotalCharacters,
  }
}

function readLoopHeaders(options: Options, remarks: Remarks): string[] {
  return options.list('ooo_loop_headers').map(({ word, place }) => {
    if (!/^[!-9;-~]+$/.test(word)) {
      const cure = 'write names with commas between them'
      remarks.fault(place, `${options.label('ooo_loop_headers')}: ${quoted(word)} is no name of a header field`, cure)
    }
    return word.toLowerCase()
  })
}

function readSigns(options: Options, remarks: Remarks): ReadonlySet<AutoResponseSign> {
  if (!options.has('auto_response')) return defaultSorting.autoResponse
  const words = options.list('auto_response')
  const signs = new Set<AutoResponseSign>()
  for (const { word, place } of words) {
    const sign = autoResponseSigns.find((known) => known === word)
    if (sign !== undefined) signs.add(sign)
    else if (word !== 'none' || words.length > 1) {
      const cure =
        didYouMean(word, autoResponseSigns) ?? `there are ${autoResponseSigns.join(', ')}; none alone is none`
      remarks.fault(place, `${options.label('auto_response')}: there is no sign ${quoted(word)}`, cure)
    }
  }
  if (words.length === 0) {
    remarks.fault(
      options.placeOf('auto_response'),
      `${options.label('auto_response')}: the value is empty`,
      'write none',
    )
  }
  return signs
}
