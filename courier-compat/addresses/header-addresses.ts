/**
 * The addresses in the fields of a header section, and the one that wrote the message.
 *
 * Pure: no clock, socket, file or logger. These are addresses of the header section, which the sender wrote as he liked; who
 * sends and who receives is in the envelope.
 */
import { fieldsNamed, type HeaderField, type HeaderSection } from '../header/section.ts'
import { addressLimits, type AddressLimits } from './limits.ts'
import { parseAddressList, type AddressList, type Group, type Mailbox } from './list.ts'
import { refuse, type Refusal } from './refusal.ts'

/** What is looked at of a header section. */
export type AddressFields = Pick<HeaderSection, 'fields' | 'overLimit'>

/** No answer for some field. */
export interface FieldRefusal extends Refusal {
  /** `at` counts from the beginning of its `valueBytes`; `null` where not all fields of the section were read. */
  readonly field: HeaderField | null
}

/**
 * The addresses of all fields of this name together, letter case of the name aside.
 *
 * Shape: an answer for all of them or a refusal. No such field is an empty list.
 */
export function headerAddresses(
  section: AddressFields,
  name: string,
  limits: AddressLimits = addressLimits,
): AddressList | FieldRefusal {
  if (section.overLimit !== null) return { ...refuse('too-long', 0), field: null }
  const entries: (Mailbox | Group)[] = []
  const mailboxes: Mailbox[] = []
  for (const field of fieldsNamed(section, name)) {
    const list = parseAddressList(field.valueBytes, { ...limits, addresses: limits.addresses - mailboxes.length })
    if (!list.ok) return { ...list, field }
    for (const entry of list.entries) entries.push(entry)
    for (const mailbox of list.mailboxes) mailboxes.push(mailbox)
  }
  return { ok: true, entries, mailboxes }
}

/** Why there is no single author. */
export const authorFaults = {
  none: 'there is no From with an address in it',
  'several-fields': 'there are several From fields',
  'several-mailboxes': 'there are several addresses in From',
  unreadable: 'From cannot be read for certain',
  'over-limit': 'the header section is larger than what is read',
} as const

/** Why there is no single author. */
export type AuthorFault = keyof typeof authorFaults

/** The author of a message as its header section has it. */
export type Author =
  | { readonly ok: true; readonly mailbox: Mailbox }
  | {
      readonly ok: false
      readonly reason: AuthorFault
      /** The reason as a sentence for a log line; never text of the message. */
      readonly text: string
      /** For `unreadable`: what is wrong. */
      readonly refusal: FieldRefusal | null
    }

/**
 * The one mailbox in From.
 *
 * Shape: an answer only where every program must see this one. What to do with any other message is policy, and choosing one
 *        of several addresses is none: a sender who writes two wants different programs to choose differently.
 * Source: RFC 5322 3.6.2; RFC 7489 6.6.1 and spec reliability 6 E (what two From addresses are used for).
 */
export function fromOf(section: AddressFields, limits: AddressLimits = addressLimits): Author {
  if (section.overLimit !== null) return noAuthor('over-limit')
  const fields = fieldsNamed(section, 'From')
  if (fields.length > 1) return noAuthor('several-fields')
  const list = headerAddresses(section, 'From', limits)
  if (!list.ok) return noAuthor('unreadable', list)
  const [mailbox] = list.mailboxes
  if (mailbox === undefined) return noAuthor('none')
  return list.mailboxes.length === 1 ? { ok: true, mailbox } : noAuthor('several-mailboxes')
}

function noAuthor(reason: AuthorFault, refusal: FieldRefusal | null = null): Author {
  return { ok: false, reason, text: authorFaults[reason], refusal }
}
