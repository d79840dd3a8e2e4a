/**
 * The sections of pythonfilter's settings that belong to no filter but to what filters use: declared here, so that files
 * which have them load, and mistakes in them are told.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 3.1, 3.2, 3.5 and 4.5.
 */
import type { SettingsOf } from '../setting/value.ts'
import type { SettingSchemas } from '../setting.ts'
import { filterSettings } from './filter-settings.ts'
import type { ModuleConfig } from './merge.ts'
import type { ModuleProblem } from './problem.ts'

/** Section -> its options. */
export const librarySections = {
  /** Where filters remember things. */
  ttldb: {
    type: {
      type: 'choice',
      default: 'dbm',
      choices: ['dbm', 'psycopg2', 'pg', 'mysql'],
      text: 'The kind of data base in which pythonfilter kept what filters remember.',
    },
    dir: { type: 'path', default: null, text: 'The folder of its dbm files.' },
    host: { type: 'text', default: null, text: 'The host of its SQL server.' },
    port: { type: 'count', default: null, min: 1, max: 65_535, text: 'The port of its SQL server.' },
    db: { type: 'text', default: null, text: 'The name of its SQL data base.' },
    user: { type: 'text', default: null, text: 'The user for its SQL data base.' },
    password: { type: 'text', default: null, secret: true, text: 'The password for its SQL data base.' },
  },
  /** Messages kept aside. */
  quarantine: {
    siteid: { type: 'text', default: 'local', text: 'A part of the address to which a release is asked for.' },
    dir: { type: 'path', default: null, text: 'The folder in which messages are kept.' },
    days: { type: 'count', default: 14, min: 1, max: 36_500, text: 'How many days a message is kept.' },
    notify_recipient: {
      type: 'switch',
      default: true,
      was: ['notifyRecipient'],
      text: 'Whether recipients are told that a message to them is kept aside.',
    },
    also_notify: { type: 'text', default: null, was: ['alsoNotify'], text: 'A further address that is told.' },
    user_release: {
      type: 'switch',
      default: true,
      was: ['userRelease'],
      text: 'Whether recipients may release a message; else they are sent to the address in also_notify.',
    },
  },
  /** Accounts. */
  authdaemon: {
    socket_path: {
      type: 'path',
      default: '/var/spool/authdaemon/socket',
      was: ['socketPath'],
      text: "The authentication daemon's socket.",
    },
    connect_timeout: {
      type: 'duration',
      default: '10s',
      min: '100ms',
      max: '10m',
      unit: 's',
      was: ['TIMEOUT_SOCK'],
      text: 'How long connecting may take.',
    },
    write_timeout: {
      type: 'duration',
      default: '10s',
      min: '100ms',
      max: '10m',
      unit: 's',
      was: ['TIMEOUT_WRITE'],
      text: 'How long sending a question may take.',
    },
    read_timeout: {
      type: 'duration',
      default: '30s',
      min: '100ms',
      max: '10m',
      unit: 's',
      was: ['TIMEOUT_READ'],
      text: 'How long an answer may take.',
    },
  },
} as const satisfies Readonly<Record<string, SettingSchemas>>

/** The values of these sections, complete: to be used only if there are no problems. */
export interface LibrarySettings {
  readonly ttldb: SettingsOf<(typeof librarySections)['ttldb']>
  readonly quarantine: SettingsOf<(typeof librarySections)['quarantine']>
  readonly authdaemon: SettingsOf<(typeof librarySections)['authdaemon']>
  readonly problems: readonly ModuleProblem[]
  readonly warnings: readonly ModuleProblem[]
}

/** Checks these sections, as `filterSettings` checks a filter's. */
export function librarySettings(config: ModuleConfig): LibrarySettings {
  const owner = (name: string) => ({ name, alias: name, written: {}, file: '', line: null })
  const ttldb = filterSettings(librarySections.ttldb, config, owner('ttldb'))
  const quarantine = filterSettings(librarySections.quarantine, config, owner('quarantine'))
  const authdaemon = filterSettings(librarySections.authdaemon, config, owner('authdaemon'))
  const all = [ttldb, quarantine, authdaemon]
  return {
    ttldb: ttldb.values,
    quarantine: quarantine.values,
    authdaemon: authdaemon.values,
    problems: all.flatMap(({ problems }) => problems),
    warnings: all.flatMap(({ warnings }) => warnings),
  }
}
