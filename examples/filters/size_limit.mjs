/**
 * size_limit: refuse messages that are too large.
 *
 * Reads:    the size of the data file. Never opens it.
 * Verdicts: pass; reject 552 5.3.4.
 *
 * In filters.conf:  size_limit with max_size=10MiB
 *
 * The smallest filter that is of use: plain JavaScript, one setting, one function. It could do without the library too:
 * an empty string passes, and any SMTP-style reply is a verdict.
 */
import { statSync } from 'node:fs'

export const settings = {
  max_size: { type: 'size', default: '10MiB', min: '1KiB', text: 'The largest message, header section included.' },
}

let maxOctets = 0

export function initFilter(setup) {
  // Sizes come as octets, durations as milliseconds, whatever unit the administrator wrote.
  maxOctets = setup.settings.max_size
}

export function doFilter(bodyPath) {
  const { size } = statSync(bodyPath)
  if (size <= maxOctets) return ''
  return `552 5.3.4 The message has ${size} octets, this server takes ${maxOctets}`
}
