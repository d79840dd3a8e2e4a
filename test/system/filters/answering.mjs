/** Refuses `X-Case: reject` and `X-Case: defer`. */
import { defer, reject } from 'nodefilter/courier-compat'
import { wanted } from './lib/wanted.mjs'

export function doFilter(bodyPath) {
  if (wanted(bodyPath, 'reject') !== null)
    return reject('5.7.1', ['Not this message', 'and not the next one', 'either'])
  if (wanted(bodyPath, 'defer') !== null) return defer('4.7.1', 'Not now')
  return ''
}
