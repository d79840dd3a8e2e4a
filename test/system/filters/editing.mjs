/**
 * Edits the header section of `X-Case: edit`. Under the alias `spoiling` it edits that of `X-Case: edit spoil` once more,
 * and then fails.
 */
import { XFilter } from 'nodefilter/courier-compat'
import { wanted } from './lib/wanted.mjs'

let isSpoiling = false

export function initFilter({ alias }) {
  isSpoiling = alias === 'spoiling'
}

export async function doFilter(bodyPath, controlPaths, { signal }) {
  const words = wanted(bodyPath, 'edit')
  if (words === null || (isSpoiling && !words.includes('spoil'))) return ''
  const xfilter = new XFilter('editing', bodyPath, controlPaths)
  const { header } = xfilter.getMessage()
  if (isSpoiling) {
    header.remove('X-Added')
    header.add('X-Spoilt', 'yes')
    await xfilter.submit({ signal })
    throw new Error('as the system tests want it')
  }
  header.insert(0, 'X-Top', '1')
  header.replace('X-Replaced', 'Grüße, and '.repeat(8), { at: 1 })
  header.remove('x-removed')
  header.add('X-Added', 'ü', { encoding: 'utf8' })
  return xfilter.submit({ signal })
}
