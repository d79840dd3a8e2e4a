/**
 * Who wrote a message, as far as its header section says so.
 *
 * Pure: no clock, socket, file or logger. It decides about rates and echoes; nothing is ever sent to these addresses.
 * Source: spec postoffice 5 and 7 with the successor's rules: addresses, not raw text.
 */
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'
import { addressesIn } from './to-hostname.ts'

/** The first address of From in lower case, or, where none can be made out, its text. `''` without From. */
export function senderOf(section: HeaderSection): string {
  const field = fieldsNamed(section, 'From').find(({ value }) => value !== '')
  if (field === undefined) return ''
  return (addressesIn(field).addresses[0]?.text ?? field.value).toLowerCase()
}

/** True if From and To are the same text, or the same addresses: what nobody but a program writes. */
export function isFromEqualTo(section: HeaderSection): boolean {
  const from = fieldsNamed(section, 'From')[0]?.value
  const to = fieldsNamed(section, 'To')[0]?.value
  if (from === undefined || to === undefined) return false
  if (from === to) return true
  const authors = certainAddresses(section, 'From')
  const recipients = certainAddresses(section, 'To')
  if (authors === null || recipients === null || authors.size === 0) return false
  return authors.size === recipients.size && [...authors].every((author) => recipients.has(author))
}

/** `null` where some field has two readings. */
function certainAddresses(section: HeaderSection, name: string): Set<string> | null {
  const found = new Set<string>()
  for (const field of fieldsNamed(section, name)) {
    const { addresses, isCertain } = addressesIn(field)
    if (!isCertain) return null
    for (const { text } of addresses) found.add(text.toLowerCase())
  }
  return found
}
