/**
 * Who is told what became of a message, or why nobody is: two programs that answer each other never end, and an answer to a
 * forged sender is one more piece of unwanted mail.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 14; RFC 3834 2 (when not to answer), RFC 2142 (role addresses), RFC 2919 and 2369 (lists),
 *         [MS-OXCMAIL] 2.1.3.2.20 (X-Auto-Response-Suppress).
 */
import { canonical, headerAddresses, parseAddress, type Address } from '../../courier-compat/addresses.ts'
import { fieldsNamed, type HeaderSection } from '../../courier-compat/header/section.ts'
import type { Entry, Envelope, Json } from '../depot-types.ts'

/** Why nobody is told. */
export const silences = {
  'null-sender': 'it was sent by the null sender, which nobody answers',
  'own-notice': 'it is a notice of ours that came back',
  automatic: 'it was sent by a program',
  bulk: 'it is list or bulk mail',
  role: 'it comes from an address of ours that writes no mail by itself',
  'no-address': 'there is nobody in it who could be told',
  recently: 'its sender was told of something a short time ago',
} as const

/** Why nobody is told. */
export type Silence = keyof typeof silences

/** Addresses of ours. */
export interface OwnAddresses {
  /** In lower case. */
  readonly domains: ReadonlySet<string>
  /** As `canonical` has them, in lower case. */
  readonly addresses: ReadonlySet<string>
}

/** The answer. */
export type Addressed =
  { readonly ok: true; readonly address: Address } | { readonly ok: false; readonly why: Exclude<Silence, 'recently'> }

/** Local parts behind which there are programs, or people who keep these programs running. */
const roles = new Set([
  ...['postmaster', 'mailer-daemon', 'abuse', 'hostmaster', 'webmaster', 'noc', 'security', 'root', 'daemon'],
  ...['nobody', 'noreply', 'no-reply', 'bounce', 'bounces'],
])

/** Who is to be told about this message. */
export function whoToTell(
  header: HeaderSection,
  { envelope, facts }: Pick<Entry, 'envelope' | 'facts'>,
  own: OwnAddresses,
): Addressed {
  const first = (name: string): string | null => fieldsNamed(header, name)[0]?.value.trim().toLowerCase() ?? null
  const silent = (why: Exclude<Silence, 'recently'>): Addressed => ({ ok: false, why })

  // Signed or not: mail that says so is not answered by us.
  if (fieldsNamed(header, 'X-Postoffice').some(({ value }) => /^Bounced(?:$|\s*;)/.test(value))) {
    return silent('own-notice')
  }
  const { address, isNull } = addressOf(header, envelope)
  if (isNull) return silent('null-sender')
  if (/^(?:bulk|list|junk)$/.test(first('Precedence') ?? '')) return silent('bulk')
  if (header.fields.some(({ name }) => /^list-/i.test(name))) return silent('bulk')
  if (isMarked(facts) || isAutomatic(first)) return silent('automatic')
  if (address === null) return silent('no-address')
  const isRole = own.domains.has(address.domain) && roles.has(address.local.toLowerCase())
  if (isRole || own.addresses.has(canonical(address).toLowerCase())) return silent('role')
  return { ok: true, address }
}

/** The envelope's sender, as it was told or as the mail server wrote it into Return-Path; else Reply-To, else From. */
function addressOf(header: HeaderSection, envelope: Envelope | null): { address: Address | null; isNull: boolean } {
  const written = envelope === null ? (fieldsNamed(header, 'Return-Path')[0]?.value ?? null) : envelope.sender
  if (envelope !== null && written === null) return { address: null, isNull: true }
  if (written !== null) {
    if (/^<?\s*>?$/.test(written)) return { address: null, isNull: true }
    const sender = parseAddress(written, { brackets: true })
    if (sender.ok) return { address: sender.address, isNull: false }
    // Somebody sent it, and that is all that can be told: others who are named in it did not.
    if (envelope !== null) return { address: null, isNull: false }
  }
  for (const name of ['Reply-To', 'From']) {
    const list = headerAddresses(header, name)
    if (!list.ok) return { address: null, isNull: false }
    const [mailbox] = list.mailboxes
    if (mailbox !== undefined) return { address: mailbox.address, isNull: false }
  }
  return { address: null, isNull: false }
}

function isAutomatic(first: (name: string) => string | null): boolean {
  const submitted = first('Auto-Submitted')
  if (submitted !== null && !/^no(?![^\s;(])/.test(submitted)) return true
  const suppressed = (first('X-Auto-Response-Suppress') ?? '').split(/[\s,;]+/)
  if (suppressed.some((word) => /^(?:all|autoreply|oof|ndr)$/.test(word))) return true
  if (['X-Autoreply', 'X-Autorespond'].some((name) => !['no', null].includes(first(name)))) return true
  if (first('Precedence') === 'auto_reply' || first('X-Apple-Action') === 'vacation') return true
  return /^multipart\/report(?![^\s;(])/.test(first('Content-Type') ?? '')
}

/** What the post office found when it sorted the message. */
function isMarked(facts: Entry['facts']): boolean {
  const marks: Json | undefined = facts['marks']
  return Array.isArray(marks) && marks.includes('Auto-response')
}
