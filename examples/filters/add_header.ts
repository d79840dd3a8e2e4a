/**
 * add_header: add a field to each message.
 *
 * Reads:    the header section.
 * Edits:    one field more.
 * Verdicts: pass.
 *
 * In filters.conf:  add_header
 */
import { XFilter } from 'nodefilter/courier-compat'
import type { DoFilter } from 'nodefilter/filter'

export const edits = 'library'

export const doFilter: DoFilter = async (bodyPath, controlPaths, { signal }) => {
  const xfilter = new XFilter('add_header', bodyPath, controlPaths)
  const message = xfilter.getMessage()
  message.header.add('X-Test-Header', 'A new header!')
  return xfilter.submit({ signal })
}
