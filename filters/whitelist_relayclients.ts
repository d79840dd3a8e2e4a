/**
 * whitelist_relayclients: accept what comes from a client that may relay, so that the filters after this one do not run.
 *
 * Reads:    the client's address, with `control_record` also what Courier noted of it; Courier's `smtpaccess.dat`. Never
 *           opens the content.
 * Keeps:    nothing.
 * Verdicts: pass; accept 200; defer 451 4.3.0 for a client address that is none.
 * Source:   spec pythonfilter 2.25; spec courier 4.4 (`O RELAYCLIENT`), 5.6.
 *
 * `192.0.2 allow,RELAYCLIENT` lets relay, with or without a value. Mail that programs on this machine hand to `sendmail`
 * comes from 127.0.0.1, which usually may.
 */
import { existsSync } from 'node:fs'
import { accept, defer, isRelayed, pass, readControl, sysconfdir } from '../courier-compat/index.ts'
import type { DoFilter, Edits, InitFilter, OnError, SettingSchemas } from '../courier-compat/index.ts'

/** An error, a database that cannot be read included, grants nothing: the other filters run, as they do for everybody. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'accepts what comes from a client that may relay'

export const settings = {
  control_record: {
    type: 'switch',
    default: false,
    text:
      'Accept also where Courier noted at reception that the client may relay. That holds for authenticated users, ' +
      'and where a setting other than the SMTP access file let the client relay.',
  },
} as const satisfies SettingSchemas

let usesControlRecord: boolean = settings.control_record.default

export const initFilter: InitFilter = ({ settings: values, log }) => {
  usesControlRecord = values['control_record'] === true
  const path = `${sysconfdir()}/smtpaccess.dat`
  if (!existsSync(path)) log.warn(`there is no ${path}, which says who may relay; makesmtpaccess makes it`)
}

export const doFilter: DoFilter = (_bodyPath, controlPaths) => {
  const { clientIp, invalidClientIp, relayClient } = readControl(controlPaths)
  if (invalidClientIp !== null) return defer('4.3.0', 'The client has an address that cannot be read')
  if (usesControlRecord && relayClient) return accept()
  return clientIp !== null && isRelayed(clientIp) ? accept() : pass()
}
