/**
 * throws: what becomes of a mistake in a filter. For messages with the field "X-Example: throws".
 *
 * Reads:    the fields X-Example and X-Ticket.
 * Verdicts: pass; none where it throws.
 *
 * The host takes whatever is thrown for a failure of the filter: the sender hears 451 and tries again, the log says
 * what was thrown and at which line. A failure is never an acceptance, so no filter needs a `try` to be safe. Where a
 * failure should rather let the message go on, the list says so: `throws with on_error=pass`.
 */
import { headerField } from './lib/header-field.mjs'

export function doFilter(bodyPath) {
  if (headerField(bodyPath, 'X-Example') !== 'throws') return ''
  // Here is the mistake: the field may be missing, and then this is null.
  const [project] = headerField(bodyPath, 'X-Ticket').split('-')
  return project === 'SPAM' ? '550 5.7.1 This project is closed' : ''
}
