/** The settings of a running host in words, and which of them only a restart changes. Pure. */
import { writeDefault, writeValue } from '../../courier-compat/setting/text.ts'
import { hostSettingList, type HostSettings } from './settings.ts'

/** One setting as it is in force. */
export interface SettingInForce {
  /** `section.key`, as `--set` takes it. */
  readonly setting: string
  /** As an administrator writes it; `(not set)` where it is not. */
  readonly value: string
  readonly isDefault: boolean
}

/** What is read once, at the start: the door's own settings, the log's, the store's, and the place of the state. */
const atStartOnly: ReadonlySet<string> = new Set([
  'host.state_dir',
  'courierfilter.enabled',
  'courierfilter.directory',
  'courierfilter.max_connections',
  'courierfilter.request_limit',
  'courierfilter.request_timeout',
  'log.level',
  'log.file',
  'log.max_buffer',
  'store.directory',
  'store.max_size',
  'store.inside_size',
  'store.group',
  'store.mode',
])

/**
 * All settings, in the order of their declaration: those that a reload takes over as they are in `now`, the others as
 * they were in `atStart`.
 */
export function settingsInForce(now: HostSettings, atStart: HostSettings): SettingInForce[] {
  const first = hostSettingList(atStart)
  return hostSettingList(now).map(({ name, schema, value }, index) => {
    const text = writeValue(schema, atStartOnly.has(name) ? (first[index]?.value ?? null) : value)
    return { setting: name, value: text, isDefault: text === writeDefault(schema) }
  })
}

/** The settings that are written otherwise than the host was started with, and that only a restart takes over. */
export function settingsThatNeedRestart(now: HostSettings, atStart: HostSettings): string[] {
  const first = hostSettingList(atStart)
  const differs = hostSettingList(now).filter(
    ({ schema, value }, index) => writeValue(schema, value) !== writeValue(schema, first[index]?.value ?? null),
  )
  return differs.map(({ name }) => name).filter((name) => atStartOnly.has(name))
}
