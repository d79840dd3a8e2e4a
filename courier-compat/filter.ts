/**
 * What a filter module is, in types: the contract between the host and a filter's author.
 *
 * A filter needs none of this to run: `doFilter(bodyPath, controlPaths)` alone, returning a string, is a filter. The
 * types let an editor and the compiler check one: `export const doFilter: DoFilter = ...`.
 */
import type { HeaderSection } from './header/section.ts'
import type { MessageReading } from './message/reading.ts'
import type { SettingSchemas, SettingValue } from './setting.ts'
import type { MessageStores, SetupStores } from './stores.ts'

/**
 * What a filter says of a message.
 *
 * Shape: `''` or `undefined`: no decision, the next filter speaks. Else an SMTP-style reply of one or more lines joined
 *        by `\n`: `2xx` accepts and ends this host's chain, `0xx` accepts and ends the mail server's other filters too,
 *        `4xx` and `5xx` refuse. `reply.ts` has helpers that make them.
 */
export type FilterReply = string | undefined

/** Runs over one message. Throwing, or returning anything that is no reply, is a failure, never an acceptance. */
export type DoFilter = (
  bodyPath: string,
  controlPaths: string[],
  context: FilterContext,
) => FilterReply | Promise<FilterReply>

/** Called once per worker thread, before the first message. A throw here keeps the whole chain from serving. */
export type InitFilter = (setup: FilterSetup) => void | Promise<void>

/** Called once per worker thread when it is drained: release what `initFilter` opened. */
export type CloseFilter = () => void | Promise<void>

/** What a failure of this filter means: `defer` answers 451; `pass` goes on, which is logged at every use. */
export type OnError = 'defer' | 'pass'

/**
 * How the filter changes messages: `library` says that it does so through this library alone (recipients, `XFilter`), or
 * never, so that the host need not look at the files after each call; `any` is for everything else.
 */
export type Edits = 'any' | 'library'

/** The exports of a filter module. */
export interface FilterModule {
  doFilter: DoFilter
  initFilter?: InitFilter
  closeFilter?: CloseFilter
  settings?: SettingSchemas
  onError?: OnError
  /** `any` where it is not said. */
  edits?: Edits
  /** What it does, in one line, for `nodefilter filters`. */
  about?: string
}

/** Handed to `initFilter`. `FilterSetup<SettingsOf<typeof settings>>` knows the types of the module's own settings. */
export interface FilterSetup<Settings = Readonly<Record<string, SettingValue>>> {
  /** The module's name, and the name it runs under in this chain (the same unless `as ALIAS` was written). */
  readonly name: string
  readonly alias: string
  /** Checked against the module's `settings` and completed with their defaults; frozen. */
  readonly settings: Settings
  readonly log: FilterLog
  /** A folder of this filter's own that stays across restarts; made (mode 0700) when it is first asked for. */
  readonly state: string
  /** TTL maps and queues, before the first message. */
  readonly stores: SetupStores
}

/** Handed to `doFilter` as third argument. A convenience: everything in it can be had from the paths as well. */
export interface FilterContext {
  /** The mail server's id of the message (control record `M`), or `''` where there is none. */
  readonly id: string
  /** 1, or more when the message runs again because a thread or a runner was lost. */
  readonly attempt: number
  /** Aborted at the filter's time limit: hand it to whatever waits for the network. */
  readonly signal: AbortSignal
  /** Writes to the host's log; every line carries the filter's name and the message's id. */
  readonly log: FilterLog
  /** The envelope and the client, read from the control files at first use, and again after they grew. */
  readonly envelope: Envelope
  readonly client: Client
  /** The message, read at first use, shared by the filters of the chain, and read again after one of them edited it. */
  readonly message: FilterMessage
  /** Shared by the filters of this message, shown in the log's trail. */
  readonly notes: Map<string, string>
  /** Durable queues, and TTL maps: what filters remember, for all threads and after a restart. */
  readonly stores: MessageStores
  /** `stores.ttl` and `stores.queue`, for short. */
  readonly ttl: MessageStores['ttl']
  readonly queue: MessageStores['queue']
}

/** The message as it is at this moment. */
export interface FilterMessage {
  /**
   * Its header section: cheap, however large the message is.
   * Errors: the system's; where a limit was passed, `overLimit` says so.
   */
  readonly header: HeaderSection
  /**
   * Its parts, and what is odd about it. Errors: the system's, Error where it is changed meanwhile, and the reason of the
   * context's signal; never for what a message contains.
   */
  read(): Promise<MessageReading>
}

/** Text lines for the log. Control characters are escaped there, and a flood is cut and counted. */
export interface FilterLog {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
}

/** Who sends to whom (RFC 5321), as the control files say it at this moment. */
export interface Envelope {
  /** `null` is the null sender `<>`. */
  readonly sender: string | null
  readonly recipients: readonly Recipient[]
}

/** One recipient that is still to be delivered to. */
export interface Recipient {
  /** Canonical address, after alias expansion. */
  readonly address: string
  /** The recipient as first written (ORCPT, RFC 3461), or `''`. */
  readonly original: string
  /** NOTIFY flags: a subset of `SFD`, or `N`, or `''` for the default. */
  readonly dsn: string
}

/** Who handed the message to the mail server. */
export interface Client {
  /** IPv4, or IPv6 in compressed lower case; `null` where the control files name none. */
  readonly ip: string | null
  /** The name used for SMTP AUTH, or `null`. */
  readonly authUser: string | null
  /** The mail server's word for where the message came from: `smtp`, `authsmtp`, `local`, `uucp`, `smtp/dsn`, ... */
  readonly source: string
}
