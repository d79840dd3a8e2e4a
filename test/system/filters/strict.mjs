/** Refuses `X-Case: strict` for good, as a filter does that must not run for users who logged in. */
import { reject } from 'nodefilter/courier-compat'
import { wanted } from './lib/wanted.mjs'

export function doFilter(bodyPath) {
  return wanted(bodyPath, 'strict') === null ? '' : reject('5.7.1', 'Log in first')
}
