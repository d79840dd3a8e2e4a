/**
 * The quarantine: messages kept aside, their recipients told, released by mail or by command, removed when their time is
 * over.
 *
 *     let quarantine
 *     export async function initFilter() {
 *       quarantine = await openQuarantine()
 *     }
 *     export async function doFilter(bodyPath, controlPaths, { signal }) {
 *       if (!isHarmful(bodyPath)) return ''
 *       const { reply } = await quarantine.keep({ bodyPath, controlPaths, reason: 'harmful', signal })
 *       return reply
 *     }
 *
 * Source: spec pythonfilter 3.2; spec reliability P1, R48, R50, R58; docs/quarantine.md.
 */
import type { Readable } from 'node:stream'
import { me } from './config.ts'
import type { FilterLog } from './filter.ts'
import { openFolder, type QuarantineFiles } from './quarantine/folder.ts'
import { keepMessage, type Kept, type KeepOrder } from './quarantine/keep.ts'
import {
  listEntries,
  openMessage,
  rebuildIndex,
  showEntry,
  type ListedEntry,
  type Listing,
} from './quarantine/listing.ts'
import type { Place, Submit } from './quarantine/place.ts'
import { purgeMessages, type Purged, type PurgeOrder } from './quarantine/purge.ts'
import { siteidProblem } from './quarantine/release-address.ts'
import {
  releaseByMail,
  releaseMessage,
  type MailRelease,
  type MailRequest,
  type Released,
  type ReleaseOrder,
} from './quarantine/release.ts'
import { openSeal } from './quarantine/seal.ts'
import { loadQuarantineSettings, type QuarantineSettings } from './quarantine/settings.ts'
import { sendmail } from './sendmail.ts'

export { loadQuarantineSettings } from './quarantine/settings.ts'
export type { Kept, KeepOrder } from './quarantine/keep.ts'
export type { ListedEntry, Listing } from './quarantine/listing.ts'
export type { Submit } from './quarantine/place.ts'
export type { Purged, PurgeOrder } from './quarantine/purge.ts'
export type { MailRelease, MailRequest, Released, ReleaseOrder } from './quarantine/release.ts'
export type { QuarantineSettings } from './quarantine/settings.ts'

/** How a quarantine is opened; everything has a default. */
export interface QuarantineOptions {
  /** Default: section `[quarantine]` of this machine's files, as the host that runs the filter has them. */
  readonly settings?: QuarantineSettings
  /** Sends notices and released messages. Default: Courier's `sendmail`. */
  readonly submit?: Submit
  /** `setup.log`, for instance. Default: nothing is told. */
  readonly log?: Pick<FilterLog, 'info' | 'warn'>
  /** The mail server's name, in addresses. Default: Courier's `me`. */
  readonly me?: () => string
  /** Of all messages together: when it is reached, `keep` throws. Default: no bound but the disk's. */
  readonly maxOctets?: number
  /** ms since the epoch. */
  readonly nowMs?: () => number
  /** For tests that make an operation fail. */
  readonly files?: QuarantineFiles
}

/** An opened quarantine. Several processes and threads may have the same one open. */
export interface Quarantine {
  /** Its folder. */
  readonly dir: string
  /**
   * Keeps a message, or keeps it from some of its recipients, and tells them: `keep({ bodyPath, controlPaths, reason })`.
   *
   * Shape:  `reply` is what `doFilter` returns. The recipients are marked complete in the control files, so the mail server
   *         delivers to none of them. The same message, brought again after a failure, is known again and kept once.
   *         A message that is just being released is not kept: `id` is `null`, `reply` `''`.
   * Errors: whatever went wrong at any step: let it go on, so that the mail server hears 451. RangeError for a recipient
   *         who is not to be delivered to.
   */
  keep(order: KeepOrder): Promise<Kept>
  /** Everything in it, pythonfilter's messages as well, the oldest first. */
  list(): Promise<Listing>
  /** One message; `null` where there is none. Errors: RangeError for what is no id; Error for a damaged entry. */
  show(id: string): Promise<ListedEntry | null>
  /** A kept message, octet for octet; `null` where there is none. Errors: as `show`. */
  read(id: string): Promise<Readable | null>
  /** Submits a message to recipients that it was kept from. `null` where there is none. Errors: as `show`. */
  release(id: string, order: ReleaseOrder): Promise<Released[] | null>
  /** Answers a request that came to a release address. */
  releaseByMail(request: MailRequest): Promise<MailRelease>
  /** Removes what is over. */
  purge(order: PurgeOrder): Promise<Purged>
  /** Makes the index again from the entries. */
  rebuild(): Promise<{ readonly count: number; readonly problems: readonly string[] }>
}

/**
 * Opens the quarantine: in `initFilter`, so that a folder that cannot be used is found at the start.
 *
 * Errors: ModuleConfigError for settings that are wrong; Error for a folder that is missing in the settings, is a link,
 *         belongs to another user than this process's, or may be written by everybody.
 */
export async function openQuarantine(options: QuarantineOptions = {}): Promise<Quarantine> {
  const { settings = loadQuarantineSettings(), log = silent, maxOctets = null } = options
  if (settings.dir === null) throw new Error('there is no quarantine: set dir in section [quarantine]')
  const wrong = siteidProblem(settings.siteid)
  if (wrong !== null) throw new Error(`[quarantine] ${wrong}`)
  const folder = openFolder(settings.dir, process.geteuid?.() ?? -1, options.files)
  const warning = await folder.check()
  if (warning !== null) log.warn(warning)
  const place: Place = {
    ...{ folder, settings, log, seal: await openSeal(folder), submit: options.submit ?? sendmail },
    ...{ me: options.me ?? (() => me()), nowMs: options.nowMs ?? Date.now },
  }
  return {
    dir: settings.dir,
    keep: (order) => keepMessage(place, order, maxOctets),
    list: () => listEntries(place),
    show: (id) => showEntry(place, id),
    read: (id) => openMessage(place, id),
    release: (id, order) => releaseMessage(place, id, order),
    releaseByMail: (request) => releaseByMail(place, request),
    purge: (order) => purgeMessages(place, order),
    rebuild: () => rebuildIndex(place),
  }
}

const silent = { info: () => undefined, warn: () => undefined }
