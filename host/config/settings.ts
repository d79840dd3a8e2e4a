/**
 * The host's settings, declared once: from this table come their check, their types and their documentation.
 *
 * Pure: no clock, socket, file or logger.
 */
import { messageLimitSettings } from '../../courier-compat/message/limits.ts'
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { checkSettings } from '../../courier-compat/setting/value.ts'
import type { SettingOf } from '../../courier-compat/setting/value.ts'
import type { SettingSchema, SettingSchemas, SettingValue } from '../../courier-compat/setting.ts'
import { isLocalAddress, parseListenAddress } from './listen-address.ts'

/** The sections of nodefilter.conf and their settings, as administrators write them. Deeply frozen. */
export const hostSchemas = deepFreeze({
  host: {
    state_dir: {
      type: 'path',
      default: null,
      text: 'Folder of the control socket and the lock; /var/lib/nodefilter for the daemon unless set.',
    },
    deadline: {
      type: 'duration',
      default: '60s',
      min: '10ms',
      max: '10m',
      text: 'A message that has no verdict this long after it came is answered 451.',
    },
    grace: {
      type: 'duration',
      default: '8s',
      min: '0s',
      max: '14s',
      text: 'How long messages in hand may take to finish at a stop; Courier itself waits 15 s.',
    },
    max_waiting: {
      type: 'count',
      default: 500,
      min: 1,
      max: 100_000,
      text: 'How many messages may wait for a thread; one more is answered 451.',
    },
    when_broken: {
      type: 'choice',
      default: 'defer',
      choices: ['defer', 'pass'],
      text: 'What mail hears from a host that was started with a broken configuration.',
    },
    on_poison: {
      type: 'choice',
      default: 'defer',
      choices: ['defer', 'pass', 'reject'],
      text: 'What a message hears that has ended threads or runners [runner] poison_limit times, and is not run any more.',
    },
  },
  runner: {
    threads: {
      type: 'count',
      default: null,
      min: 1,
      max: 256,
      text: 'Worker threads that run filters; the number of cores, at least 2, unless set.',
    },
    messages_per_thread: {
      type: 'count',
      default: 16,
      min: 1,
      max: 1000,
      text: 'How many messages one thread may have in hand while they wait for the network.',
    },
    blocked_limit: {
      type: 'duration',
      default: '2s',
      min: '300ms',
      max: '60s',
      text: 'A thread whose event loop has not turned for this long is replaced.',
    },
    max_heap: {
      type: 'size',
      default: '256MiB',
      min: '16MiB',
      max: '16GiB',
      text: 'The JavaScript heap that one worker thread may use.',
    },
    max_memory: {
      type: 'size',
      default: null,
      min: '64MiB',
      max: '1024GiB',
      text: 'A runner that uses more with all that its filters started is ended at once; unless set, what its threads may use, at most three quarters of the machine.',
    },
    recycle_memory: {
      type: 'size',
      default: null,
      min: '32MiB',
      max: '1024GiB',
      text: 'A runner that uses more is replaced by a fresh one, and finishes what it has; unless set, what its threads need and most of one heap.',
    },
    max_messages: {
      type: 'count',
      default: 1_000_000,
      min: 0,
      max: 1_000_000_000,
      text: 'A runner that has answered so many messages is replaced in the same way; 0 is never.',
    },
    cgroup: {
      type: 'choice',
      default: 'auto',
      choices: ['auto', 'off'],
      text: 'Whether each runner gets a control group of its own, where the machine permits that; then the kernel holds max_memory.',
    },
    poison_limit: {
      type: 'count',
      default: 3,
      min: 1,
      max: 100,
      text: 'A message that has ended so many threads or runners is not run any more; [host] on_poison says what it hears.',
    },
    poison_memory: {
      type: 'duration',
      default: '24h',
      min: '1s',
      max: '30d',
      text: 'How long a message is remembered after it has ended a thread or a runner.',
    },
    start_limit: {
      type: 'duration',
      default: '30s',
      min: '100ms',
      max: '10m',
      text: 'How long loading the filters may take, their initFilter included.',
    },
  },
  chain: {
    list: {
      type: 'path',
      default: null,
      text: 'The filter list; filters.conf in the folder of nodefilter.conf unless set.',
    },
    modules: {
      type: 'list',
      default: [],
      text: 'Files with the settings of filters, later ones over earlier ones; modules.conf in the folder of nodefilter.conf unless set.',
    },
    filter_path: {
      type: 'list',
      default: [],
      text: 'Absolute folders in which filters are looked for before the bundled ones, the first one first.',
    },
    time_limit: {
      type: 'duration',
      default: '30s',
      min: '10ms',
      max: '10m',
      text: 'How long a filter may take over one message, where its line in the list says nothing else.',
    },
  },
  courierfilter: {
    enabled: { type: 'switch', default: true, text: "Whether Courier's filter socket is opened." },
    directory: {
      type: 'path',
      default: null,
      text: 'Folder of the socket; allfilters below the localstatedir that courier-config names unless set.',
    },
    spool_dir: {
      type: 'path',
      default: null,
      text: 'Folder below which the files of messages lie; tmp below the same localstatedir unless set.',
    },
    max_connections: {
      type: 'count',
      default: 1000,
      min: 1,
      max: 50_000,
      text: 'How many connections may be open; one more is closed, which Courier hears as 432.',
    },
    request_limit: {
      type: 'size',
      default: '256KiB',
      min: '4KiB',
      max: '16MiB',
      text: 'The longest request; a request names the files of one message.',
    },
    request_timeout: {
      type: 'duration',
      default: '10s',
      min: '10ms',
      max: '5m',
      text: 'How long a connection may take to send its request.',
    },
    on_failure: {
      type: 'choice',
      default: 'defer',
      choices: ['defer', 'pass'],
      text: 'What a failure of the host or a filter means for mail that came from outside.',
    },
    on_failure_local: {
      type: 'choice',
      default: 'pass',
      choices: ['defer', 'pass'],
      text: 'The same for local mail and forwards, where Courier turns any refusal into a bounce.',
    },
    on_failure_dsn: {
      type: 'choice',
      default: 'pass',
      choices: ['defer', 'pass'],
      text: 'The same for delivery notices, which Courier itself would send again for days.',
    },
  },
  log: {
    level: {
      type: 'choice',
      default: 'info',
      choices: ['error', 'warn', 'info', 'debug'],
      text: 'Events of this level and of graver ones are logged.',
    },
    file: {
      type: 'path',
      default: null,
      text: 'A file for the log as JSON lines, beside the text on standard error; none unless set.',
    },
    max_buffer: {
      type: 'size',
      default: '1MiB',
      min: '64KiB',
      max: '256MiB',
      text: 'How much of the log may wait to be written; beyond it lines are dropped and counted.',
    },
    lines_per_second: {
      type: 'count',
      default: 100,
      min: 1,
      max: 10_000,
      text: "How many lines of one filter's own output are kept in a second; more are dropped and counted.",
    },
  },
  message: messageLimitSettings,
  store: {
    directory: {
      type: 'path',
      default: null,
      text: 'Folder of the depot, with the queues and TTL maps of filters; depot in the state folder unless set. Made when a filter first uses it.',
    },
    max_size: {
      type: 'size',
      default: null,
      min: '1MiB',
      max: '1048576GiB',
      text: 'Messages of all queues together; what would go beyond is refused, and its message answered 451. No limit unless set.',
    },
    inside_size: {
      type: 'size',
      default: '64KiB',
      min: '0',
      max: '16MiB',
      text: 'Messages of up to this size are kept in the tables, longer ones in files beside them.',
    },
    group: {
      type: 'text',
      default: null,
      text: "Name or number of the group whose members share a new depot, beside the host's own user, who must be one of them; nobody else unless set. They cannot enter the state folder: set directory, too.",
    },
    mode: {
      type: 'choice',
      default: 'auto',
      choices: ['auto', '0600', '0660'],
      text: 'Of the files of a new depot: 0660 lets the group in, and without group the one that new files in its folder get; 0600 nobody but the host; auto as group says.',
    },
  },
  metrics: {
    listen: {
      type: 'text',
      default: 'off',
      text: 'Where metrics, health and readiness are told over HTTP: 127.0.0.1:9125, [::1]:9125, the path of a Unix socket, or off.',
    },
    allow_remote: {
      type: 'switch',
      default: false,
      text: 'Whether listen may be an address that other machines can reach: whoever connects may read, without a password.',
    },
  },
} as const satisfies Readonly<Record<string, SettingSchemas>>)

/** `max_waiting` -> `maxWaiting`: the name of a setting in TypeScript and in log fields. */
export type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name

type InCamelCase<Table extends SettingSchemas> = {
  readonly [Key in keyof Table & string as CamelCase<Key>]: SettingOf<Table[Key]>
}

/** The host's settings, checked: durations in ms, sizes in octets; deeply frozen. */
export type HostSettings = {
  readonly [Section in keyof typeof hostSchemas as CamelCase<Section>]: InCamelCase<(typeof hostSchemas)[Section]>
}

/** A problem with one setting, or with a whole section (`key` is `null`). */
export interface HostSettingProblem {
  readonly section: string
  readonly key: string | null
  readonly text: string
  readonly cure: string | null
}

/**
 * Checks what was written, by section and key.
 *
 * Shape: `settings` is complete whatever was written: the default stands wherever a value is missing or faulty. It is the
 *        configuration only if `problems` is empty; else it is what is left of one, enough to open the doors and say so.
 */
export function checkHostSettings(raw: Readonly<Record<string, Readonly<Record<string, unknown>>>>): {
  readonly settings: HostSettings
  readonly problems: readonly HostSettingProblem[]
  readonly warnings: readonly HostSettingProblem[]
} {
  const problems: HostSettingProblem[] = []
  const sections: [string, unknown][] = []
  for (const [section, schemas] of Object.entries<SettingSchemas>(hostSchemas)) {
    const checked = checkSettings(schemas, writtenIn(raw, section))
    for (const { key, text } of checked.problems) {
      const home = Object.entries<SettingSchemas>(hostSchemas).find(
        ([other, table]) => other !== section && Object.hasOwn(table, key),
      )
      const cure = home === undefined || Object.hasOwn(schemas, key) ? null : `it belongs into [${home[0]}]`
      problems.push({ section, key, text, cure })
    }
    const values: [string, unknown][] = Object.entries(checked.values)
    sections.push([section, Object.fromEntries(values.map(([key, value]) => [camelCase(key), value]))])
  }
  for (const section of Object.keys(raw)) {
    if (Object.hasOwn(hostSchemas, section)) continue
    const cure = didYouMean(section, Object.keys(hostSchemas))
    problems.push({ section, key: null, text: `unknown section ${quoted(section)}`, cure })
  }
  const settings = Object.fromEntries(sections) as HostSettings
  const strays = { filter_path: straysAmong(settings.chain.filterPath), modules: straysAmong(settings.chain.modules) }
  for (const [key, paths] of Object.entries(strays)) {
    for (const path of paths) {
      const text = `${quoted(path)} is no absolute path: it begins with /`
      problems.push({ section: 'chain', key, text, cure: null })
    }
  }
  const { listen, allowRemote } = settings.metrics
  const listening = parseListenAddress(listen)
  const listenProblem =
    'problem' in listening
      ? { text: listening.problem, cure: null }
      : listening.address === null || allowRemote || isLocalAddress(listening.address)
        ? null
        : {
            text: `${quoted(listen)} can be reached from other machines`,
            cure: 'write 127.0.0.1 or [::1], or allow it with allow_remote = yes',
          }
  if (listenProblem !== null) problems.push({ section: 'metrics', key: 'listen', ...listenProblem })
  const warnings: HostSettingProblem[] = []
  if (settings.chain.timeLimit > settings.host.deadline && Object.hasOwn(writtenIn(raw, 'chain'), 'time_limit')) {
    const text = "is longer than [host] deadline, so the message's deadline always comes first"
    warnings.push({ section: 'chain', key: 'time_limit', text, cure: null })
  }
  const { group, mode, directory } = settings.store
  if (group !== null && mode === '0600')
    problems.push({
      ...{ section: 'store', key: 'mode', text: `"0600" does not let the group ${quoted(group)} in` },
      cure: 'write 0660, or leave group out',
    })
  if ((group !== null || mode === '0660') && directory === null) {
    const text = 'shares a depot that lies in the state folder, which nobody but the host can enter'
    warnings.push({ section: 'store', key: group === null ? 'mode' : 'group', text, cure: 'set [store] directory' })
  }
  const chain = {
    ...settings.chain,
    filterPath: strays.filter_path.length === 0 ? settings.chain.filterPath : [],
    modules: strays.modules.length === 0 ? settings.chain.modules : [],
  }
  const metrics = listenProblem === null ? settings.metrics : { ...settings.metrics, listen: 'off' }
  return { settings: deepFreeze({ ...settings, chain, metrics }), problems, warnings }
}

function straysAmong(paths: readonly string[]): string[] {
  return paths.filter((path) => !path.startsWith('/') || path.includes('\0'))
}

/** Every setting with its declaration and its value, as `section.key`, in the order of the declarations. */
export function hostSettingList(
  settings: HostSettings,
): { readonly name: string; readonly schema: SettingSchema; readonly value: SettingValue }[] {
  const values = settings as unknown as Readonly<Record<string, Readonly<Record<string, SettingValue>>>>
  return Object.entries<SettingSchemas>(hostSchemas).flatMap(([section, schemas]) =>
    Object.entries(schemas).map(([key, schema]) => ({
      ...{ name: `${section}.${key}`, schema },
      value: values[section]?.[camelCase(key)] ?? null,
    })),
  )
}

function writtenIn(raw: Readonly<Record<string, Readonly<Record<string, unknown>>>>, section: string) {
  return Object.hasOwn(raw, section) ? (raw[section] ?? {}) : {}
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function deepFreeze<const Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
