/**
 * What is odd about the values by which a message is judged: its addresses and its subject.
 *
 * Pure: no clock, socket, file or logger.
 */
import { parseAddressList } from '../addresses/list.ts'
import { addressLimits } from '../addresses/limits.ts'
import { fieldsNamed, type HeaderField, type HeaderSection } from '../header/section.ts'
import { decodedValue } from './encoded-words.ts'
import type { FindingKind } from './findings.ts'
import type { ReadingLimits } from './reading.ts'

/** Those that people and programs take the author from, and where an answer goes. */
const authorFields = ['from', 'sender', 'reply-to']

/** Nobody is judged by them: a mail server goes by the envelope. */
const recipientFields = ['to', 'cc']

/** Tells each oddity in the values of a message's header section, and which field it is in. */
export function checkValues(
  section: HeaderSection,
  limits: ReadingLimits,
  tell: (kind: FindingKind, offset: number) => void,
): void {
  const check = (names: readonly string[], kind: FindingKind): void => {
    for (const name of names) {
      for (const field of fieldsNamed(section, name)) checkAddresses(field, limits, kind, tell)
    }
  }
  check(authorFields, 'bad-address')
  check(recipientFields, 'odd-recipient')
  for (const field of fieldsNamed(section, 'subject')) {
    for (const kind of decodedValue(field, limits).problems) if (kind !== 'eight-bit-header') tell(kind, field.start)
  }
}

function checkAddresses(
  field: HeaderField,
  { addresses }: ReadingLimits,
  kind: FindingKind,
  tell: (kind: FindingKind, offset: number) => void,
): void {
  const list = parseAddressList(field.valueBytes, { ...addressLimits, addresses })
  if (list.ok) return
  if (list.weight === 'limit') tell('limit-addresses', field.start)
  // One that is malformed is an address for nobody.
  if (list.weight === 'ambiguous') tell(kind, field.start)
}
