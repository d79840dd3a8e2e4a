/** The third argument of `doFilter` for tests of one filter, without a host. */
import { filterMessage } from '../../courier-compat/filter-message.ts'
import { readControl } from '../../courier-compat/control.ts'
import type { FilterContext, FilterLog, FilterSetup } from '../../courier-compat/filter.ts'
import type { SettingValue } from '../../courier-compat/setting.ts'
import { deadSetupStores, deadStores } from '../../host/store/filter-stores.ts'

/** A log that keeps its lines, each with its level in front: `info: text`. */
export function makeLog(): { readonly lines: string[]; readonly log: FilterLog } {
  const lines: string[] = []
  const put = (level: string) => (text: string) => void lines.push(`${level}: ${text}`)
  return { lines, log: { info: put('info'), warn: put('warn'), error: put('error') } }
}

/**
 * A context that reads envelope and client from the control files at each use, as the host's does after an edit.
 * `lines` are what the filter logged through it.
 */
export function makeContext(
  controlPaths: readonly string[],
  bodyPath = '',
): { context: FilterContext; lines: string[] } {
  const { lines, log } = makeLog()
  const { stores } = deadStores(0, false)
  const context: FilterContext = {
    ...{ stores, ttl: stores.ttl, queue: stores.queue },
    id: readControl(controlPaths).id,
    attempt: 1,
    signal: new AbortController().signal,
    log,
    notes: new Map(),
    message: filterMessage(bodyPath, () => new AbortController().signal),
    get envelope() {
      const { sender, recipients } = readControl(controlPaths)
      return { sender, recipients }
    },
    get client() {
      const { clientIp, authUser, source } = readControl(controlPaths)
      return { ip: clientIp, authUser, source }
    },
  }
  return { context, lines }
}

/** What `initFilter` is handed: settings as the host has checked them, that is with every default filled in. */
export function makeSetup(
  name: string,
  settings: Readonly<Record<string, SettingValue>> = {},
  state = '/nonexistent',
): FilterSetup {
  return { name, alias: name, settings, log: makeLog().log, state, stores: deadSetupStores }
}
