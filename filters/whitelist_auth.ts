/**
 * whitelist_auth: accept what an authenticated user sends, so that the filters after this one do not run.
 *
 * Reads:    the SMTP AUTH user (control record `i`). Never opens the content.
 * Keeps:    nothing.
 * Verdicts: pass; accept 200.
 * Source:   spec pythonfilter 2.22. Only the `i` record tells who authenticated: `RELAYCLIENT` is also set for clients
 *           that may relay by their address (spec courier 4.4).
 */
import { accept, getAuthUser, pass } from '../courier-compat/index.ts'
import type { DoFilter, Edits, OnError } from '../courier-compat/index.ts'

/** An error grants nothing: the other filters run, as they do for everybody. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'accepts what an authenticated user sends'

export const doFilter: DoFilter = (_bodyPath, controlPaths) => {
  const user = getAuthUser(controlPaths)
  return user === null || user === '' ? pass() : accept()
}
