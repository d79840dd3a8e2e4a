/**
 * A test kit for filters: one message, one filter, no mail server and no host.
 *
 *     import { runFilter } from 'nodefilter/testing'
 *     import * as filter from './my_filter.ts'
 *
 *     const { verdict } = await runFilter(filter, 'Subject: hello\n\ntext\n', { settings: { limit: 3 } })
 *
 * `nodefilter test` runs such files wherever they lie.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readControl, readRecipients } from './control.ts'
import { filterMessage } from './filter-message.ts'
import type { FilterContext, FilterLog, FilterReply, FilterSetup } from './filter.ts'
import { parseReply, type Verdict } from './reply.ts'
import { schemaProblems } from './setting/declaration.ts'
import { checkSettings } from './setting/value.ts'
import type { SettingSchemas } from './setting.ts'
import { withStandIns } from './stand-ins.ts'
import type { FakeAuthdaemon } from './testing/fake-authdaemon.ts'
import type { FakeSendmail } from './testing/fake-sendmail.ts'
import { fakeStores, type TestAddition } from './testing/fake-stores.ts'
import { writePair, type TestEnvelope } from './testing/pair.ts'

export { fakeAuthdaemon } from './testing/fake-authdaemon.ts'
export { fakeClock } from './testing/fake-clock.ts'
export { fakeSendmail } from './testing/fake-sendmail.ts'
export { makeMessage } from './testing/message.ts'
export { makePair } from './testing/pair.ts'
export type { FakeAccount, FakeAuthdaemon } from './testing/fake-authdaemon.ts'
export type { FakeClock } from './testing/fake-clock.ts'
export type { TestAddition } from './testing/fake-stores.ts'
export type { FakeSendmail, SentMessage } from './testing/fake-sendmail.ts'
export type { TestAttachment, TestMessageParts, TestEncoding } from './testing/message.ts'
export type { TestEnvelope, TestPair, WrittenPair } from './testing/pair.ts'

/** A filter's module: `import * as filter from './my_filter.ts'`. */
export interface TestedModule {
  readonly doFilter: (bodyPath: string, controlPaths: string[], context: FilterContext) => unknown
  readonly initFilter?: (setup: never) => unknown
  readonly closeFilter?: () => unknown
  readonly settings?: SettingSchemas
}

/** How the filter is started. */
export interface OpenOptions {
  /** As in filters.conf (`'5m'`, `'10MiB'`) or already of their type; checked against the module's `settings`. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Default `filter`; the alias is the same unless given. */
  readonly name?: string
  readonly alias?: string
  /** Where `setup.state` is; a temporary folder unless given. */
  readonly state?: string
  /** What `sendmail` of the library hands its messages to. Without it, Courier's own would be run. */
  readonly sendmail?: FakeSendmail
  /** Whom `getUserInfo` and `openAuthdaemon` ask. Without it, the machine's own. */
  readonly authdaemon?: FakeAuthdaemon
  /** Queues that are there; others have to be made by the filter. TTL maps are empty at first. */
  readonly queues?: readonly string[]
}

/** The envelope of a message, and how often it has run. Everything has a default. */
export interface RunOptions extends TestEnvelope {
  /** `context.attempt`. Default 1. */
  readonly attempt?: number
  /** `context.signal`. Default: one that is never aborted. */
  readonly signal?: AbortSignal
}

/** What one filter made of one message. */
export interface FilterRun {
  /** What it returned, `''` where it returned nothing. */
  readonly reply: string
  readonly verdict: Verdict
  /** Its lines of the log, each with its level: `info: text`. */
  readonly log: readonly string[]
  readonly notes: ReadonlyMap<string, string>
  /** The data file afterwards. */
  readonly content: Buffer
  /** Addresses of the recipients that are left. */
  readonly recipients: readonly string[]
  /** What it added to queues; in the host it would be there if the message is accepted in the end. */
  readonly additions: readonly TestAddition[]
}

/** A filter that was started. */
export interface OpenedFilter {
  /**
   * Runs it over a message, which has LF or CRLF line ends.
   * Errors: what `doFilter` throws; Error where it returns what is no reply; RangeError for an address with a line end.
   */
  run(message: string | Uint8Array, options?: RunOptions): Promise<FilterRun>
  /** Calls `closeFilter` and removes all files. */
  close(): Promise<void>
}

/**
 * Starts a filter as the host does: settings checked and completed, then `initFilter`.
 * Errors: TypeError for a schema or a setting that is wrong, with all that is; what `initFilter` throws.
 */
export async function openFilter(module: TestedModule, options: OpenOptions = {}): Promise<OpenedFilter> {
  const settings = settingsFor(module, options.settings ?? {})
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-test-'))
  const name = options.name ?? 'filter'
  const lines: string[] = []
  const log = logTo(lines)
  const stores = fakeStores(options.queues ?? [])
  const setup: FilterSetup = {
    ...{ name, alias: options.alias ?? name, settings, log, stores: stores.setup },
    get state() {
      const state = options.state ?? join(folder, 'state')
      mkdirSync(state, { recursive: true, mode: 0o700 })
      return state
    },
  }
  const { sendmail, authdaemon } = options
  const standIns = {
    ...(sendmail === undefined ? {} : { sendmail: sendmail.submit }),
    ...(authdaemon === undefined ? {} : { authdaemonSocket: authdaemon.socketPath }),
  }
  let runs = 0
  try {
    await withStandIns(standIns, () => (module.initFilter as ((setup: FilterSetup) => unknown) | undefined)?.(setup))
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true })
    throw thrown
  }
  return {
    run: async (message, { attempt = 1, signal, ...envelope } = {}) => {
      const queueId = `test.${++runs}`
      const { bodyPath, controlPaths } = writePair(join(folder, queueId), message, { ...envelope, queueId })
      const from = lines.length
      const additions: TestAddition[] = []
      const messageStores = stores.forMessage(bodyPath, () => envelopeOf(controlPaths), additions)
      const context: FilterContext = Object.assign(
        contextFor(queueId, bodyPath, controlPaths, attempt, signal ?? new AbortController().signal, log),
        { stores: messageStores, ttl: messageStores.ttl, queue: messageStores.queue },
      )
      const call = (): unknown => module.doFilter(bodyPath, [...controlPaths], context)
      const returned = (await withStandIns(standIns, call)) as FilterReply
      const parsed = parseReply(returned)
      if ('malformed' in parsed) throw new Error(`doFilter ${parsed.malformed}`)
      return {
        ...{ reply: returned ?? '', verdict: parsed.verdict, log: lines.slice(from), notes: context.notes },
        content: readFileSync(bodyPath),
        recipients: readRecipients(controlPaths).flatMap(({ address, done }) => (done ? [] : [address])),
        additions,
      }
    },
    close: async () => {
      try {
        await withStandIns(standIns, () => module.closeFilter?.())
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

/** Starts a filter, runs it over one message, and closes it. Errors: as `openFilter` and `run`. */
export async function runFilter(
  module: TestedModule,
  message: string | Uint8Array,
  options: OpenOptions & RunOptions = {},
): Promise<FilterRun> {
  const { settings, name, alias, state, sendmail, authdaemon, queues, ...run } = options
  const opening = { settings, name, alias, state, sendmail, authdaemon, queues }
  const given = Object.fromEntries(Object.entries(opening).filter(([, value]) => value !== undefined))
  const opened = await openFilter(module, given)
  try {
    return await opened.run(message, run)
  } finally {
    await opened.close()
  }
}

function settingsFor(module: TestedModule, raw: Readonly<Record<string, unknown>>): FilterSetup['settings'] {
  const schema: SettingSchemas = module.settings ?? {}
  const faults = schemaProblems(schema)
  if (faults.length > 0) throw new TypeError(faults.join('; '))
  const { values, problems } = checkSettings(schema, raw)
  if (problems.length > 0) throw new TypeError(problems.map(({ key, text }) => `${key}: ${text}`).join('; '))
  return values
}

function contextFor(
  id: string,
  bodyPath: string,
  controlPaths: readonly string[],
  attempt: number,
  signal: AbortSignal,
  log: FilterLog,
): Omit<FilterContext, 'stores' | 'ttl' | 'queue'> {
  return {
    ...{ id, attempt, signal, log, notes: new Map<string, string>() },
    message: filterMessage(bodyPath, () => signal),
    get envelope() {
      const { sender, recipients } = readControl(controlPaths)
      return { sender, recipients }
    },
    get client() {
      const { clientIp, authUser, source } = readControl(controlPaths)
      return { ip: clientIp, authUser, source }
    },
  }
}

function envelopeOf(controlPaths: readonly string[]) {
  const { sender, recipients } = readControl(controlPaths)
  return { sender, recipients: recipients.map(({ address }) => address) }
}

function logTo(lines: string[]): FilterLog {
  const put = (level: string) => (text: string) => void lines.push(`${level}: ${text}`)
  return { info: put('info'), warn: put('warn'), error: put('error') }
}
