/**
 * noreceivedheaders: who has logged in need not tell the world where from: Courier's `Received` field about it goes.
 *
 * Reads:    the SMTP AUTH user (control record `i`), the header section. Never reads the body, which is only copied.
 * Keeps:    nothing.
 * Verdicts: pass.
 * Source:   spec pythonfilter 2.13.
 *
 * Courier puts its field on top, and it alone tells the address and the log-in name of the client, so it alone goes. With
 * `redact = all`, as pythonfilter has it, every one goes, and with them the count of hops: a loop of such a message is not
 * noticed by mail servers that count them.
 */
import { getAuthUser, pass, XFilter } from '../courier-compat/index.ts'
import type { DoFilter, Edits, InitFilter, OnError, SettingSchemas } from '../courier-compat/index.ts'

/** What went out with the address in it cannot be called back; a deferred message comes again. */
export const onError: OnError = 'defer'

export const edits: Edits = 'library'

export const about = 'removes the Received field that tells where an authenticated sender is'

export const settings = {
  redact: {
    type: 'choice',
    choices: ['first', 'all'],
    default: 'first',
    text: 'What is removed: the first Received field, which Courier has just added, or all of them.',
  },
} as const satisfies SettingSchemas

let isAll = false

export const initFilter: InitFilter = ({ settings: values }) => {
  isAll = values['redact'] === 'all'
}

export const doFilter: DoFilter = (bodyPath, controlPaths, { signal }) => {
  if (getAuthUser(controlPaths) === null) return pass()
  const xfilter = new XFilter('noreceivedheaders', bodyPath, controlPaths)
  const { header } = xfilter.getMessage()
  if (isAll) header.remove('Received')
  else header.remove('Received', 0)
  return xfilter.submit({ signal })
}
