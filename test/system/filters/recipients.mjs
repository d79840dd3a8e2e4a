/** Changes the recipients: `X-Case: remove ADDRESS...`, `X-Case: add ADDRESS...`. */
import { addRecipient, delRecipient } from 'nodefilter/courier-compat'
import { wanted } from './lib/wanted.mjs'

export function doFilter(bodyPath, controlPaths) {
  for (const address of wanted(bodyPath, 'remove') ?? []) delRecipient(controlPaths, address)
  for (const address of wanted(bodyPath, 'add') ?? []) addRecipient(controlPaths, address)
  return ''
}
