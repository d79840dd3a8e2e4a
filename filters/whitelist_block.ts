/**
 * whitelist_block: accept what comes from a client that Courier exempts from block lists, so that the filters after this
 * one do not run.
 *
 * Reads:    the client's address; Courier's `smtpaccess.dat`. Never opens the content.
 * Keeps:    nothing.
 * Verdicts: pass; accept 200; defer 451 4.3.0 for a client address that is none.
 * Source:   spec pythonfilter 2.23; spec courier 5.6.
 *
 * `192.0.2.7 allow,BLOCK`, an empty `BLOCK`, exempts. The entry that fits the address best decides alone: with
 * `192.0.2 allow,BLOCK="550 Go away"` and `192.0 allow,BLOCK` nothing from 192.0.2.0/24 is exempt.
 */
import { existsSync } from 'node:fs'
import { accept, defer, isWhiteblocked, pass, readControl, sysconfdir } from '../courier-compat/index.ts'
import type { DoFilter, Edits, InitFilter, OnError } from '../courier-compat/index.ts'

/** An error, a database that cannot be read included, grants nothing: the other filters run, as they do for everybody. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'accepts what comes from a client that Courier exempts from block lists'

export const initFilter: InitFilter = ({ log }) => {
  const path = `${sysconfdir()}/smtpaccess.dat`
  if (!existsSync(path)) log.warn(`there is no ${path}, so no client is exempt; makesmtpaccess makes it`)
}

export const doFilter: DoFilter = (_bodyPath, controlPaths) => {
  const { clientIp, invalidClientIp } = readControl(controlPaths)
  if (invalidClientIp !== null) return defer('4.3.0', 'The client has an address that cannot be read')
  return clientIp !== null && isWhiteblocked(clientIp) ? accept() : pass()
}
