/**
 * Bounces and quarantine notices: drafted here, sent by whom the application chooses, best from the outbox.
 *
 *     const notices = await openNotices(depot, { from: 'postmaster@example.com' })
 *     const drafted = await notices.bounce(delivery, { reason: 'There is no such project.' })
 *     await delivery.ack({ add: drafted.ok ? [drafted.entry] : [] })
 *
 * Source: spec postoffice 14.
 */
import { canonical, parseAddressList, type Address } from '../../courier-compat/addresses.ts'
import { fieldsNamed, type HeaderSection } from '../../courier-compat/header/section.ts'
import type { OpenedDepot } from '../depot.ts'
import type { Entry, StoredMessage } from '../depot-types.ts'
import { DepotError } from '../errors.ts'
import { depotPort, openTtlMaps, type TtlClock } from '../ttl/index.ts'
import { silences, whoToTell, type Silence } from './answerable.ts'
import { composeNotice, composeOwn, type NoticeKind, type NoticeOrder } from './compose.ts'
import { openOutbox, outboxEntry, type OutboxEntry } from './outbox.ts'
import { originalOf, readHeader } from './original.ts'
import type { OutgoingMail } from './outgoing.ts'
import { markField, openSeal } from './seal.ts'
import { noticeLanguages, type NoticeLanguage, type NoticeTexts } from './texts.ts'

/** A message of a queue: a delivery, or an entry with its content. */
export interface HeldMessage extends Pick<Entry, 'id' | 'envelope' | 'facts' | 'addedMs'> {
  readonly message: StoredMessage
}

/** How notices are written. */
export interface NoticeOptions {
  /** Who writes them: `postmaster@example.com`, `"Support" <support@example.com>`. Errors: RangeError for anything but one address. */
  readonly from: string
  /** A language that is there, or words of your own; `en`. */
  readonly language?: NoticeLanguage | NoticeTexts
  /** Further addresses of ours that are never told anything; `from` is one anyway. */
  readonly roleAddresses?: readonly string[]
  /** Our domains, whose role addresses are never told anything; that of `from`. */
  readonly domains?: readonly string[]
  /** Our name in the report; the domain of `from`. */
  readonly host?: string
  /** One recipient gets a notice in so many seconds, whatever it is about; 86,400. 0: each time. */
  readonly everySeconds?: number
  /** Handed in by tests. */
  readonly clock?: TtlClock
}

/** What is written in a bounce. */
export interface BounceOptions extends Partial<NoticeOptions> {
  /** For its author, in as many lines as it needs; otherwise a sentence that says little. */
  readonly reason?: string | null
  /** RFC 3463, of class 5; `5.6.0`: the content is at fault. */
  readonly status?: string
  /** A whole message of your own instead: what is missing in its header section is added. */
  readonly bounceMessage?: string | Uint8Array | null
}

/** A notice that may be sent, or why none is. */
export type Drafted =
  | {
      readonly ok: true
      readonly id: string
      readonly mail: OutgoingMail & { readonly message: Buffer }
      /** Puts it into the outbox: for `ack({ add: [entry] })`. */
      readonly entry: OutboxEntry
    }
  | { readonly ok: false; readonly why: Silence; readonly text: string }

/** The notices of a depot. Errors: those of the depot; RangeError for options that are wrong. */
export interface Notices {
  /**
   * Drafts a bounce. That its recipient was told counts from now on; drafted again for the same message, after a crash for
   * instance, it is the same notice.
   * Errors: RangeError also where both a reason and a message of your own are given.
   */
  bounce(held: HeldMessage & { readonly queue: string }, options?: BounceOptions): Promise<Drafted>
  /** Drafts the notice that a message lies in the quarantine and will be tried again. */
  quarantined(held: HeldMessage & { readonly queue: string }, options?: Partial<NoticeOptions>): Promise<Drafted>
  /** True if this message is a notice that this depot wrote: its mark is signed with the depot's key. */
  isOurs(header: HeaderSection): boolean
}

/** The TTL map of those who were told. */
const toldMap = 'notices.told'
/** So many forgotten keys are removed at each notice: more than it adds. */
const sweptAtOnce = 16
const daySeconds = 86_400

/** Opens the notices of a depot, and makes its outbox. Errors: those of the depot; RangeError for options that are wrong. */
export async function openNotices(depot: OpenedDepot, options: NoticeOptions): Promise<Notices> {
  const notices = await openDrafts(depot, options)
  await openOutbox(depot)
  return notices
}

/** The same for whoever sends at once, and needs no outbox. */
export async function openDrafts(depot: OpenedDepot, defaults: NoticeOptions): Promise<Notices> {
  authorOf(defaults.from)
  const seal = await openSeal(depot.core)
  const port = depotPort(depot.core.environment)

  const draft = async (
    kind: NoticeKind,
    held: HeldMessage & { readonly queue: string },
    more: BounceOptions,
  ): Promise<Drafted> => {
    const options: NoticeOptions & BounceOptions = { ...defaults, ...more }
    const {
      language = 'en',
      reason = null,
      status = '5.6.0',
      bounceMessage = null,
      everySeconds = daySeconds,
    } = options
    if (reason !== null && bounceMessage !== null) {
      throw new RangeError('a bounce has a reason or a message of your own, not both')
    }
    const from = authorOf(options.from)
    const header = await readHeader(held.message)
    const told = whoToTell(header, held, ownAddresses(options, from.address))
    if (!told.ok) return silent(told.why)
    const maps = openTtlMaps(port, { sweep: null, ...(options.clock === undefined ? {} : { clock: options.clock }) })
    const id = seal.idFor(kind, held.queue, held.id)
    const to = told.address
    const nowMs = options.clock?.wallMs() ?? Date.now()
    const order: NoticeOrder = {
      ...{ kind, from, to, reason, status, id, nowMs, arrivedMs: held.addedMs },
      original: originalOf(header, held.envelope),
      texts: typeof language === 'string' ? textsOf(language) : language,
      host: options.host ?? from.address.domain,
      mark: seal.markFor(id),
    }
    // Composed before it counts: what cannot be written is not taken for sent.
    const message = bounceMessage === null ? composeNotice(order) : composeOwn(octetsOf(bounceMessage), order)
    if (everySeconds > 0) {
      const map = maps.ttlMap(toldMap, { ttlMs: Math.round(1000 * everySeconds) })
      const { isNew, value } = await map.firstSeen(canonical(to).toLowerCase(), id)
      // That it is remembered does not depend on the sweep.
      await maps.sweep(sweptAtOnce).catch(() => undefined)
      // The same notice again: nobody knows whether it went out, so it does.
      if (!isNew && value !== id) return silent('recently')
    }
    const mail = { from: null, to: [canonical(to)], message }
    const facts = { notice: kind, queue: held.queue, message: held.id }
    return { ok: true, id, mail, entry: outboxEntry(mail, { key: id, facts }) }
  }

  return {
    bounce: (held, options = {}) => draft('bounce', held, options),
    quarantined: (held, options = {}) => draft('quarantine', held, options),
    isOurs: (header) => fieldsNamed(header, markField).some(({ value }) => seal.isOurs(value)),
  }
}

function silent(why: Silence): Drafted {
  return { ok: false, why, text: silences[why] }
}

function authorOf(text: string): { readonly name: string | null; readonly address: Address } {
  const list = parseAddressList(text)
  const [author, other] = list.ok ? list.mailboxes : []
  if (author === undefined || other !== undefined) throw new RangeError(`notices are not from one address: ${text}`)
  return author
}

/** Errors: RangeError for a language that is not there, of a caller without types. */
function textsOf(language: NoticeLanguage): NoticeTexts {
  if (!Object.hasOwn(noticeLanguages, language)) throw new RangeError(`notices are not written in ${language}`)
  return noticeLanguages[language]
}

function ownAddresses({ roleAddresses = [], domains }: NoticeOptions, from: Address) {
  return {
    domains: new Set((domains ?? [from.domain]).map((domain) => domain.toLowerCase())),
    addresses: new Set([...roleAddresses, canonical(from)].map((address) => address.toLowerCase())),
  }
}

function octetsOf(message: string | Uint8Array): Uint8Array {
  return typeof message === 'string' ? Buffer.from(message) : message
}

/** Errors: DEPOT_OPTION where the application asked for a notice and named nobody who writes it. */
export function demandAuthor(from: string | null): asserts from is string {
  if (from === null) throw new DepotError('DEPOT_OPTION', 'a notice is to be sent, but not who writes it')
}
