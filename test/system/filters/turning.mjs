/**
 * Refuses `X-Case: mark` in the name of the configuration that it runs with: the alias that the list gives it, and its
 * setting in modules.conf.
 */
import { reject } from 'nodefilter/courier-compat'
import { wanted } from './lib/wanted.mjs'

export const settings = { turn: { type: 'text', default: 'none', text: 'Which modules.conf this is.' } }

let own = ''

export function initFilter({ alias, settings }) {
  own = `list=${alias} modules=${settings.turn}`
}

export function doFilter(bodyPath) {
  return wanted(bodyPath, 'mark') === null ? '' : reject('5.7.1', own)
}
